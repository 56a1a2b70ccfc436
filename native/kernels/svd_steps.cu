// The last steps of truncated SVDs: conversion between F32 and F64, truncation of the values, residual norms, signs.
//
// Formula        widen: y = x; narrow: y = x
//                truncate: s_c = value_c, or 0 where value_c <= tolerance * value_0; probes[c, j] *= s_c
//                norms: norm[b, j] = ||x[b, j, :]||
//                signs: each pair (left_c, right_c) times the sign of the entry of right_c that is largest in
//                magnitude, the first of equals, so that this entry is not negative
// Shapes         widen, narrow [count]; values [>= k], s [k], probes [k, p], of a batch; x [batch][p, n], norm
//                [batch][p]; left [k, m], right [k, n], one vector per row
// Types          f32, f64 in widen and narrow
// Accumulation   norms f64, else none
// Grid/Block     one thread per element; truncate: one per row of probes, y = matrix; norms: block (j, b), static
//                shared memory 256 bytes; signs: one warp per pair
// Bytes          12 count; 8 k p; 4 p n; 4 k n read, up to 8 k (m + n) more where the sign changes
// Flops          k p; 2 p n
// Deterministic  yes
#include "spectral.cuh"

struct SvdWidenArgs {
  const float* x;   // x [count]
  double* y;        // y [count]; written
  int count;        // elements of x
};
SPECTRAL_LAYOUT(SvdWidenArgs, x, y, count)

struct SvdNarrowArgs {
  const double* x;   // x [count]
  float* y;          // y [count]; written
  int count;         // elements of x
};
SPECTRAL_LAYOUT(SvdNarrowArgs, x, y, count)

struct SvdTruncateArgs {
  const float* values;   // singular values, descending, [at least rank] per matrix, stride apart
  float* s;              // values kept [rank] per matrix, stride apart; written
  float* probes;         // probes [batch, rank, columns]; each row is multiplied by its value
  int rank;              // values kept per matrix
  int columns;           // columns of the probes
  int stride;            // elements from the values of one matrix to those of the next
  float tolerance;       // values at or below this part of the first become 0
};
SPECTRAL_LAYOUT(SvdTruncateArgs, values, s, probes, rank, columns, stride, tolerance)

struct SvdNormsArgs {
  const float* x;       // rows [batch][rows, length], matrices x_stride apart
  float* norm;          // norms [rows] per matrix, norm_stride apart; written
  long long x_stride;   // elements from the rows of one matrix to those of the next
  int length;           // elements of a row
  int norm_stride;      // elements from the norms of one matrix to those of the next
};
SPECTRAL_LAYOUT(SvdNormsArgs, x, norm, x_stride, length, norm_stride)

struct SvdSignsArgs {
  float* left;        // left vectors [pairs, left_length]; updated
  float* right;       // right vectors [pairs, right_length]; updated; their largest entries become positive
  int left_length;    // elements of a left vector
  int right_length;   // elements of a right vector
};
SPECTRAL_LAYOUT(SvdSignsArgs, left, right, left_length, right_length)

SPECTRAL_KERNEL_PLAIN(svd_widen, SvdWidenArgs, 256) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < args.count)
    args.y[i] = args.x[i];
}

SPECTRAL_KERNEL_PLAIN(svd_narrow, SvdNarrowArgs, 256) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < args.count)
    args.y[i] = float(args.x[i]);
}

SPECTRAL_KERNEL_PLAIN(svd_truncate, SvdTruncateArgs, 64) {
  const int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= args.rank)
    return;
  const float* values = args.values + (long long)blockIdx.y * args.stride;
  const float value = values[c] <= args.tolerance * values[0] ? 0.0f : values[c];
  args.s[(long long)blockIdx.y * args.stride + c] = value;
  float* row = args.probes + ((long long)blockIdx.y * args.rank + c) * args.columns;
  for (int j = 0; j < args.columns; ++j)
    row[j] *= value;
}

SPECTRAL_KERNEL(svd_norms, SvdNormsArgs, 256) {
  const float* x = args.x + blockIdx.y * args.x_stride + (long long)blockIdx.x * args.length;
  double sum = 0;
  for (int i = threadIdx.x; i < args.length; i += blockDim.x)
    sum += double(x[i]) * double(x[i]);
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    args.norm[blockIdx.y * args.norm_stride + blockIdx.x] = float(sqrt(sum));
}
SPECTRAL_STATIC_SHARED(svd_norms, kBlockSumShared<double>)

SPECTRAL_KERNEL(svd_signs, SvdSignsArgs, 32) {
  float* right = args.right + (long long)blockIdx.x * args.right_length;
  float* left = args.left + (long long)blockIdx.x * args.left_length;
  float most = -1;
  int at = 0;
  for (int i = threadIdx.x; i < args.right_length; i += 32)
    if (fabsf(right[i]) > most) {
      most = fabsf(right[i]);
      at = i;
    }
  // Each lane has its largest entry. Among the lanes that hold the largest of all, the smallest index wins; its entry
  // is read before any lane changes one.
  const float largest = warp_max(most);
  const unsigned holders = __ballot_sync(~0u, most == largest);
  int first = 0x7fffffff;
  for (int lane = 0; lane < 32; ++lane) {
    const int index = __shfl_sync(~0u, at, lane);
    if (holders >> lane & 1)
      first = min(first, index);
  }
  const bool negative = right[first] < 0;
  __syncwarp();
  if (!negative)
    return;
  for (int i = threadIdx.x; i < args.right_length; i += 32)
    right[i] = -right[i];
  for (int i = threadIdx.x; i < args.left_length; i += 32)
    left[i] = -left[i];
}
