// Last steps of a truncated SVD: types of the small problem, truncation of values, and signs.
//
// Formula        widen: y = x; narrow: y = x
//                truncate: s_c = value_c, or 0 where value_c <= tolerance * value_0; probes[c, j] *= s_c
//                signs: each pair (left_c, right_c) times the sign of the entry of right_c that is largest in magnitude,
//                the first of equals, so that this entry is not negative
// Shapes         widen, narrow [count]; values [>= k], s [k], probes [k, p]; left [k, m], right [k, n], one vector per row
// Types          f32, f64 in widen and narrow
// Accumulation   none
// Grid/Block     one thread per element; truncate: one per row of probes; signs: one warp per pair
// Bytes          12 count; 8 k p; 4 k n read, up to 8 k (m + n) more where the sign changes
// Flops          k p
// Deterministic  yes
#include "spectral.cuh"

struct SvdWidenArgs {
  const float* x;
  double* y;
  int count;
};
SPECTRAL_LAYOUT(SvdWidenArgs, x, y, count)

struct SvdNarrowArgs {
  const double* x;
  float* y;
  int count;
};
SPECTRAL_LAYOUT(SvdNarrowArgs, x, y, count)

struct SvdTruncateArgs {
  const float* values;
  float* s;
  float* probes;
  int rank, columns;
  float tolerance;
};
SPECTRAL_LAYOUT(SvdTruncateArgs, values, s, probes, rank, columns, tolerance)

struct SvdSignsArgs {
  float* left;
  float* right;
  int left_length, right_length;
};
SPECTRAL_LAYOUT(SvdSignsArgs, left, right, left_length, right_length)

SPECTRAL_KERNEL_PLAIN(svd_widen, SvdWidenArgs, 256) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < args.count) args.y[i] = args.x[i];
}

SPECTRAL_KERNEL_PLAIN(svd_narrow, SvdNarrowArgs, 256) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < args.count) args.y[i] = float(args.x[i]);
}

SPECTRAL_KERNEL_PLAIN(svd_truncate, SvdTruncateArgs, 64) {
  const int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= args.rank) return;
  const float value = args.values[c] <= args.tolerance * args.values[0] ? 0.0f : args.values[c];
  args.s[c] = value;
  for (int j = 0; j < args.columns; ++j) args.probes[c * args.columns + j] *= value;
}

SPECTRAL_KERNEL(svd_signs, SvdSignsArgs, 32) {
  float* right = args.right + (long long)blockIdx.x * args.right_length;
  float* left = args.left + (long long)blockIdx.x * args.left_length;
  float most = -1;
  int at = 0;
  for (int i = threadIdx.x; i < args.right_length; i += 32)
    if (fabsf(right[i]) > most) most = fabsf(right[i]), at = i;
  // One entry per lane: the largest, then among the lanes that hold it the smallest index, read before anything changes.
  const float largest = warp_max(most);
  const unsigned holders = __ballot_sync(~0u, most == largest);
  int first = 0x7fffffff;
  for (int lane = 0; lane < 32; ++lane) {
    const int index = __shfl_sync(~0u, at, lane);
    if (holders >> lane & 1) first = min(first, index);
  }
  const bool negative = right[first] < 0;
  __syncwarp();
  if (!negative) return;
  for (int i = threadIdx.x; i < args.right_length; i += 32) right[i] = -right[i];
  for (int i = threadIdx.x; i < args.left_length; i += 32) left[i] = -left[i];
}
