// Functions of one number, element by element, and their adjoints: norms, guards and activations in adapters' factors.
//
// Formula        forward   y = f(x) (+ y)
//                backward  dx = dy f'(x) (+ dx)
//                  reciprocal  1 / x                  f' = -1 / x^2
//                  sqrt        sqrt(max(x, floor))    f' = 1 / (2 sqrt(x)) above the floor, else 0
//                  exp         e^x                    f' = e^x
//                  max         max(x, floor)          f' = 1 above the floor, else 0; ReLU with floor 0
//                  square      x^2                    f' = 2 x
//                  sign        1, -1, or x at 0       f' = 0
//                  cos         cos(x), x in radians   f' = -sin(x)
//                  sin         sin(x), x in radians   f' = cos(x)
// Shapes         x, y, dy, dx [count]
// Layout         contiguous; y may be x; dx may be dy
// Types          F32; rsqrtf in the root's derivative, cosf and sinf are within 2 ulp
// Accumulation   F32
// Grid/Block     one thread per 16-byte vector, 256 a block
// Bytes          forward 8 count, backward 12 count; 4 count more where it accumulates
// Flops          count, to about 20 count for exp; cos and sin about 20 count, some hundreds where |x| is beyond 1e5
// Deterministic  yes
// NaN            forward passes it on; backward gives f'(NaN) dy, 0 for max, sqrt and sign. The reciprocal of 0 is
//                infinite. With floor 0 the root's derivative at 0 is 0, for 0 is not above the floor, although its
//                limit is infinite
#include "pieces.cuh"

struct ElementwiseMapArgs {
  const float* x;    // x [count]; 16-byte aligned for vectors
  const float* dy;   // dy [count]; null in the forward pass; 16-byte aligned for vectors
  float* y;          // result [count]: y, or dx in the backward pass; may be x, or dy; 16-byte aligned for vectors
  int64_t count;     // elements of x
  float floor;       // lower bound of the functions that have one: sqrt and max
  int accumulate;    // 1: add to what the result holds; 0: overwrite
};
SPECTRAL_LAYOUT(ElementwiseMapArgs, x, dy, y, count, floor, accumulate)

namespace {
struct Reciprocal {
  static __device__ __forceinline__ float value(float x, float) { return 1.0f / x; }
  static __device__ __forceinline__ float slope(float x, float) { return -1.0f / x / x; }
};
struct Sqrt {
  static __device__ __forceinline__ float value(float x, float floor) { return sqrtf(x <= floor ? floor : x); }
  static __device__ __forceinline__ float slope(float x, float floor) { return x > floor ? 0.5f * rsqrtf(x) : 0.0f; }
};
struct Exp {
  static __device__ __forceinline__ float value(float x, float) { return exp_f32(x); }
  static __device__ __forceinline__ float slope(float x, float) { return exp_f32(x); }
};
struct Max {
  static __device__ __forceinline__ float value(float x, float floor) { return x <= floor ? floor : x; }
  static __device__ __forceinline__ float slope(float x, float floor) { return x > floor ? 1.0f : 0.0f; }
};
struct Square {
  static __device__ __forceinline__ float value(float x, float) { return x * x; }
  static __device__ __forceinline__ float slope(float x, float) { return 2 * x; }
};
struct Sign {
  static __device__ __forceinline__ float value(float x, float) {
    const float negative = x < 0 ? -1.0f : x;   // zeros and NaN stay as they are
    return x > 0 ? 1.0f : negative;
  }
  static __device__ __forceinline__ float slope(float, float) { return 0.0f; }
};
struct Cos {
  static __device__ __forceinline__ float value(float x, float) { return cosf(x); }
  static __device__ __forceinline__ float slope(float x, float) { return -sinf(x); }
};
struct Sin {
  static __device__ __forceinline__ float value(float x, float) { return sinf(x); }
  static __device__ __forceinline__ float slope(float x, float) { return cosf(x); }
};

template <class F, bool kBackward>
__device__ __forceinline__ void elementwise_map(const ElementwiseMapArgs& args) {
  by_piece<float>(args.count, is_aligned16(args.x, args.dy, args.y), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float x[kWidth];
    float dy[kWidth];
    float y[kWidth] = {};
    load_piece(args.x + at, x);
    if (kBackward)
      load_piece(args.dy + at, dy);
    if (args.accumulate)
      load_piece(args.y + at, y);
    for (int i = 0; i < kWidth; ++i)
      y[i] = kBackward ? fmaf(F::slope(x[i], args.floor), dy[i], y[i]) : y[i] + F::value(x[i], args.floor);
    store_piece(args.y + at, y);
  });
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(elementwise_map_reciprocal_forward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Reciprocal, false>(args);
}
SPECTRAL_KERNEL_PLAIN(elementwise_map_reciprocal_backward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Reciprocal, true>(args);
}
SPECTRAL_KERNEL_PLAIN(elementwise_map_sqrt_forward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Sqrt, false>(args);
}
SPECTRAL_KERNEL_PLAIN(elementwise_map_sqrt_backward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Sqrt, true>(args);
}
SPECTRAL_KERNEL_PLAIN(elementwise_map_exp_forward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Exp, false>(args);
}
SPECTRAL_KERNEL_PLAIN(elementwise_map_exp_backward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Exp, true>(args);
}
SPECTRAL_KERNEL_PLAIN(elementwise_map_max_forward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Max, false>(args);
}
SPECTRAL_KERNEL_PLAIN(elementwise_map_max_backward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Max, true>(args);
}
SPECTRAL_KERNEL_PLAIN(elementwise_map_square_forward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Square, false>(args);
}
SPECTRAL_KERNEL_PLAIN(elementwise_map_square_backward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Square, true>(args);
}
SPECTRAL_KERNEL_PLAIN(elementwise_map_sign_forward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Sign, false>(args);
}
SPECTRAL_KERNEL_PLAIN(elementwise_map_sign_backward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Sign, true>(args);
}
SPECTRAL_KERNEL_PLAIN(elementwise_map_cos_forward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Cos, false>(args);
}
SPECTRAL_KERNEL_PLAIN(elementwise_map_cos_backward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Cos, true>(args);
}
SPECTRAL_KERNEL_PLAIN(elementwise_map_sin_forward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Sin, false>(args);
}
SPECTRAL_KERNEL_PLAIN(elementwise_map_sin_backward, ElementwiseMapArgs, kFlatThreads) {
  elementwise_map<Sin, true>(args);
}
