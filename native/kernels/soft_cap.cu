// Soft cap: numbers of any size brought between -cap and cap, those near 0 hardly changed
// (Gemma team: "Gemma 2", 2024).
//
// Formula        forward   y = cap tanh(x / cap)
//                backward  dx = dy (1 - (y / cap)^2)
// Shapes         all [count]
// Layout         contiguous; y may be x, dx may be dy
// Types          x, y F32; dy, dx F32 or BF16
// Accumulation   F32, one rounding
// Grid/Block     one thread per vector of 16 bytes of dy, of x in the forward pass, 256 a block
// Bytes          forward 8 count; backward (4 + 2 size(T)) count
// Flops          forward about 20 count; backward 4 count
// Deterministic  yes
// NaN            passed on
#include "exponential.cuh"
#include "pieces.cuh"

struct SoftCapForwardArgs {
  const float* x;   // x [count]; 16-byte aligned for vectors
  float* y;         // y [count]; written; may be x; 16-byte aligned for vectors
  int64_t count;    // elements
  float cap;        // bound of y, above 0
};
SPECTRAL_LAYOUT(SoftCapForwardArgs, x, y, count, cap)

struct SoftCapBackwardArgs {
  const float* y;   // y [count] of the forward pass; 16-byte aligned for vectors
  const void* dy;   // its gradient [count], type of the entry; 16-byte aligned for vectors
  void* dx;         // gradient of x [count], type of the entry; written; may be dy; 16-byte aligned for vectors
  int64_t count;    // elements
  float cap;        // bound of y, above 0
};
SPECTRAL_LAYOUT(SoftCapBackwardArgs, y, dy, dx, count, cap)

namespace {
template <class T>
__device__ __forceinline__ void soft_cap_backward(const SoftCapBackwardArgs& args) {
  by_piece<T>(args.count, is_aligned16(args.y, args.dy, args.dx), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float y[kWidth], g[kWidth];
    load_piece(args.y + at, y);
    load_piece(static_cast<const T*>(args.dy) + at, g);
    for (int i = 0; i < kWidth; ++i) {
      const float t = y[i] / args.cap;
      g[i] *= 1.0f - t * t;
    }
    store_piece(static_cast<T*>(args.dx) + at, g);
  });
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(soft_cap_forward, SoftCapForwardArgs, kFlatThreads) {
  by_piece<float>(args.count, is_aligned16(args.x, args.y), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float v[kWidth];
    load_piece(args.x + at, v);
    for (int i = 0; i < kWidth; ++i)
      v[i] = args.cap * tanh_f32(v[i] / args.cap);
    store_piece(args.y + at, v);
  });
}
SPECTRAL_KERNEL_PLAIN(soft_cap_backward_f32, SoftCapBackwardArgs, kFlatThreads) { soft_cap_backward<float>(args); }
SPECTRAL_KERNEL_PLAIN(soft_cap_backward_bf16, SoftCapBackwardArgs, kFlatThreads) { soft_cap_backward<bf16>(args); }
