// Two-source matrix product: the frozen product and the low-rank one in one accumulator.
//
// Formula        forward:         y[t,n] = sum_k x[t,k] W[n,k] + sum_i z[t,i] L[n,i] + bias[n]
//                input gradient:  y[t,k] = sum_n x[t,n] W[n,k] + sum_i z[t,i] L[i,k]     (x = dy, z = s g c, L = R)
//                accumulate adds what y held before.
// Shapes         x [rows, depth]; z [rows, rank]; y [rows, columns]; bias [columns] or null
//                forward W [columns, depth], L [columns, rank]; input gradient W [depth, columns], L [rank, columns]
// Layout         row-major, contiguous; any size. Operands whose rows start on 16-byte boundaries
//                (width a multiple of 8) are copied asynchronously; the others element by element, with the same
//                result. So are y and bias.
// Types          BF16; z already carries the middle diagonal and the scale
// Accumulation   F32 in one chain over depth, then over rank; bias and old y join in F32; one rounding
// Grid/Block     one block of 128 threads per 128 x 128 tile of y, in groups of 8 tile rows so that W stays in L2;
//                grid x only. Dynamic shared memory 49,152 bytes.
// Bytes          2 (rows depth + columns depth + rows columns) + 2 rank (rows + columns)
// Flops          2 rows columns (depth + rank)
// Deterministic  yes
#include "low_rank_tile.cuh"

struct LowRankLinearArgs {
  const void* x;   // x, or dy, [rows, depth] BF16; 16-byte aligned for vectors
  // W, BF16: [columns, depth] forward, [depth, columns] for the input gradient; 16-byte aligned for vectors
  const void* weight;
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
  int rank;           // columns of z, the length of the low-rank product's sums
  int accumulate;     // 1: add to what y holds; 0: overwrite
};
SPECTRAL_LAYOUT(LowRankLinearArgs, x, weight, z, factor, bias, y, rows, columns, depth, rank, accumulate)

namespace {
// kDepthRows: weight and factor are [depth, columns] instead of [columns, depth].
template <bool kDepthRows>
__device__ __forceinline__ void low_rank_linear(const LowRankLinearArgs& args) {
  DYNAMIC_SHARED(shared);
  low_rank_product<kDepthRows>(args, shared, [&](int n0) {
    return PlainTiles<kDepthRows>{RightCopies<kDepthRows>(args.weight, args.columns, args.depth, n0)};
  });
}
}   // namespace

SPECTRAL_KERNEL_OCCUPANCY(low_rank_linear_forward_bf16, LowRankLinearArgs, 128, 2) { low_rank_linear<false>(args); }
SPECTRAL_KERNEL_OCCUPANCY(low_rank_linear_input_gradient_bf16, LowRankLinearArgs, 128, 2) {
  low_rank_linear<true>(args);
}

SPECTRAL_SHARED(low_rank_linear_forward_bf16, kShared)
SPECTRAL_SHARED(low_rank_linear_input_gradient_bf16, kShared)
