// Gaussian error linear unit (Hendrycks, Gimpel: "Gaussian error linear units", 2016), by itself or as the gate of a
// unit (Shazeer: "GLU variants improve transformer", 2020).
//
// Formula        y = x s(x) up; exact: s(x) = erfc(-x / sqrt(2)) / 2; else s(x) = 1 / (1 + exp(-2 u)), which is
//                (1 + tanh(u)) / 2, u = sqrt(2 / pi) (x + 0.044715 x^3)
//                dx = dy up (s(x) + x s'(x));  dUp = dy x s(x)
// Shapes         all [rows, columns]; where nothing is strided, all elements are one row
// Layout         row-major; all but dy may be columns of wider matrices (strides); outputs may be any of the inputs
// Types          F32 or BF16
// Accumulation   F32, one rounding
// Grid/Block     one thread per 16-byte vector of a row, 256 a block, row by row
// Bytes          forward 3 size(T) rows columns (2 without up); backward 5 (3)
// Flops          forward 11 rows columns, one an exponential or erfc; backward 22
// Deterministic  yes
#include "exponential.cuh"
#include "pieces.cuh"

struct GeluForwardArgs {
  const void* x;   // x [rows, columns], type of the entry, rows x_stride apart; 16-byte aligned for vectors
  // factor [rows, columns], type of the entry, rows up_stride apart; null: 1; 16-byte aligned for vectors
  const void* up;
  // y [rows, columns], type of the entry, rows y_stride apart; written; may be an input; 16-byte aligned for vectors
  void* y;
  int64_t columns;   // elements of a row
  unsigned blocks;   // thread blocks per row
  int x_stride;      // elements from one row of x to the next
  int up_stride;     // elements from one row of the factor to the next
  int y_stride;      // elements from one row of y to the next
  int exact;         // 1: by erfc; 0: by tanh
};
SPECTRAL_LAYOUT(GeluForwardArgs, x, up, y, columns, blocks, x_stride, up_stride, y_stride, exact)

struct GeluBackwardArgs {
  const void* x;   // x [rows, columns], type of the entry, rows x_stride apart; 16-byte aligned for vectors
  // factor [rows, columns], type of the entry, rows up_stride apart; null: 1; 16-byte aligned for vectors
  const void* up;
  const void* dy;   // dy [rows, columns], type of the entry, contiguous; 16-byte aligned for vectors
  // gradient of x, type of the entry, rows dx_stride apart; written; may be an input; 16-byte aligned for vectors
  void* dx;
  // gradient of the factor, type of the entry, rows d_up_stride apart; null without a factor; written; may be an input;
  // 16-byte aligned for vectors
  void* d_up;
  int64_t columns;   // elements of a row
  unsigned blocks;   // thread blocks per row
  int x_stride;      // elements from one row of x to the next
  int up_stride;     // elements from one row of the factor to the next
  int dx_stride;     // elements from one row of the gradient of x to the next
  int d_up_stride;   // elements from one row of the factor's gradient to the next
  int exact;         // 1: by erfc; 0: by tanh
};
SPECTRAL_LAYOUT(
    GeluBackwardArgs, x, up, dy, dx, d_up, columns, blocks, x_stride, up_stride, dx_stride, d_up_stride, exact)

namespace {
// The share of x that passes, and its derivative times x. Far from 0 the share is at its limit and the derivative 0,
// where squares would overflow.
struct TanhShare {
  static constexpr float kScale = 0.7978845608028654f;   // sqrt(2 / pi)
  static constexpr float kCubic = 0.044715f;
  static __device__ __forceinline__ float of(float x) { return sigmoid(2.0f * kScale * (x + kCubic * x * x * x)); }
  static __device__ __forceinline__ float slope(float x, float share) {
    const float rest = share * (1.0f - share);
    const float slope = 2.0f * kScale * x * rest * (1.0f + 3.0f * kCubic * x * x);
    return rest == 0 ? 0.0f : slope;
  }
};

struct ExactShare {
  static __device__ __forceinline__ float of(float x) { return 0.5f * erfcf(-0.7071067811865475f * x); }
  static __device__ __forceinline__ float slope(float x, float) {
    return 0.3989422804014327f * x * exp_f32(-0.5f * x * x);   // x by the normal density
  }
};

template <class T, class Share>
__device__ __forceinline__ void gelu_forward(const GeluForwardArgs& args) {
  const int64_t row = blockIdx.x / args.blocks;
  const T* x = static_cast<const T*>(args.x) + row * args.x_stride;
  const T* up = args.up ? static_cast<const T*>(args.up) + row * args.up_stride : nullptr;
  T* y = static_cast<T*>(args.y) + row * args.y_stride;
  by_piece_of<T>(blockIdx.x % args.blocks, args.columns, is_aligned16(x, up, y), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float v[kWidth], u[kWidth];
    load_piece(x + at, v);
    for (int i = 0; i < kWidth; ++i)
      v[i] *= Share::of(v[i]);
    if (up) {
      load_piece(up + at, u);
      for (int i = 0; i < kWidth; ++i)
        v[i] *= u[i];
    }
    store_global(y + at, v);
  });
}

template <class T, class Share>
__device__ __forceinline__ void gelu_backward(const GeluBackwardArgs& args) {
  const int64_t row = blockIdx.x / args.blocks;
  const T* x = static_cast<const T*>(args.x) + row * args.x_stride;
  const T* up = args.up ? static_cast<const T*>(args.up) + row * args.up_stride : nullptr;
  const T* dy = static_cast<const T*>(args.dy) + row * args.columns;
  T* dx = static_cast<T*>(args.dx) + row * args.dx_stride;
  T* d_up = args.up ? static_cast<T*>(args.d_up) + row * args.d_up_stride : nullptr;
  const bool aligned = is_aligned16(x, up, dy, dx, d_up);
  by_piece_of<T>(blockIdx.x % args.blocks, args.columns, aligned, [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float v[kWidth], u[kWidth], d[kWidth], share[kWidth], slope[kWidth];
    load_piece(x + at, v);
    load_piece(dy + at, d);
    for (int i = 0; i < kWidth; ++i)
      share[i] = Share::of(v[i]);
    for (int i = 0; i < kWidth; ++i)
      slope[i] = d[i] * (share[i] + Share::slope(v[i], share[i]));
    if (up) {
      load_piece(up + at, u);
      for (int i = 0; i < kWidth; ++i) {
        slope[i] *= u[i];
        u[i] = d[i] * v[i] * share[i];
      }
      store_global(d_up + at, u);
    }
    store_global(dx + at, slope);
  });
}

template <class T>
__device__ __forceinline__ void gelu_forward(const GeluForwardArgs& args) {
  if (args.exact)
    gelu_forward<T, ExactShare>(args);
  else
    gelu_forward<T, TanhShare>(args);
}

template <class T>
__device__ __forceinline__ void gelu_backward(const GeluBackwardArgs& args) {
  if (args.exact)
    gelu_backward<T, ExactShare>(args);
  else
    gelu_backward<T, TanhShare>(args);
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(gelu_forward_f32, GeluForwardArgs, kFlatThreads) { gelu_forward<float>(args); }
SPECTRAL_KERNEL_PLAIN(gelu_forward_bf16, GeluForwardArgs, kFlatThreads) { gelu_forward<bf16>(args); }
SPECTRAL_KERNEL_PLAIN(gelu_backward_f32, GeluBackwardArgs, kFlatThreads) { gelu_backward<float>(args); }
SPECTRAL_KERNEL_PLAIN(gelu_backward_bf16, GeluBackwardArgs, kFlatThreads) { gelu_backward<bf16>(args); }
