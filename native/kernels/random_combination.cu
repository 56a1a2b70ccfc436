// Linear combinations of random directions, which are generated again wherever they are read: NOLA (Koohpayegani et
// al., arXiv 2310.02556).
//
// Formula        forward   y[e] = base[e] + sum over i of alpha[i] u_i[e]
//                backward  partials[i, c] = sum over e of chunk c of dy[e] u_i[e]; their sums are dalpha
//                u_i[e]    uniform in [-bound, bound): element e of philox.cu's array of stream first_stream + i
// Shapes         base, y, dy [count], base null for 0; alpha [n]; partials [n, chunks]
// Layout         contiguous; y may be base
// Types          F32; partials F64
// Accumulation   forward F32, 8 sums over every 8th direction, then those in order; backward F64
// Grid/Block     forward: 128 elements a block of 8 warps, each warp every 8th direction; static shared memory 4 KB for
//                the warps' sums. backward: one warp per direction and chunk, 8 a block
// Bytes          8 count forward, 4 count n backward, from the L2; no direction is ever stored
// Flops          2 count n, and for each 4 elements of a direction about 100 integer operations, which are the cost
// Deterministic  yes
// NaN            passes on
#include "pieces.cuh"

struct RandomCombinationArgs {
  const float* base;       // base [count]; null: zeros
  const float* alpha;      // factors [n]
  float* y;                // y [count]; written; may be the base
  uint64_t seed;           // key of the Philox generator
  uint64_t first_stream;   // stream of the first direction; the others follow it
  int64_t count;           // elements of y
  int n;                   // directions
  float bound;             // elements of a direction are uniform between -bound and bound
};
SPECTRAL_LAYOUT(RandomCombinationArgs, base, alpha, y, seed, first_stream, count, n, bound)

struct RandomCombinationBackwardArgs {
  const float* dy;         // dy [count]
  double* partials;        // partial sums [n, chunks]; written
  uint64_t seed;           // key of the Philox generator
  uint64_t first_stream;   // stream of the first direction; the others follow it
  int64_t count;           // elements of dy
  int64_t chunk;           // elements that one partial covers, a multiple of 4
  int n;                   // directions
  int chunks;              // partials per direction
  float bound;             // elements of a direction are uniform between -bound and bound
};
SPECTRAL_LAYOUT(RandomCombinationBackwardArgs, dy, partials, seed, first_stream, count, chunk, n, chunks, bound)

namespace {
constexpr int kSlices = kRowThreads / 32;
constexpr int kElements = 128;

// Elements 4 quad .. 4 quad + 3 of a direction, the same bits as philox_uniform_f32 writes.
__device__ __forceinline__ void direction(uint64_t seed, uint64_t stream, int64_t quad, float bound, float (&u)[4]) {
  philox_uniforms(philox_words(seed, stream, quad), u);
  for (int k = 0; k < 4; ++k)
    u[k] = __fmaf_rn(u[k], 2 * bound, -bound);
}
}   // namespace

SPECTRAL_KERNEL(random_combination_forward, RandomCombinationArgs, kRowThreads) {
  __shared__ __align__(16) float part[kSlices][kElements];
  const int slice = threadIdx.x / 32;
  const int64_t quad = int64_t(blockIdx.x) * 32 + lane_id();
  float sum[4] = {};
  if (quad * 4 < args.count) {
    for (int i = slice; i < args.n; i += kSlices) {
      float u[4];
      direction(args.seed, args.first_stream + i, quad, args.bound, u);
      const float alpha = args.alpha[i];
      for (int k = 0; k < 4; ++k)
        sum[k] = fmaf(alpha, u[k], sum[k]);
    }
  }
  // As a whole: one by one, each of the four would meet those of three other lanes in its bank.
  store_piece(&part[slice][lane_id() * 4], sum);
  __syncthreads();
  const int64_t e = int64_t(blockIdx.x) * kElements + threadIdx.x;
  if (threadIdx.x >= kElements || e >= args.count)
    return;
  float total = args.base ? args.base[e] : 0.0f;
  for (int s = 0; s < kSlices; ++s)
    total += part[s][threadIdx.x];
  args.y[e] = total;
}
SPECTRAL_STATIC_SHARED(random_combination_forward, kSlices* kElements* int(sizeof(float)))

SPECTRAL_KERNEL(random_combination_backward, RandomCombinationBackwardArgs, kRowThreads) {
  const int64_t i = warp_row() / args.chunks;
  const int chunk = int(warp_row() - i * args.chunks);
  if (i >= args.n)
    return;
  const int64_t begin = chunk * args.chunk;
  const int64_t end = min(begin + args.chunk, args.count);
  double sum = 0;
  for (int64_t quad = begin / 4 + lane_id(); quad * 4 < end; quad += 32) {
    float u[4];
    direction(args.seed, args.first_stream + i, quad, args.bound, u);
    for (int k = 0; k < 4; ++k)
      if (quad * 4 + k < end)
        sum += double(args.dy[quad * 4 + k]) * u[k];
  }
  sum = warp_sum(sum);
  if (lane_id() == 0)
    args.partials[i * args.chunks + chunk] = sum;
}
