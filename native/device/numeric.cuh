// Storage types and 16-byte vectors: kernels hold floats in registers and T (float or bf16) in memory.
#pragma once
#include "kernel.cuh"

using bf16 = __nv_bfloat16;

template <class T>
__device__ __forceinline__ float to_float(T v);
template <>
__device__ __forceinline__ float to_float<float>(float v) {
  return v;
}
template <>
__device__ __forceinline__ float to_float<bf16>(bf16 v) {
  return __bfloat162float(v);
}

template <class T>
__device__ __forceinline__ T from_float(float v);   // rounds to nearest even
template <>
__device__ __forceinline__ float from_float<float>(float v) {
  return v;
}
template <>
__device__ __forceinline__ bf16 from_float<bf16>(float v) {
  return __float2bfloat16(v);
}

// Two bf16 in a register, the first in the low half: what the tensor cores' fragments hold.
__device__ __forceinline__ float bf16_low(uint32_t pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float bf16_high(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }
__device__ __forceinline__ uint32_t bf16_pair(float first, float second) {
#ifdef __CUDACC__
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
#else
  return uint32_t(from_float<bf16>(second).bits) << 16 | from_float<bf16>(first).bits;
#endif
}

// Elements of T in one 16-byte access: 4 floats or 8 bf16.
template <class T>
constexpr int kVector = 16 / int(sizeof(T));

// kVector<T> consecutive elements at a 16-byte aligned address, widened to float.
template <class T>
__device__ __forceinline__ void load_vector(const T* p, float (&v)[kVector<T>]) {
#ifdef __CUDACC__
  union {
    uint4 raw;
    T element[kVector<T>];
  } u;
  u.raw = *reinterpret_cast<const uint4*>(p);
#pragma unroll
  for (int i = 0; i < kVector<T>; ++i)
    v[i] = to_float<T>(u.element[i]);
#else
  for (int i = 0; i < kVector<T>; ++i)
    v[i] = to_float<T>(p[i]);   // element types, so that the loop vectorises
#endif
}
// kVector<T> floats rounded to T and stored at a 16-byte aligned address.
template <class T>
__device__ __forceinline__ void store_vector(T* p, const float (&v)[kVector<T>]) {
#ifdef __CUDACC__
  union {
    uint4 raw;
    T element[kVector<T>];
  } u;
#pragma unroll
  for (int i = 0; i < kVector<T>; ++i)
    u.element[i] = from_float<T>(v[i]);
  *reinterpret_cast<uint4*>(p) = u.raw;
#else
  for (int i = 0; i < kVector<T>; ++i)
    p[i] = from_float<T>(v[i]);
#endif
}
// Two floats rounded to bf16, the first in the low half: a register of an mma operand.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
#ifdef __CUDACC__
  union {
    __nv_bfloat162 pair;
    uint32_t bits;
  } u;
  u.pair = __floats2bfloat162_rn(low, high);
  return u.bits;
#else
  return uint32_t(__float2bfloat16(low).bits) | uint32_t(__float2bfloat16(high).bits) << 16;
#endif
}
// Are all addresses 16-byte aligned? A null pointer counts as aligned. Sub-tensors with odd row lengths are not;
// kernels then go element by element.
template <class... Pointers>
__device__ __forceinline__ bool is_aligned16(Pointers... pointers) {
  return (((reinterpret_cast<uintptr_t>(pointers) & 15) == 0) && ...);
}
