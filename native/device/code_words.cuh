// Elements by fours beside their 8-bit codes, which lie four to a word, the first in the lowest byte.
#pragma once
#include "spectral.cuh"

// Is there a path of its own for elements that are all there? The CPU's compiler makes vectors of nothing else; a GPU
// would have the registers of both.
#ifdef __CUDACC__
constexpr bool kWholePath = false;
#else
constexpr bool kWholePath = true;
#endif

// How many of four elements are there, of `left` that are not read yet.
__device__ __forceinline__ int valid_of(int64_t left) { return int(left > 4 ? 4 : left > 0 ? left : 0); }

// Loads or stores four elements, of which the first `valid` are there; the others are loaded as 0.
__device__ __forceinline__ void load_four(const float* from, int valid, bool aligned, float* x) {
  if (valid == 4 && aligned) {
    float piece[4];
    load_piece(from, piece);
#pragma unroll
    for (int i = 0; i < 4; ++i)
      x[i] = piece[i];
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
    x[i] = i < valid ? from[i] : 0.0f;
}
// kAtOnce: four in one instruction, wherever they stand, which may cost a register.
template <bool kAtOnce>
__device__ __forceinline__ void store_four(float* to, int valid, bool aligned, const float* x) {
  if (valid == 4 && aligned) {
    const float piece[4] = {x[0], x[1], x[2], x[3]};
    if constexpr (kAtOnce)
      store_global(to, piece);
    else
      store_piece(to, piece);
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (i < valid)
      to[i] = x[i];
}

// The bits of four codes of a byte each; 0 for those that are not there.
__device__ __forceinline__ uint32_t word_of(const int* codes, int valid) {
  uint32_t word = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i)
    word |= i < valid ? uint32_t(codes[i] & 255) << 8 * i : 0;
  return word;
}

// The bits of |x|, which are in the order of the magnitudes.
__device__ __forceinline__ int magnitude_bits(float x) { return __float_as_int(x) & 0x7fffffff; }
