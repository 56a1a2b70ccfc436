// Sums and norms of whole arrays in two launches. The order of additions depends on the lengths alone.
//
// Formula        partials[k] = sum of x (or of x^2) over chunk k;  result = sum of partials, or its square root
// Shapes         x [count]; partials [chunks]; result [1]
// Layout         contiguous
// Types          x F32; partials F64; result F32
// Accumulation   F64
// Grid/Block     partials: one warp per chunk, 8 a block. finish: one block of 256 threads,
//                static shared memory 256 bytes
// Bytes          4 count
// Flops          count (2 count for squares), in F64
// Deterministic  yes
#include "pieces.cuh"

struct ReductionsPartialArgs {
  const float* x;     // x [count]; 16-byte aligned for vectors
  double* partials;   // partial sums, one F64 per chunk; written
  int64_t count;      // elements of x
  int64_t chunk;      // elements that one partial covers, a multiple of 4
};
SPECTRAL_LAYOUT(ReductionsPartialArgs, x, partials, count, chunk)

struct ReductionsFinishArgs {
  const double* partials;   // partial sums [count]
  float* result;            // result, one F32; written
  int count;                // partial sums
  int root;                 // 1: the square root of the sum; 0: the sum
};
SPECTRAL_LAYOUT(ReductionsFinishArgs, partials, result, count, root)

namespace {
template <bool kSquare>
__device__ __forceinline__ void reductions_partial(const ReductionsPartialArgs& args) {
  const int64_t begin = warp_row() * args.chunk;
  const int64_t end = min(begin + args.chunk, args.count);
  if (begin >= args.count)
    return;
  double sum[4] = {};
  const int64_t whole = is_aligned16(args.x) ? begin + (end - begin) / 4 * 4 : begin;
  for (int64_t i = begin + lane_id() * 4; i < whole; i += 128) {
    float v[4];
    load_piece(args.x + i, v);
    for (int k = 0; k < 4; ++k)
      sum[k] += kSquare ? double(v[k]) * v[k] : double(v[k]);
  }
  for (int64_t i = whole + lane_id(); i < end; i += 32)
    sum[0] += kSquare ? double(args.x[i]) * args.x[i] : double(args.x[i]);
  const double total = warp_sum(sum[0] + sum[1] + (sum[2] + sum[3]));
  if (lane_id() == 0)
    args.partials[warp_row()] = total;
}
}   // namespace

SPECTRAL_KERNEL(reductions_sum, ReductionsPartialArgs, kRowThreads) { reductions_partial<false>(args); }
SPECTRAL_KERNEL(reductions_squares, ReductionsPartialArgs, kRowThreads) { reductions_partial<true>(args); }

SPECTRAL_KERNEL(reductions_finish, ReductionsFinishArgs, 256) {
  double sum = 0;
  for (int i = threadIdx.x; i < args.count; i += blockDim.x)
    sum += args.partials[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    *args.result = float(args.root ? sqrt(sum) : sum);
}
SPECTRAL_STATIC_SHARED(reductions_finish, kBlockSumShared<double>)
