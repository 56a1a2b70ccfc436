// Two-source matrix product on a quantised weight: low_rank_linear.cu with W in codes of 4 or 8 bits. A thread copies
// codes where its own part of the BF16 tile will be, and makes that of them when they are there; W is in no other
// memory.
//
// Formula        forward:         y[t,n] = sum_k x[t,k] W[n,k] + sum_i z[t,i] L[n,i] + bias[n]
//                input gradient:  y[t,k] = sum_n x[t,n] W[n,k] + sum_i z[t,i] L[i,k]     (x = dy, z = s g c, L = R)
//                W[n,k] = table[code[n,k]] * scale of its block, rounded to BF16; accumulate adds what y held before.
// Shapes         x [rows, depth]; z [rows, rank]; y [rows, columns]; bias [columns] or null
//                forward W [columns, depth], L [columns, rank]; input gradient W [depth, columns], L [rank, columns]
// Layout         row-major, contiguous; W's columns a multiple of 32, and each 32 of a row in one block of its scales;
//                else as low_rank_linear.cu
// Types          BF16; codes of 4 or 8 bits (device/quantized.cuh); z already carries the middle diagonal and the scale
// Accumulation   F32 in one chain over depth, then over rank; bias and old y join in F32; one rounding
// Grid/Block     one block of 128 threads per 128 x 128 tile of y, in groups of 8 tile rows so that W stays in L2;
//                grid x only. Dynamic shared memory 49,216 bytes, for 8 bits 50,176.
// Bytes          2 (rows depth + rows columns) + bits / 8 columns depth + 4 blocks + 2 rank (rows + columns)
// Flops          2 rows columns (depth + rank)
// Deterministic  yes
#include "low_rank_tile.cuh"
#include "quantized.cuh"

struct LowRankQuantizedArgs {
  QuantizedWeight weight;   // W: [columns, depth] forward, [depth, columns] for the input gradient
  const void* x;            // x, or dy, [rows, depth] BF16; 16-byte aligned for vectors
  // low-rank activations, scaled and times the middle diagonal, [rows, rank] BF16; 16-byte aligned for vectors
  const void* z;
  // outer factor, BF16: L [columns, rank] forward, R [rank, columns] for the input gradient; 16-byte aligned for
  // vectors
  const void* factor;
  const void* bias;   // bias [columns] BF16; null: none; 16-byte aligned for vectors
  void* y;            // y, or dx, [rows, columns] BF16; written; 16-byte aligned for vectors
  int rows;           // rows of x and y (tokens)
  int columns;        // columns of y
  int depth;          // columns of x, the length of the frozen product's sums
  int rank;           // columns of z, the length of the low-rank product's sums; 0: none
  int accumulate;     // 1: add to what y holds; 0: overwrite
};
SPECTRAL_LAYOUT(LowRankQuantizedArgs, weight, x, z, factor, bias, y, rows, columns, depth, rank, accumulate)

namespace {
constexpr int kOwnCodes = 32;   // a thread's: four 16-byte units of the tile
constexpr int kOwnUnits = kOwnCodes / 8;

// The values of two neighbouring codes, of eight in one or two words, as their table has them.
template <int kBits>
struct Decoder;

template <>
struct Decoder<4> {
  static constexpr int kWords = 1;
  // The first of two codes in a byte is the high half.
  static __device__ __forceinline__ float2 pair(const uint32_t (&word)[1], int p, const float* table) {
    const uint32_t both = word[0] >> 8 * p;
    return make_float2(table[both >> 4 & 15], table[both & 15]);
  }
};

template <>
struct Decoder<8> {
  static constexpr int kWords = 2;
  static __device__ __forceinline__ float2 pair(const uint32_t (&word)[2], int p, const float* table) {
    const uint32_t both = word[p / 2] >> 16 * (p % 2);
    return make_float2(table[both & 255], table[both >> 8 & 255]);
  }
};

template <int kBits>
constexpr int kTableValues = 1 << kBits;
template <int kBits>
constexpr int kSharedBytes = kShared + kTableValues<kBits> * 4;   // dynamic; two blocks of 8 bits fit into 100 KB

// The right operand's tiles from codes. A thread owns 32 elements of a row of W: a row of the tile forward, a quarter
// of one for the input gradient.
template <int kBits, bool kDepthRows>
struct CodeTiles {
  static constexpr int kVectors = kOwnCodes * kBits / 8 / 16;   // of 16 bytes
  static constexpr int kWords = Decoder<kBits>::kWords;
  static constexpr int kRowBytes = (kDepthRows ? kTileColumns : kTileDepth) * 2;

  const LowRankQuantizedArgs& args;
  const float* table;        // in shared memory: 16 words are in as many banks, so that lookups do not conflict
  int row, column;           // of W, of this thread's elements in the next tile
  float scale, next_scale;   // of the tile that arrives next, and of the one after it
  RightCopies<kDepthRows> factor;

  __device__ __forceinline__ CodeTiles(const LowRankQuantizedArgs& all, const float* shared_table, int n0)
      : args(all),
        table(shared_table),
        row(in_tile() + (kDepthRows ? 0 : n0)),
        column(kDepthRows ? n0 + 8 * first_unit() : 0),
        scale(0),
        next_scale(0),
        factor(all.factor, all.columns, all.rank, n0) {}
  // Row of the tile, and first unit in it, of this thread's elements.
  static __device__ __forceinline__ int in_tile() { return kDepthRows ? threadIdx.x / 4 : threadIdx.x; }
  static __device__ __forceinline__ int first_unit() { return kDepthRows ? threadIdx.x % 4 * kOwnUnits : 0; }
  // Of the input gradient's tiles half of the threads write their units in another order, so that the eight lanes that
  // store at once are in different banks.
  static __device__ __forceinline__ int turned() { return kDepthRows ? threadIdx.x & 2 : 0; }
  static __device__ __forceinline__ unsigned unit_offset(int j) {
    return tile_offset<kRowBytes>(in_tile(), first_unit() + (j ^ turned()));
  }
  __device__ __forceinline__ void next(unsigned char* tile, int step, int deep) {
    if (step >= deep) {
      factor.next(tile);
      return;
    }
    const QuantizedWeight& weight = args.weight;
    const bool inside = row < (kDepthRows ? args.depth : args.columns) && column < weight.columns;
    const uint8_t* from = weight.codes + (int64_t(row) * weight.columns + column) / 8 * kBits;
#pragma unroll
    for (int v = 0; v < kVectors; ++v)
      cp_async16(tile + unit_offset(v), inside ? from + 16 * v : weight.codes, inside ? 16 : 0);
    int64_t left;
    const float own = inside ? scale_of(weight, block_of(weight, row, column, left)) : 0.0f;   // x is 0 there
    if (step == 0)
      scale = own;
    else
      next_scale = own;
    if (kDepthRows)
      row += kTileDepth;
    else
      column += kTileDepth;
  }
  __device__ __forceinline__ void turn(const void*, int, int, int) {}
  __device__ __forceinline__ void arrived(unsigned char* tile, int step, int deep) {
    if (step >= deep)
      return;
    Words codes[kVectors];   // all of them, before units are written where they lie
#pragma unroll
    for (int v = 0; v < kVectors; ++v)
      codes[v] = *reinterpret_cast<const Words*>(tile + unit_offset(v));
    auto word_of = [&](int w) { return codes[w / 4].word[w % 4]; };
#pragma unroll
    for (int j = 0; j < kOwnUnits; ++j) {
      uint32_t eight[kWords];
#pragma unroll
      for (int w = 0; w < kWords; ++w)
        eight[w] = turned() ? word_of(kWords * (j ^ 2) + w) : word_of(kWords * j + w);
      Words values;
#pragma unroll
      for (int p = 0; p < 4; ++p) {
        const float2 two = Decoder<kBits>::pair(eight, p, table);
        values.word[p] = bf16_pair(two.x * scale, two.y * scale);
      }
      *reinterpret_cast<Words*>(tile + unit_offset(j)) = values;
    }
    scale = next_scale;
  }
};

template <int kBits, bool kDepthRows>
__device__ __forceinline__ void low_rank_quantized(const LowRankQuantizedArgs& args) {
  DYNAMIC_SHARED(shared);
  float* table = reinterpret_cast<float*>(shared + kShared);
  for (int i = threadIdx.x; i < kTableValues<kBits>; i += kThreads)
    table[i] = args.weight.table[i];
  __syncthreads();
  low_rank_product<kDepthRows>(args, shared, [&](int n0) { return CodeTiles<kBits, kDepthRows>(args, table, n0); });
}
}   // namespace

SPECTRAL_KERNEL_OCCUPANCY(low_rank_quantized_4_forward_bf16, LowRankQuantizedArgs, 128, 2) {
  low_rank_quantized<4, false>(args);
}
SPECTRAL_KERNEL_OCCUPANCY(low_rank_quantized_4_input_gradient_bf16, LowRankQuantizedArgs, 128, 2) {
  low_rank_quantized<4, true>(args);
}
SPECTRAL_KERNEL_OCCUPANCY(low_rank_quantized_8_forward_bf16, LowRankQuantizedArgs, 128, 2) {
  low_rank_quantized<8, false>(args);
}
SPECTRAL_KERNEL_OCCUPANCY(low_rank_quantized_8_input_gradient_bf16, LowRankQuantizedArgs, 128, 2) {
  low_rank_quantized<8, true>(args);
}

SPECTRAL_SHARED(low_rank_quantized_4_forward_bf16, kSharedBytes<4>)
SPECTRAL_SHARED(low_rank_quantized_4_input_gradient_bf16, kSharedBytes<4>)
SPECTRAL_SHARED(low_rank_quantized_8_forward_bf16, kSharedBytes<8>)
SPECTRAL_SHARED(low_rank_quantized_8_input_gradient_bf16, kSharedBytes<8>)
