// exp in F32, within 0.9 ulp on the CPU (measured over its whole range; 2 ulp on the GPU, where it is the library's
// expf), in a form that g++ vectorises: the C library's is a call per element and would cost as much as the matrix
// products of attention. -inf gives 0, NaN stays NaN, results below 2^-126 are denormal as they should be.
#pragma once
#include "kernel.cuh"

#ifdef __CUDACC__
__device__ __forceinline__ float exp_f32(float x) { return expf(x); }
#else
inline __attribute__((always_inline)) float exp_f32(float x) {
  constexpr float kRound = 0x1.8p23f;   // adding it leaves the nearest integer in the low bits
  x = x < -104.0f ? -104.0f : x;        // exp(-104) rounds to 0, exp(89) to infinity
  x = x > 89.0f ? 89.0f : x;
  const float shifted = __builtin_fmaf(x, 0x1.715476p0f, kRound);
  const float n = shifted - kRound;
  float r = __builtin_fmaf(n, -0x1.62e4p-1f, x);   // ln 2 in two parts, the first exact times n
  r = __builtin_fmaf(n, -0x1.7f7d1cp-20f, r);      // |r| <= ln 2 / 2
  float p = 0x1.6a2352p-10f;
  p = __builtin_fmaf(p, r, 0x1.123a6cp-7f);
  p = __builtin_fmaf(p, r, 0x1.5558f4p-5f);
  p = __builtin_fmaf(p, r, 0x1.55549p-3f);
  p = __builtin_fmaf(p, r, 0x1.fffffcp-2f);
  p = __builtin_fmaf(p, r, 1.0f);
  p = __builtin_fmaf(p, r, 1.0f);
  const int exponent = __float_as_int(shifted) - __float_as_int(kRound);
  const int half = exponent >> 1;
  return p * __int_as_float((half + 127) << 23) *
         __int_as_float((exponent - half + 127) << 23);   // 2^n may be denormal
}
#endif

// 2^x within 2^-22 of its value (the GPU's one-instruction approximation; results below 2^-126 may be 0), for weights
// that are rounded to bf16 anyway. -inf gives 0, NaN stays NaN.
#ifdef __CUDACC__
__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
#else
inline __attribute__((always_inline)) float exp2_fast(float x) { return exp_f32(x * 0x1.62e43p-1f); }
#endif

// 1 / (1 + exp(-x)); 0 and 1 in the limits.
__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + exp_f32(-x)); }

// tanh in F32 within 2 ulp: an odd polynomial near 0, where 1 - 2 / (1 + exp(2 |x|)) would lose digits. NaN stays NaN.
__device__ __forceinline__ float tanh_f32(float x) {
  const float z = x * x;
  float p = -0x1.95449ep-8f;   // tanh(x) = x + x z p(z), within 2^-25 of its value for |x| <= 0.61
  p = p * z + 0x1.58fac6p-6f;
  p = p * z - 0x1.b93ef8p-5f;
  p = p * z + 0x1.110e86p-3f;
  p = p * z - 0x1.555552p-2f;
  const float magnitude = fabsf(x);
  const float far = 1.0f - 2.0f / (1.0f + exp_f32(2 * magnitude));
  return magnitude < 0.6f ? x + x * z * p : copysignf(far, x);
}

// tanh with an absolute error up to 2^-21, for what is rounded to bf16 anyway. NaN stays NaN.
#ifdef __CUDACC__
__device__ __forceinline__ float tanh_fast(float x) {
  float inverse;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(1.0f + exp2_fast(x * 0x1.715476p1f)));
  return 1.0f - 2 * inverse;
}
#else
inline __attribute__((always_inline)) float tanh_fast(float x) {
  return 1.0f - 2 / (1.0f + exp2_fast(x * 0x1.715476p1f));
}
#endif
