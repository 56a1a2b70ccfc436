// Gated unit with the swish function (Shazeer: "GLU variants improve transformer", 2020).
//
// Formula        y = silu(gate) up, silu(g) = g a, a = 1 / (1 + exp(-g))
//                dGate = dy up a (1 + g (1 - a));  dUp = dy silu(g)
// Shapes         all [count]
// Layout         contiguous; outputs may be any of the inputs
// Types          F32 or BF16
// Accumulation   F32, one rounding
// Grid/Block     one thread per 16-byte vector, 256 a block
// Bytes          forward 3 size(T) count; backward 5
// Flops          forward 5 count, one an exponential; backward 10
// Deterministic  yes
#include "exponential.cuh"
#include "pieces.cuh"

struct SwiGluForwardArgs {
  const void* gate;
  const void* up;
  void* y;
  int64_t count;
};
SPECTRAL_LAYOUT(SwiGluForwardArgs, gate, up, y, count)

struct SwiGluBackwardArgs {
  const void* gate;
  const void* up;
  const void* dy;
  void* d_gate;
  void* d_up;
  int64_t count;
};
SPECTRAL_LAYOUT(SwiGluBackwardArgs, gate, up, dy, d_gate, d_up, count)

namespace {
template <class T> __device__ __forceinline__ void swiglu_forward(const SwiGluForwardArgs& args) {
  by_piece<T>(args.count, [&](auto width, int64_t at) {
    constexpr int W = decltype(width)::value;
    float g[W], u[W];
    load_piece<T, W>(static_cast<const T*>(args.gate) + at, g);
    load_piece<T, W>(static_cast<const T*>(args.up) + at, u);
    for (int i = 0; i < W; ++i) g[i] = g[i] * sigmoid(g[i]) * u[i];
    store_piece<T, W>(static_cast<T*>(args.y) + at, g);
  }, args.gate, args.up, args.y);
}

template <class T> __device__ __forceinline__ void swiglu_backward(const SwiGluBackwardArgs& args) {
  by_piece<T>(args.count, [&](auto width, int64_t at) {
    constexpr int W = decltype(width)::value;
    float g[W], u[W], d[W];
    load_piece<T, W>(static_cast<const T*>(args.gate) + at, g);
    load_piece<T, W>(static_cast<const T*>(args.up) + at, u);
    load_piece<T, W>(static_cast<const T*>(args.dy) + at, d);
    for (int i = 0; i < W; ++i) {
      const float a = sigmoid(g[i]), silu = g[i] * a;
      u[i] = d[i] * u[i] * (a + silu * (1.0f - a));
      g[i] = d[i] * silu;
    }
    store_piece<T, W>(static_cast<T*>(args.d_gate) + at, u);
    store_piece<T, W>(static_cast<T*>(args.d_up) + at, g);
  }, args.gate, args.up, args.dy, args.d_gate, args.d_up);
}
}  // namespace

SPECTRAL_KERNEL_PLAIN(swiglu_forward_f32, SwiGluForwardArgs, kFlatThreads) { swiglu_forward<float>(args); }
SPECTRAL_KERNEL_PLAIN(swiglu_forward_bf16, SwiGluForwardArgs, kFlatThreads) { swiglu_forward<bf16>(args); }
SPECTRAL_KERNEL_PLAIN(swiglu_backward_f32, SwiGluBackwardArgs, kFlatThreads) { swiglu_backward<float>(args); }
SPECTRAL_KERNEL_PLAIN(swiglu_backward_bf16, SwiGluBackwardArgs, kFlatThreads) { swiglu_backward<bf16>(args); }
