// Two-source matrix product for Hopper on a quantised weight: low_rank_linear_sm90.cu with W in codes of 4 bits. The
// warpgroup that fills stages makes BF16 of the codes in registers, and writes that where TMA would have put W; W is in
// no other memory.
//
// Formula        forward:         y[t,n] = sum_k x[t,k] W[n,k] + sum_i z[t,i] L[n,i] + bias[n]
//                input gradient:  y[t,k] = sum_n x[t,n] W[n,k] + sum_i z[t,i] L[i,k]     (x = dy, z = s g c, L = R)
//                W[n,k] = table[code[n,k]] * scale of its block, rounded to BF16; accumulate adds what y held before.
// Shapes         x [rows, depth]; z [rows, rank]; y [rows, columns]; bias [columns] or null
//                forward W [columns, depth], L [columns, rank]; input gradient W [depth, columns], L [rank, columns]
// Layout         row-major; x, z, L and y behind tensor maps as low_rank_linear_sm90.cu has them. W's columns a
//                multiple of 32, and each 32 of a row in one block of its scales; depth, rank and columns multiples
//                of 8.
// Types          BF16; codes of 4 bits (device/quantized.cuh); z already carries the middle diagonal and the scale
// Accumulation   F32 in one chain over depth, then over rank; bias and old y join in F32; one rounding
// Grid/Block     persistent: at most one block of 384 threads per SM; grid x only. One warpgroup fills stages of 64
//                depths, two multiply 64 x 256 halves of a 128 x 256 tile. Every block makes its own numbers of W: for
//                a cluster, the half of another block would have to be written to its shared memory by single words.
//                Dynamic shared memory 229,632 bytes: 4 stages of 48 KB, 32 KB of y.
// Bytes          2 (rows depth + rows columns) + 1/2 columns depth + 4 blocks + 2 rank (rows + columns)
// Flops          2 rows columns (depth + rank)
// Deterministic  yes
#include "low_rank_hopper.cuh"
#include "quantized.cuh"

struct LowRankQuantizedHopperArgs {
  TensorMap x;   // x, or dy, [rows, depth] BF16, in boxes of 128 rows x 64 columns
  // the low-rank activations, scaled and times the middle diagonal, [rows, rank] BF16, in boxes of 128 x 64
  TensorMap z;
  // the outer factor, BF16: L [columns, rank] in boxes of 128 x 64 forward, R [rank, columns] in boxes of 64 x 64 for
  // the input gradient
  TensorMap factor;
  TensorMap y;              // y, or dx, [rows, columns] BF16, in boxes of 64 x 64; written
  QuantizedWeight weight;   // W: [columns, depth] forward, [depth, columns] for the input gradient
  const void* bias;         // bias [columns] BF16; null: none
  int rows;                 // rows of x and y (tokens)
  int columns;              // columns of y, a multiple of 8
  int depth;                // columns of x, the length of the frozen product's sums, a multiple of 8
  int rank;         // columns of z, the length of the low-rank product's sums, a multiple of 8; 0: none, no z and L
  int accumulate;   // 1: add to what y holds; 0: overwrite
};
SPECTRAL_LAYOUT(LowRankQuantizedHopperArgs, x, z, factor, y, weight, bias, rows, columns, depth, rank, accumulate)

namespace {
constexpr int kUnitCodes = 32;   // with one scale; 16 bytes of codes, half a row of a 64 x 64 block
constexpr int kTileColumns = 256;
constexpr int kUnits = kTileColumns * kTileDepth / kUnitCodes / 128;   // of a thread in each stage
constexpr int kFull = 1 + 4;   // arrivals: one with the bytes that TMA brings, and one of each warp that decodes

// What a thread makes of the codes of one tile of W after another.
template <bool kDepthRows>
struct CodeStages {
  const LowRankQuantizedHopperArgs& args;
  float table[16];
  Words codes[kUnits];   // of the next stage
  float scale[kUnits];

  __device__ __forceinline__ explicit CodeStages(const LowRankQuantizedHopperArgs& all) : args(all) {
#pragma unroll
    for (int i = 0; i < 16; ++i)
      table[i] = args.weight.table[i];
  }
  // A unit's place in a tile: row and first column of W. A warp has 16 rows of 64 codes forward and 8 rows of 128 for
  // the input gradient. Two neighbours have the halves of a sector of codes, and eight that write together are in
  // different banks.
  static __device__ __forceinline__ int row_of(int u) {
    const int group = int(threadIdx.x) / 32 * kUnits + u;
    return kDepthRows ? group / 2 * 8 + lane_id() / 16 * 4 + lane_id() / 2 % 4 : group * 16 + lane_id() / 2;
  }
  static __device__ __forceinline__ int column_of(int u) {
    const int group = int(threadIdx.x) / 32 * kUnits + u;
    return kUnitCodes * (kDepthRows ? group % 2 * 4 + lane_id() / 8 % 2 * 2 + lane_id() % 2 : lane_id() % 2);
  }
  static __device__ __forceinline__ unsigned offset(int u, int j) {
    const int row = row_of(u);
    const int column = column_of(u) + 8 * j;
    return column / 64 * kBlock + swizzle128(row * 128 + column % 64 * 2);
  }

  // Reads the codes of the tile at this depth. Those outside of W count as zero.
  __device__ __forceinline__ void read(int n0, int k0) {
    const QuantizedWeight& weight = args.weight;
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      const int row = row_of(u) + (kDepthRows ? k0 : n0);
      const int column = column_of(u) + (kDepthRows ? n0 : k0);
      scale[u] = 0;
      codes[u] = {};
      if (row < (kDepthRows ? args.depth : args.columns) && column < weight.columns) {
        int64_t left;
        scale[u] = scale_of(weight, block_of(weight, row, column, left));
        codes[u] = *reinterpret_cast<const Words*>(weight.codes + (int64_t(row) * weight.columns + column) / 2);
      }
    }
  }

  // Writes W of the codes that were read. A unit's 16 possible values are rounded first, and their low and high bytes
  // put apart: a byte permutation then looks four codes up at once, and no table in memory is read.
  __device__ __forceinline__ void write(unsigned char* tile) const {
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      uint32_t low[4], high[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const uint32_t a = bf16_pair(table[4 * i] * scale[u], table[4 * i + 1] * scale[u]);
        const uint32_t b = bf16_pair(table[4 * i + 2] * scale[u], table[4 * i + 3] * scale[u]);
        low[i] = byte_permute(a, b, 0x6420);
        high[i] = byte_permute(a, b, 0x7531);
      }
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const uint32_t word = codes[u].word[j];
        const uint32_t three = word & 0x77777777;                      // three bits of each code, within a half
        const uint32_t half = (word >> 1 & 0x44444444) | 0x32103210;   // the fourth says which half
        Words values;
#pragma unroll
        for (int h = 0; h < 2; ++h) {   // four codes; in each byte the second of two comes first
          const uint32_t in_half = three >> 16 * h;
          const uint32_t of_half = half >> 16 * h;
          const uint32_t lows =
              byte_permute(byte_permute(low[0], low[1], in_half), byte_permute(low[2], low[3], in_half), of_half);
          const uint32_t highs =
              byte_permute(byte_permute(high[0], high[1], in_half), byte_permute(high[2], high[3], in_half), of_half);
          values.word[2 * h] = byte_permute(lows, highs, 0x4051);
          values.word[2 * h + 1] = byte_permute(lows, highs, 0x6273);
        }
        *reinterpret_cast<Words*>(tile + offset(u, j)) = values;
      }
    }
  }
};

// Fills stages: 16 KB of x and 32 KB of W from codes, or of z and L by TMA alone.
template <bool kDepthRows>
__device__ __forceinline__ void fill(
    const LowRankQuantizedHopperArgs& args, unsigned char* shared, uint64_t* full, uint64_t* empty) {
  const Tiles<kTileColumns, 1> tiles(args);
  const int deep = ceil_div(args.depth, kTileDepth);
  const int low = ceil_div(args.rank, kTileDepth);
  CodeStages<kDepthRows> weight(args);
  Ring<kTileColumns> at;
  for (int t = int(blockIdx.x); t < tiles.rows * tiles.columns; t += int(gridDim.x)) {
    int m0, n0;
    tiles.place(t, 0, m0, n0);
    weight.read(n0, 0);
#pragma unroll 1
    for (int step = 0; step < deep + low; ++step, at.next()) {
      const bool base = step < deep;
      const int k0 = (base ? step : step - deep) * kTileDepth;
      unsigned char* stage = shared + at.index * at.kStage;
      uint64_t* bar = &full[at.index];
      mbar_wait(&empty[at.index], at.parity ^ 1);
      if (threadIdx.x == 0) {
        mbar_arrive_expect_tx(bar, base ? kXTile : at.kStage);
        tma_load_2d(stage, base ? &args.x : &args.z, bar, k0, m0);
        if (!base) {
          constexpr int kPart = kDepthRows ? 1 : 2;
#pragma unroll
          for (int part = 0; part < 4; part += kPart)
            tma_load_2d(
                stage + kXTile + part * kBlock,
                &args.factor,
                bar,
                kDepthRows ? n0 + 64 * part : k0,
                kDepthRows ? k0 : n0 + 64 * part);
        }
      }
      __syncwarp();
      if (base) {
        weight.write(stage + kXTile);
        fence_proxy_async();   // wgmma reads what these threads wrote
        if (step + 1 < deep)
          weight.read(n0, k0 + kTileDepth);   // arrives while the stages before it are multiplied
      }
      __syncwarp();
      if (lane_id() == 0)
        mbar_arrive(bar);
    }
  }
}

template <bool kDepthRows>
__device__ __forceinline__ void low_rank_quantized_hopper(const LowRankQuantizedHopperArgs& args) {
  DYNAMIC_SHARED(shared);
  hopper_product<kDepthRows, kTileColumns, 1, kFull, 96, 208>(
      args, shared, [&](uint64_t* full, uint64_t* empty, int) { fill<kDepthRows>(args, shared, full, empty); });
}
}   // namespace

SPECTRAL_KERNEL_CLUSTER(low_rank_quantized_4_hopper_forward_bf16, LowRankQuantizedHopperArgs, 384, 1) {
  low_rank_quantized_hopper<false>(args);
}
SPECTRAL_KERNEL_CLUSTER(low_rank_quantized_4_hopper_input_gradient_bf16, LowRankQuantizedHopperArgs, 384, 1) {
  low_rank_quantized_hopper<true>(args);
}

SPECTRAL_SHARED(low_rank_quantized_4_hopper_forward_bf16, kShared)
SPECTRAL_SHARED(low_rank_quantized_4_hopper_input_gradient_bf16, kShared)
