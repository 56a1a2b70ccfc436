// Reorders the dimensions of an array: transposes of factors and of blocks.
//
// Formula        y[i0,i1,i2,i3] = x[i0 s0 + i1 s1 + i2 s2 + i3 s3] (+ y[i0,i1,i2,i3]), s the strides of x in the order
//                of y's dimensions
// Shapes         y [d0, d1, d2, d3]; x the same dimensions in another order
// Layout         both row-major and contiguous; y does not overlap x
// Types          F32
// Accumulation   F32, one addition
// Grid/Block     one thread per element of y, 256 a block: writes are coalesced, reads only where the last dimension
//                stays
// Bytes          8 per element, 12 where it accumulates
// Flops          none, or one per element
// Deterministic  yes
// NaN            passes on; y is not read unless it accumulates
#include "spectral.cuh"

struct PermuteArgs {
  const float* x;    // x [count]
  float* y;          // y [count]; must not overlap x
  int64_t count;     // elements of x
  int64_t stride0;   // elements of x from one index of y's first dimension to the next
  int64_t stride1;   // elements of x from one index of y's second dimension to the next
  int64_t stride2;   // elements of x from one index of y's third dimension to the next
  int64_t stride3;   // elements of x from one index of y's last dimension to the next
  int dim1;          // length of y's second dimension
  int dim2;          // length of y's third dimension
  int dim3;          // length of y's last dimension
  int accumulate;    // 1: add to what y holds; 0: overwrite
};
SPECTRAL_LAYOUT(PermuteArgs, x, y, count, stride0, stride1, stride2, stride3, dim1, dim2, dim3, accumulate)

SPECTRAL_KERNEL_PLAIN(permute, PermuteArgs, 256) {
  const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= args.count)
    return;
  const int64_t row2 = at / args.dim3;
  const int64_t row1 = row2 / args.dim2;
  const int64_t i0 = row1 / args.dim1;
  const float value = args
                          .x[i0 * args.stride0 + (row1 - i0 * args.dim1) * args.stride1 +
                             (row2 - row1 * args.dim2) * args.stride2 + (at - row2 * args.dim3) * args.stride3];
  args.y[at] = args.accumulate ? args.y[at] + value : value;
}
