// Two-source matrix product: the frozen product and the low-rank one in one accumulator.
//
// Formula        forward:         y[t,n] = sum_k x[t,k] W[n,k] + sum_i z[t,i] L[n,i] + bias[n]
//                input gradient:  y[t,k] = sum_n x[t,n] W[n,k] + sum_i z[t,i] L[i,k]     (x = dy, z = s g c, L = R)
//                accumulate adds what y held before.
// Shapes         x [rows, depth]; z [rows, rank]; y [rows, columns]; bias [columns] or null
//                forward W [columns, depth], L [columns, rank]; input gradient W [depth, columns], L [rank, columns]
// Layout         row-major, contiguous; any size. Operands whose rows start on 16-byte boundaries (width a multiple of 8) are
//                copied asynchronously; the others element by element, with the same result.
// Types          BF16; z already carries the middle diagonal and the scale
// Accumulation   F32 in one chain over depth, then over rank; bias and old y join in F32; one rounding
// Grid/Block     one block of 256 threads per 128 x 128 tile of y, in groups of 8 tile rows so that W stays in L2; grid x only.
//                Dynamic shared memory 98,304 bytes.
// Bytes          2 (rows depth + columns depth + rows columns) + 2 rank (rows + columns)
// Flops          2 rows columns (depth + rank)
// Deterministic  yes
#include "spectral.cuh"
#include "tile.cuh"

struct LowRankLinearArgs {
  const void* x;
  const void* weight;
  const void* z;
  const void* factor;
  const void* bias;
  void* y;
  int rows;
  int columns;
  int depth;
  int rank;
  int accumulate;
};
SPECTRAL_LAYOUT(LowRankLinearArgs, x, weight, z, factor, bias, y, rows, columns, depth, rank, accumulate)

namespace {
constexpr int BM = 128, BN = 128, BK = 64, THREADS = 256, STAGES = 3;   // 8 warps, 2 x 4, each 64 x 32
constexpr int MT = 4, NT = 4, TILE = BM * BK * 2, STAGE = 2 * TILE;
constexpr int GROUP = 8;

// Offset of the four floats starting at `column` in the F32 tile through which accumulators become whole rows.
__device__ __forceinline__ int staged(int row, int column) { return row * BN + ((column / 4 ^ (row & 7)) * 4) + column % 4; }

// DEPTH_ROWS: weight and factor are [depth, columns] instead of [columns, depth].
template <bool DEPTH_ROWS> __device__ __forceinline__ void low_rank_linear(const LowRankLinearArgs& args) {
  DYNAMIC_SHARED(shared);
  const int warp = threadIdx.x / 32, lane = lane_id(), wm = warp / 4 * 64, wn = warp % 4 * 32;

  const int tile_rows = (args.rows + BM - 1) / BM, tile_columns = (args.columns + BN - 1) / BN;
  const int first = int(blockIdx.x) / (GROUP * tile_columns) * GROUP, in_group = int(blockIdx.x) % (GROUP * tile_columns);
  const int height = min(GROUP, tile_rows - first);
  const int m0 = (first + in_group % height) * BM, n0 = in_group / height * BN;

  const int deep = (args.depth + BK - 1) / BK, low = (args.rank + BK - 1) / BK;

  float d[MT][NT][4] = {};
  pipeline<STAGES, 1>(
      deep + low,
      [&](int step) {
        unsigned char* stage = shared + step % STAGES * STAGE;
        const bool base = step < deep;   // first the frozen operands, then the low-rank ones
        const int k0 = (base ? step : step - deep) * BK, depth = base ? args.depth : args.rank;
        load_tile<bf16, BM, BK, THREADS>(stage, tile_source<bf16>(base ? args.x : args.z, args.rows, depth, depth), m0, k0);
        const void* right = base ? args.weight : args.factor;
        if (DEPTH_ROWS)
          load_tile<bf16, BK, BN, THREADS>(stage + TILE, tile_source<bf16>(right, depth, args.columns, args.columns), k0, n0);
        else
          load_tile<bf16, BN, BK, THREADS>(stage + TILE, tile_source<bf16>(right, args.columns, depth, depth), n0, k0);
      },
      [&](int step, int) {
        const unsigned char* stage = shared + step % STAGES * STAGE;
#pragma unroll
        for (int k = 0; k < BK; k += 16)
          TileProduct<bf16>::add<BK * 2, false, DEPTH_ROWS ? BN * 2 : BK * 2, DEPTH_ROWS>(d, stage, wm, stage + TILE, wn, k);
      });

  // Through shared memory, so that rows of y are written in whole 16-byte vectors.
  float* out = reinterpret_cast<float*>(shared);
#pragma unroll
  for (int i = 0; i < MT; ++i)
#pragma unroll
    for (int j = 0; j < NT; ++j)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float* to = out + staged(wm + 16 * i + lane / 4 + 8 * h, wn + 8 * j + lane % 4 * 2);
        to[0] = d[i][j][2 * h], to[1] = d[i][j][2 * h + 1];
      }
  __syncthreads();

  bf16* y = static_cast<bf16*>(args.y);
  const bf16* bias = static_cast<const bf16*>(args.bias);
  const bool vectors = args.columns % 8 == 0 && is_aligned16(y);
  for (int i = threadIdx.x; i < BM * BN / 8; i += THREADS) {
    const int r = i / (BN / 8), c = i % (BN / 8) * 8, row = m0 + r, left = min(8, args.columns - n0 - c);
    if (row >= args.rows || left <= 0) continue;
    bf16* to = y + (long long)row * args.columns + n0 + c;
    float v[8];
#pragma unroll
    for (int e = 0; e < 8; ++e) v[e] = out[staged(r, c + e)];
    if (bias != nullptr)
#pragma unroll
      for (int e = 0; e < 8; ++e)
        if (e < left) v[e] += to_float(bias[n0 + c + e]);
    if (vectors) {
      if (args.accumulate) {
        float old[8];
        load_vector(to, old);
#pragma unroll
        for (int e = 0; e < 8; ++e) v[e] += old[e];
      }
      store_vector(to, v);
    } else {
#pragma unroll
      for (int e = 0; e < 8; ++e)
        if (e < left) to[e] = from_float<bf16>(args.accumulate ? v[e] + to_float(to[e]) : v[e]);
    }
  }
}
}  // namespace

SPECTRAL_KERNEL(low_rank_linear_forward_bf16, LowRankLinearArgs, 256) { low_rank_linear<false>(args); }
SPECTRAL_KERNEL(low_rank_linear_input_gradient_bf16, LowRankLinearArgs, 256) { low_rank_linear<true>(args); }
