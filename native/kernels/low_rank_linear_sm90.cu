// Two-source matrix product for Hopper: the frozen product and the low-rank one in one accumulator, by TMA and wgmma.
//
// Formula        forward:         y[t,n] = sum_k x[t,k] W[n,k] + sum_i z[t,i] L[n,i] + bias[n]
//                input gradient:  y[t,k] = sum_n x[t,n] W[n,k] + sum_i z[t,i] L[i,k]     (x = dy, z = s g c, L = R)
//                accumulate adds what y held before.
// Shapes         x [rows, depth]; z [rows, rank]; y [rows, columns]; bias [columns] or null
//                forward W [columns, depth], L [columns, rank]; input gradient W [depth, columns], L [rank, columns]
// Layout         row-major behind tensor maps (128-byte swizzle): rows may be further apart than they are wide. 16-byte
//                aligned addresses and strides, depth, rank and columns multiples of 8; tails are TMA's zeros and
//                clipping. Boxes of columns x rows: x and z 64 x 128; y 64 x 64; W and L of 64 columns and, forward,
//                half as many rows as the tile has columns, for the input gradient 64 rows, or 32 for tiles of 64
//                columns.
// Types          BF16; z already carries the middle diagonal and the scale
// Accumulation   F32 in one chain over depth, then over rank; bias and old y join in F32; one rounding
// Grid/Block     persistent: at most one block of 384 threads per SM, a multiple of the cluster; grid x only. One
//                warpgroup loads, two multiply halves of 64 rows of a tile of 128 x 256 (_128, _64: of as many
//                columns). The two blocks of a cluster have neighbouring tile rows and share W: each loads half of it
//                for both (_single: clusters of one, for a single tile row). Tiles go in groups of 2,048 rows, so that
//                a wave's part of x and W stays in L2. Dynamic shared memory 229,632 bytes: 4 stages of 48 KB, 6 of
//                32 KB or 8 of 24 KB, and 32 KB of y.
// Bytes          2 (rows depth + columns depth + rows columns) + 2 rank (rows + columns)
// Flops          2 rows columns (depth + rank)
// Deterministic  yes
#include "low_rank_hopper.cuh"

struct LowRankLinearHopperArgs {
  TensorMap x;   // x, or dy, [rows, depth] BF16, in boxes of 128 rows x 64 columns
  // W, BF16: [columns, depth] in boxes of half the tile's columns x 64 forward; [depth, columns] in boxes of 64 x 64,
  // or 32 x 64 for tiles of 64 columns, for the input gradient
  TensorMap weight;
  // the low-rank activations, scaled and times the middle diagonal, [rows, rank] BF16, in boxes of 128 x 64
  TensorMap z;
  // the outer factor, BF16, in boxes as those of W: L [columns, rank] forward, R [rank, columns] for the input gradient
  TensorMap factor;
  TensorMap y;        // y, or dx, [rows, columns] BF16, in boxes of 64 x 64; written
  const void* bias;   // bias [columns] BF16; null: none
  int rows;           // rows of x and y (tokens)
  int columns;        // columns of y, a multiple of 8
  int depth;          // columns of x, the length of the frozen product's sums, a multiple of 8
  int rank;           // columns of z, the length of the low-rank product's sums, a multiple of 8
  int accumulate;     // 1: add to what y holds; 0: overwrite
};
SPECTRAL_LAYOUT(LowRankLinearHopperArgs, x, weight, z, factor, y, bias, rows, columns, depth, rank, accumulate)

namespace {
// Fills stages: 16 KB of x (or z) for this block and up to 32 KB of W (or L), of which each block of a pair loads half
// for both.
template <bool kDepthRows, int kColumns, int kCluster>
__device__ __forceinline__ void produce(
    const LowRankLinearHopperArgs& args, unsigned char* shared, uint64_t* full, uint64_t* empty, int rank) {
  constexpr int kBoxRows = !kDepthRows ? kColumns / 2 : kColumns == 64 ? 32 : 64;
  constexpr int kBoxes = kColumns / kBoxRows / kCluster;   // of 64 columns: kTileDepth of them make W's part
  const Tiles<kColumns, kCluster> tiles(args);
  const int deep = ceil_div(args.depth, kTileDepth);
  const int low = ceil_div(args.rank, kTileDepth);
  Ring<kColumns> at;
  for (int t = int(blockIdx.x) / kCluster; t < tiles.rows * tiles.columns; t += int(gridDim.x) / kCluster) {
    int m0, n0;
    tiles.place(t, rank, m0, n0);
#pragma unroll 1
    for (int step = 0; step < deep + low; ++step, at.next()) {
      const bool base = step < deep;   // first the frozen operands, then the low-rank ones
      const int k0 = (base ? step : step - deep) * kTileDepth;
      unsigned char* stage = shared + at.index * at.kStage;
      uint64_t* bar = &full[at.index];
      mbar_wait(&empty[at.index], at.parity ^ 1);
      mbar_arrive_expect_tx(bar, at.kStage);
      tma_load_2d(stage, base ? &args.x : &args.z, bar, k0, m0);
      const TensorMap* right = base ? &args.weight : &args.factor;
#pragma unroll
      for (int i = 0; i < kBoxes; ++i) {
        const int row = (rank * kBoxes + i) * kBoxRows;   // of W's part: a column of y, or a depth of 64 columns of y
        const int column = kDepthRows ? n0 + row / 64 * 64 : k0;
        const int at_row = kDepthRows ? k0 + row % 64 : n0 + row;
        unsigned char* to = stage + kXTile + row * kTileDepth * 2;
        if (kCluster == 1)
          tma_load_2d(to, right, bar, column, at_row);
        else
          tma_load_2d_multicast(to, right, bar, column, at_row, 3);
      }
    }
  }
}

template <bool kDepthRows, int kColumns, int kCluster>
__device__ __forceinline__ void low_rank_linear_hopper(const LowRankLinearHopperArgs& args) {
  DYNAMIC_SHARED(shared);
  hopper_product<kDepthRows, kColumns, kCluster, 1, 40, 232>(
      args, shared, [&](uint64_t* full, uint64_t* empty, int rank) {
        if (threadIdx.x == 0)
          produce<kDepthRows, kColumns, kCluster>(args, shared, full, empty, rank);
      });
}
}   // namespace

SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_forward_bf16, LowRankLinearHopperArgs, 384, 2) {
  low_rank_linear_hopper<false, 256, 2>(args);
}
SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_forward_single_bf16, LowRankLinearHopperArgs, 384, 1) {
  low_rank_linear_hopper<false, 256, 1>(args);
}
SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_forward_128_bf16, LowRankLinearHopperArgs, 384, 2) {
  low_rank_linear_hopper<false, 128, 2>(args);
}
SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_forward_128_single_bf16, LowRankLinearHopperArgs, 384, 1) {
  low_rank_linear_hopper<false, 128, 1>(args);
}
SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_forward_64_bf16, LowRankLinearHopperArgs, 384, 2) {
  low_rank_linear_hopper<false, 64, 2>(args);
}
SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_forward_64_single_bf16, LowRankLinearHopperArgs, 384, 1) {
  low_rank_linear_hopper<false, 64, 1>(args);
}
SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_input_gradient_bf16, LowRankLinearHopperArgs, 384, 2) {
  low_rank_linear_hopper<true, 256, 2>(args);
}
SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_input_gradient_single_bf16, LowRankLinearHopperArgs, 384, 1) {
  low_rank_linear_hopper<true, 256, 1>(args);
}
SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_input_gradient_128_bf16, LowRankLinearHopperArgs, 384, 2) {
  low_rank_linear_hopper<true, 128, 2>(args);
}
SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_input_gradient_128_single_bf16, LowRankLinearHopperArgs, 384, 1) {
  low_rank_linear_hopper<true, 128, 1>(args);
}
SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_input_gradient_64_bf16, LowRankLinearHopperArgs, 384, 2) {
  low_rank_linear_hopper<true, 64, 2>(args);
}
SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_input_gradient_64_single_bf16, LowRankLinearHopperArgs, 384, 1) {
  low_rank_linear_hopper<true, 64, 1>(args);
}

SPECTRAL_SHARED(low_rank_linear_hopper_forward_bf16, kShared)
SPECTRAL_SHARED(low_rank_linear_hopper_forward_single_bf16, kShared)
SPECTRAL_SHARED(low_rank_linear_hopper_forward_128_bf16, kShared)
SPECTRAL_SHARED(low_rank_linear_hopper_forward_128_single_bf16, kShared)
SPECTRAL_SHARED(low_rank_linear_hopper_forward_64_bf16, kShared)
SPECTRAL_SHARED(low_rank_linear_hopper_forward_64_single_bf16, kShared)
SPECTRAL_SHARED(low_rank_linear_hopper_input_gradient_bf16, kShared)
SPECTRAL_SHARED(low_rank_linear_hopper_input_gradient_single_bf16, kShared)
SPECTRAL_SHARED(low_rank_linear_hopper_input_gradient_128_bf16, kShared)
SPECTRAL_SHARED(low_rank_linear_hopper_input_gradient_128_single_bf16, kShared)
SPECTRAL_SHARED(low_rank_linear_hopper_input_gradient_64_bf16, kShared)
SPECTRAL_SHARED(low_rank_linear_hopper_input_gradient_64_single_bf16, kShared)
