// Frozen weights in codes of 4 or 8 bits: W[i, j] = table[code of (i, j)] * scale of the block of (i, j), one product
// in F32. A block is 2^shift neighbours of the row-major flattened matrix, which cross rows, or a tile of the matrix.
// The scales may be codes themselves (double quantisation; Dettmers et al.: "QLoRA", 2023).
#pragma once
#include "spectral.cuh"
#if defined(__AVX2__) && !defined(__CUDACC__)
#include <immintrin.h>
#endif

constexpr int kCodesPerThread = 8;   // a 16-byte vector of BF16, and one word of 4-bit codes
constexpr int kScaleBlock = 256;     // scales that share a largest magnitude when they are compressed

// What a thread loads and stores at once: 32 codes of 4 bits, 16 of 8, or eight numbers in BF16.
struct alignas(16) Words {
  uint32_t word[4];
};

struct QuantizedWeight {
  const uint8_t* codes;         // of two in a byte the first is the high half; 16-byte aligned
  const float* table;           // value of each code [16 or 256]
  const float* scales;          // scale of each block; null where they are compressed
  const uint8_t* scale_codes;   // code of each scale, less the mean
  const float* scale_most;      // largest magnitude of each kScaleBlock of them
  const float* scale_map;       // value of each of their codes [256]
  float scale_mean;             // added to each
  int columns;                  // of the whole matrix
  int shift;                    // log2 of the elements of a flat block; negative: blocks are tiles
  int tile_rows, tile_columns;
  int tiles;   // tiles beside one another
};

// The number of the block of an element, and how many elements of its row from there on are in it.
__device__ __forceinline__ int64_t block_of(const QuantizedWeight& weight, int row, int column, int64_t& left) {
  if (weight.shift >= 0) {
    const int64_t at = int64_t(row) * weight.columns + column;
    const int64_t block = at >> weight.shift;
    left = ((block + 1) << weight.shift) - at;
    return block;
  }
  const int tile = column / weight.tile_columns;
  left = int64_t(tile + 1) * weight.tile_columns - column;
  return int64_t(row / weight.tile_rows) * weight.tiles + tile;
}

// Are the eight elements from a column that is a multiple of eight in one block, and their codes whole words?
__device__ __forceinline__ bool in_eights(const QuantizedWeight& weight) {
  return weight.columns % kCodesPerThread == 0 &&
         (weight.shift >= 0 ? weight.shift >= 3
                            : weight.tile_columns % kCodesPerThread == 0 || weight.tile_columns >= weight.columns);
}

__device__ __forceinline__ float scale_of(const QuantizedWeight& weight, int64_t block) {
  if (weight.scales != nullptr)
    return weight.scales[block];
  // rounded twice, as bitsandbytes does
  return __fmul_rn(weight.scale_map[weight.scale_codes[block]], weight.scale_most[block / kScaleBlock]) +
         weight.scale_mean;
}

template <int kBits>
__device__ __forceinline__ unsigned code_of(const QuantizedWeight& weight, int64_t at) {
  if (kBits == 8)
    return weight.codes[at];
  const unsigned both = weight.codes[at / 2];
  return at % 2 ? both & 15 : both >> 4;
}

// Four bytes of the eight of a (0 to 3) and b (4 to 7): byte i is the one that the i-th four bits of `choice` name,
// each below 8. The upper half of `choice` is not read.
__device__ __forceinline__ uint32_t byte_permute(uint32_t a, uint32_t b, uint32_t choice) {
#ifdef __CUDACC__
  uint32_t chosen;
  asm("prmt.b32 %0, %1, %2, %3;" : "=r"(chosen) : "r"(a), "r"(b), "r"(choice));
  return chosen;
#else
  const uint64_t all = uint64_t(b) << 32 | a;
  uint32_t chosen = 0;
  for (int i = 0; i < 4; ++i)
    chosen |= uint32_t(all >> 8 * (choice >> 4 * i & 7) & 255) << 8 * i;
  return chosen;
#endif
}

#if defined(__AVX2__) && !defined(__CUDACC__)
// Of the CPU device, for codes of 4 bits: the table is two registers, in which a permutation looks eight codes up. For
// 8 bits a gather takes twice as long as single loads.
__forceinline__ void eight_of_four_bits(const uint8_t* codes, const float* table, float scale, float* values) {
  const __m256i shifts = _mm256_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24);
  const __m256i words = _mm256_set1_epi32(*reinterpret_cast<const int*>(codes));
  const __m256i code = _mm256_srlv_epi32(words, shifts);   // the permutation reads three bits, the blend the sign
  const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), code);
  const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), code);
  const __m256 value = _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(code, 28)));
  _mm256_storeu_ps(values, _mm256_mul_ps(value, _mm256_set1_ps(scale)));
}
#endif

// Values of the eight codes from `at` on, a multiple of eight.
template <int kBits>
__device__ __forceinline__ void eight_values(const QuantizedWeight& weight, int64_t at, float scale, float* values) {
#if defined(__AVX2__) && !defined(__CUDACC__)
  if constexpr (kBits == 4) {
    eight_of_four_bits(weight.codes + at / 2, weight.table, scale, values);
    return;
  }
#endif
  constexpr int kWords = kBits / 4;
  constexpr int kEach = kCodesPerThread / kWords;
  const uint32_t* words = reinterpret_cast<const uint32_t*>(weight.codes + at / 8 * kBits);
#pragma unroll
  for (int w = 0; w < kWords; ++w) {
    const uint32_t word = words[w];
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int from = kBits == 8 ? 8 * i : 8 * (i / 2) + (i % 2 ? 0 : 4);
      values[kEach * w + i] = weight.table[word >> from & ((1 << kBits) - 1)] * scale;
    }
  }
}
