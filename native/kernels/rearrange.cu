// Takes elements by a fixed table of indices, some with a factor, and sums gradients back: makes tiled, block-diagonal,
// skew-symmetric, permuted or sparse factors from stored parameters.
//
// Formula        forward   y[e] = factors[e] x[index[e]], 0 where index[e] is -1
//                backward  dx[s] = sum over k in offsets[s] .. offsets[s+1] of factors[e] dy[e], e = entries[k] (+
//                          dx[s])
// Shapes         index, factors, y, dy [count], factors null for all ones; x, dx [sources]; offsets [sources + 1];
//                entries [those not -1]
// Layout         contiguous; y does not overlap x. The entries of a source are in ascending order
// Types          F32; index, offsets, entries I32
// Accumulation   backward F64 in the order of the entries
// Grid/Block     forward: one thread per element, 256 a block. backward: one thread per source;
//                rearrange_backward_long: a warp per source
// Bytes          forward 12 count, backward 8 count + 8 sources; 4 count more for factors
// Flops          at most count; backward count in F64
// Deterministic  yes
// NaN            passes on where it is taken; elements that no index names are not read, nor is dx unless it
//                accumulates
#include "pieces.cuh"

struct RearrangeForwardArgs {
  const float* x;         // x, which index picks from
  const int* index;       // index into x of each element [count]; -1 gives 0
  const float* factors;   // factor of each element [count]; null: ones
  float* y;               // y [count]; written; must not overlap x
  int64_t count;          // elements of y
};
SPECTRAL_LAYOUT(RearrangeForwardArgs, x, index, factors, y, count)

struct RearrangeBackwardArgs {
  const float* dy;        // dy, the gradient of y
  const int* offsets;     // where each source's entries begin [sources + 1]
  const int* entries;     // elements that were taken of each source, in ascending order, I32
  const float* factors;   // factor of each element of y; null: ones
  float* dx;              // dx [sources]
  int sources;            // elements of dx
  int accumulate;         // 1: add to what dx holds; 0: overwrite
};
SPECTRAL_LAYOUT(RearrangeBackwardArgs, dy, offsets, entries, factors, dx, sources, accumulate)

SPECTRAL_KERNEL_PLAIN(rearrange_forward, RearrangeForwardArgs, kFlatThreads) {
  const int64_t e = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (e >= args.count)
    return;
  const int from = args.index[e];
  const float value = from < 0 ? 0.0f : args.x[from];
  args.y[e] = args.factors ? args.factors[e] * value : value;
}

namespace {
__device__ __forceinline__ double rearrange_sum(const RearrangeBackwardArgs& args, int begin, int end, int step) {
  double sum = 0;
  for (int k = begin; k < end; k += step) {
    const int e = args.entries[k];
    sum += args.factors ? double(args.factors[e]) * args.dy[e] : double(args.dy[e]);
  }
  return sum;
}
__device__ __forceinline__ void rearrange_store(const RearrangeBackwardArgs& args, int64_t source, double sum) {
  args.dx[source] = float(args.accumulate ? args.dx[source] + sum : sum);
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(rearrange_backward, RearrangeBackwardArgs, kFlatThreads) {
  const int64_t source = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (source >= args.sources)
    return;
  rearrange_store(args, source, rearrange_sum(args, args.offsets[source], args.offsets[source + 1], 1));
}

SPECTRAL_KERNEL(rearrange_backward_long, RearrangeBackwardArgs, kRowThreads) {
  const int64_t source = warp_row();
  if (source >= args.sources)
    return;
  const double sum = warp_sum(rearrange_sum(args, args.offsets[source] + lane_id(), args.offsets[source + 1], 32));
  if (lane_id() == 0)
    rearrange_store(args, source, sum);
}
