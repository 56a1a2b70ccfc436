// Two-source matrix product on a quantised weight: low_rank_linear.cu with W in codes of 4 bits. A thread copies codes
// where its own part of the BF16 tile will be, and makes that of them when they are there; W is in no other memory.
//
// Formula        forward:         y[t,n] = sum_k x[t,k] W[n,k] + sum_i z[t,i] L[n,i] + bias[n]
//                input gradient:  y[t,k] = sum_n x[t,n] W[n,k] + sum_i z[t,i] L[i,k]     (x = dy, z = s g c, L = R)
//                W[n,k] = table[code[n,k]] * scale of its block, rounded to BF16; accumulate adds what y held before.
// Shapes         x [rows, depth]; z [rows, rank]; y [rows, columns]; bias [columns] or null
//                forward W [columns, depth], L [columns, rank]; input gradient W [depth, columns], L [rank, columns]
// Layout         row-major, contiguous; W's columns a multiple of 32, and each 32 of a row in one block of its scales;
//                else as low_rank_linear.cu
// Types          BF16; codes of 4 bits (device/quantized.cuh); z already carries the middle diagonal and the scale
// Accumulation   F32 in one chain over depth, then over rank; bias and old y join in F32; one rounding
// Grid/Block     one block of 128 threads per 128 x 128 tile of y, in groups of 8 tile rows so that W stays in L2;
//                grid x only. Dynamic shared memory 49,216 bytes.
// Bytes          2 (rows depth + rows columns) + columns depth / 2 + 4 blocks + 2 rank (rows + columns)
// Flops          2 rows columns (depth + rank)
// Deterministic  yes
#include "low_rank_tile.cuh"
#include "quantized.cuh"

struct LowRankQuantizedArgs {
  QuantizedWeight weight;   // W, codes of 4 bits: [columns, depth] forward, [depth, columns] for the input gradient
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
constexpr int kOwnCodes = 32;   // 16 bytes of codes, and four 16-byte units of the tile
constexpr int kOwnUnits = kOwnCodes / 8;
constexpr int kTableBytes = 16 * 4;
constexpr int kSharedBytes = kShared + kTableBytes;   // dynamic

struct alignas(16) Words {
  uint32_t word[4];
};

// The right operand's tiles from codes. A thread owns 32 elements of a row of W: a row of the tile forward, a quarter
// of one for the input gradient.
template <bool kDepthRows>
struct CodeTiles {
  static constexpr int kRowBytes = (kDepthRows ? kTileColumns : kTileDepth) * 2;

  const LowRankQuantizedArgs& args;
  const float* table;        // in shared memory: 16 words in as many banks, so that lookups do not conflict
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
    const uint8_t* from = weight.codes + (int64_t(row) * weight.columns + column) / 2;
    cp_async16(tile + unit_offset(0), inside ? from : weight.codes, inside ? 16 : 0);
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
    const Words codes = *reinterpret_cast<const Words*>(tile + unit_offset(0));
#pragma unroll
    for (int j = 0; j < kOwnUnits; ++j) {
      const uint32_t word = turned() ? codes.word[j ^ 2] : codes.word[j];
      Words values;
#pragma unroll
      for (int p = 0; p < 4; ++p) {
        const uint32_t both = word >> 8 * p;
        values.word[p] = bf16_pair(table[both >> 4 & 15] * scale, table[both & 15] * scale);
      }
      *reinterpret_cast<Words*>(tile + unit_offset(j)) = values;
    }
    scale = next_scale;
  }
};

template <bool kDepthRows>
__device__ __forceinline__ void low_rank_quantized(const LowRankQuantizedArgs& args) {
  DYNAMIC_SHARED(shared);
  float* table = reinterpret_cast<float*>(shared + kShared);
  if (threadIdx.x < 16)
    table[threadIdx.x] = args.weight.table[threadIdx.x];
  __syncthreads();
  low_rank_product<kDepthRows>(args, shared, [&](int n0) { return CodeTiles<kDepthRows>(args, table, n0); });
}
}   // namespace

SPECTRAL_KERNEL_OCCUPANCY(low_rank_quantized_forward_bf16, LowRankQuantizedArgs, 128, 2) {
  low_rank_quantized<false>(args);
}
SPECTRAL_KERNEL_OCCUPANCY(low_rank_quantized_input_gradient_bf16, LowRankQuantizedArgs, 128, 2) {
  low_rank_quantized<true>(args);
}

SPECTRAL_SHARED(low_rank_quantized_forward_bf16, kSharedBytes)
SPECTRAL_SHARED(low_rank_quantized_input_gradient_bf16, kSharedBytes)
