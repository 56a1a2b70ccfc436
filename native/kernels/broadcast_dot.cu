// Sums of products over the columns, the rows or all of a matrix: norms of a factor's rows and columns, and the adjoint
// of broadcasting.
//
// Formula        result[k] = scale * sum over j of x[k,j] y[k,j] (+ result[k])         rows;
//                  one row of all elements: the whole sum
//                result[k] = scale * sum over i of x[i,k] y[i,k] (+ result[k])         columns
//                in chunks that depend on the lengths alone: partials[k, c], then finish adds them
// Shapes         x, y [rows, columns]; result [rows] or [columns]; partials [results, chunks]
// Layout         row-major, contiguous; y may be x
// Types          x, y, result F32; partials F64
// Accumulation   F64: a product of two F32 is exact in it, and differences of norms of nearly equal size keep their
//                digits
// Grid/Block     rows: one warp per row and chunk, 8 a block. columns: one thread per column and chunk, 256 a block,
//                neighbours on neighbouring columns. finish: one warp per result. One chunk alone writes the result
//                itself
// Bytes          8 rows columns (4 when y is x and the cache holds what was just read)
// Flops          2 rows columns in F64
// Deterministic  yes
// NaN            passes on; result is not read unless it accumulates
#include "pieces.cuh"

struct BroadcastDotArgs {
  const float* x;   // x [rows, columns]; 16-byte aligned for vectors
  const float* y;   // y [rows, columns]; may be x; 16-byte aligned for vectors
  // partial sums [sums, chunks]; null when one chunk covers a sum and the result is written directly
  double* partials;
  float* result;     // result, one F32 per row or column; used when partials is 0
  int64_t rows;      // rows of x; 1 when everything is summed
  int64_t columns;   // columns of x, or all elements when everything is summed
  int64_t chunk;     // elements of a sum that one partial covers; along rows a multiple of 4
  int chunks;        // partials per sum
  float scale;       // factor of the finished sums
  int accumulate;    // 1: add to what the result holds; 0: overwrite
};
SPECTRAL_LAYOUT(BroadcastDotArgs, x, y, partials, result, rows, columns, chunk, chunks, scale, accumulate)

struct BroadcastDotFinishArgs {
  const double* partials;   // partial sums [results, chunks]
  float* result;            // result [results]
  int results;              // number of sums
  int chunks;               // partials per sum
  float scale;              // factor of the sums
  int accumulate;           // 1: add to what the result holds; 0: overwrite
};
SPECTRAL_LAYOUT(BroadcastDotFinishArgs, partials, result, results, chunks, scale, accumulate)

namespace {
__device__ __forceinline__ void store_dot(float* result, double sum, float scale, int accumulate) {
  *result = float(double(scale) * sum + (accumulate ? double(*result) : 0.0));
}
__device__ __forceinline__ void store_dot(const BroadcastDotArgs& args, int64_t k, int chunk, double sum) {
  if (args.partials)
    args.partials[k * args.chunks + chunk] = sum;
  else
    store_dot(args.result + k, sum, args.scale, args.accumulate);
}
}   // namespace

SPECTRAL_KERNEL(broadcast_dot_rows, BroadcastDotArgs, kRowThreads) {
  const int64_t row = warp_row() / args.chunks;
  const int chunk = int(warp_row() - row * args.chunks);
  if (row >= args.rows)
    return;
  const int64_t begin = chunk * args.chunk;
  const int64_t end = min(begin + args.chunk, args.columns);
  const float* x = args.x + row * args.columns;
  const float* y = args.y + row * args.columns;
  double sum[4] = {};
  const int64_t whole = is_aligned16(x) && is_aligned16(y) ? begin + (end - begin) / 4 * 4 : begin;
  for (int64_t j = begin + lane_id() * 4; j < whole; j += 128) {
    float a[4], b[4];
    load_piece(x + j, a);
    load_piece(y + j, b);
    for (int i = 0; i < 4; ++i)
      sum[i] += double(a[i]) * b[i];
  }
  for (int64_t j = whole + lane_id(); j < end; j += 32)
    sum[0] += double(x[j]) * y[j];
  const double total = warp_sum(sum[0] + sum[1] + (sum[2] + sum[3]));
  if (lane_id() == 0)
    store_dot(args, row, chunk, total);
}

SPECTRAL_KERNEL_PLAIN(broadcast_dot_columns, BroadcastDotArgs, kFlatThreads) {
  const int64_t thread = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t chunk = thread / args.columns;
  const int64_t column = thread - chunk * args.columns;
  if (chunk >= args.chunks)
    return;
  const int64_t begin = chunk * args.chunk;
  const int64_t end = min(begin + args.chunk, args.rows);
  double sum[4] = {};   // independent sums, so that an addition does not wait for the one before
  int64_t i = begin;
  for (; i + 4 <= end; i += 4)
    for (int k = 0; k < 4; ++k)
      sum[k] += double(args.x[(i + k) * args.columns + column]) * args.y[(i + k) * args.columns + column];
  for (; i < end; ++i)
    sum[0] += double(args.x[i * args.columns + column]) * args.y[i * args.columns + column];
  store_dot(args, column, int(chunk), sum[0] + sum[1] + (sum[2] + sum[3]));
}

SPECTRAL_KERNEL(broadcast_dot_finish, BroadcastDotFinishArgs, kRowThreads) {
  const int64_t k = warp_row();
  if (k >= args.results)
    return;
  double sum = 0;
  for (int c = lane_id(); c < args.chunks; c += 32)
    sum += args.partials[k * args.chunks + c];
  sum = warp_sum(sum);
  if (lane_id() == 0)
    store_dot(args.result + k, sum, args.scale, args.accumulate);
}
