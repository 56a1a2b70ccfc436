// Storage types, and loads and stores of several elements at once: kernels hold floats in registers and T (float or
// bf16) in memory.
#pragma once
#include "kernel.cuh"

using bf16 = __nv_bfloat16;

// How many pieces of `size` cover `length`; neither is negative.
template <class T>
__host__ __device__ __forceinline__ constexpr T ceil_div(T length, T size) {
  return (length + size - 1) / size;
}

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
// Rounds both to nearest, ties to even.
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

// 16 bytes is the widest access there is; longer pieces are several of them.
template <class T, int kWidth>
struct alignas(sizeof(T) * kWidth < 16 ? sizeof(T) * kWidth : 16) Piece {
  T element[kWidth];
};

// load_piece: kWidth consecutive elements, widened to float; store_piece: kWidth floats, rounded to T. p is aligned to
// kWidth elements or 16 bytes.
#ifdef __CUDACC__
template <class T, int kWidth>
__device__ __forceinline__ void load_piece(const T* p, float (&v)[kWidth]) {
  const Piece<T, kWidth> piece = *reinterpret_cast<const Piece<T, kWidth>*>(p);
#pragma unroll
  for (int i = 0; i < kWidth; ++i)
    v[i] = to_float<T>(piece.element[i]);
}
template <class T, int kWidth>
__device__ __forceinline__ void store_piece(T* p, const float (&v)[kWidth]) {
  Piece<T, kWidth> piece;
#pragma unroll
  for (int i = 0; i < kWidth; ++i)
    piece.element[i] = from_float<T>(v[i]);
  *reinterpret_cast<Piece<T, kWidth>*>(p) = piece;
}

#else
// Element by element, so that the loops vectorise; the address must be one that a GPU can access whole.
template <class T, int kWidth>
__forceinline__ void check_piece(const T* p, const spectral::cpu::Where& where) {
  constexpr unsigned kBytes = alignof(Piece<T, kWidth>);
  if (kBytes > alignof(T) && reinterpret_cast<uintptr_t>(p) % kBytes)
    spectral::cpu::fail_misaligned(p, kBytes, where);
}
template <class T, int kWidth>
__forceinline__ void load_piece(const T* p, float (&v)[kWidth], SPECTRAL_WHERE) {
  check_piece<T, kWidth>(p, where);
  for (int i = 0; i < kWidth; ++i)
    v[i] = to_float<T>(p[i]);
}
template <class T, int kWidth>
__forceinline__ void store_piece(T* p, const float (&v)[kWidth], SPECTRAL_WHERE) {
  check_piece<T, kWidth>(p, where);
  for (int i = 0; i < kWidth; ++i)
    p[i] = from_float<T>(v[i]);
}
#endif

// As store_piece, to global memory. Where a piece is 16 bytes or more it is stored by as many instructions as it has 16
// bytes, whatever stands beside it: nvcc takes other stores apart as it joins them with those of ragged ends.
template <class T, int kWidth>
__device__ __forceinline__ void store_global(T* p, const float (&v)[kWidth]) {
#ifdef __CUDACC__
  if constexpr (sizeof(T) * kWidth % 16 == 0) {
    union {
      Piece<T, kWidth> piece;
      unsigned word[sizeof(T) * kWidth / 4];
    } stored;
#pragma unroll
    for (int i = 0; i < kWidth; ++i)
      stored.piece.element[i] = from_float<T>(v[i]);
#pragma unroll
    for (int i = 0; i < int(sizeof(T)) * kWidth / 16; ++i)
      asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};"
                   :
                   : "l"(__cvta_generic_to_global(reinterpret_cast<char*>(p) + 16 * i)),
                     "r"(stored.word[4 * i]),
                     "r"(stored.word[4 * i + 1]),
                     "r"(stored.word[4 * i + 2]),
                     "r"(stored.word[4 * i + 3])
                   : "memory");
    return;
  }
#endif
  store_piece(p, v);
}

// Are all addresses 16-byte aligned? A null pointer counts as aligned. Sub-tensors with odd row lengths are not;
// kernels then go element by element.
template <class... Pointers>
__device__ __forceinline__ bool is_aligned16(Pointers... pointers) {
  return (((reinterpret_cast<uintptr_t>(pointers) & 15) == 0) && ...);
}
