// Clips the entries of matrices at a quantile of the magnitudes of each, without the host. Three rounds of counting and
// choosing each settle a digit of the two magnitudes between which the quantile lies.
//
// Formula        key(v) = the bits of |v|, which are in the order of the magnitudes; 0 for NaN
//                count   bins[w][d] = number of i whose key has the digits known of magnitude w, and digit d next
//                choose  digit w = the one at which the sum of the bins exceeds rank w; rank w -= the sum before it
//                clip    e = v0 + fraction (v1 - v0) with the magnitudes v0, v1 of ranks lower, upper (from 0,
//                        ascending);  x = min(max(x, -e), e), NaN as it is
// Shapes         x [batch, count]; bins [batch, 2, 2048], zero before each round, which choose sees to; chosen
//                [batch, 4]: digits known of both magnitudes, then what is left of both ranks
// Layout         contiguous; count below 2^31
// Types          x F32; all else I32
// Accumulation   I32
// Grid/Block     count: blocks of 256 threads, each over 65536 entries, static shared memory 16 KiB. choose: a block of
//                256 threads per matrix, static shared memory 512 bytes. clip: one thread per 16-byte vector, 256 a
//                block. Matrices along y, of choose along x
// Bytes          4 count; 32 KiB; 8 count; of each matrix
// Flops          0, 0, 2 count; of each matrix
// Deterministic  yes: the only atomics add integers
#include "pieces.cuh"

struct ClipQuantileArgs {
  float* x;    // x [batch, count]; updated by clip alone, where 16-byte alignment allows vectors
  int* bins;   // bins [batch, 2, 2048]; zero before count, read and cleared by choose
  // digits known of both, ranks left of both [batch, 4]; written by choose, which takes lower and upper at the start
  int* chosen;
  int count;        // entries of a matrix
  int shift;        // lowest bit of the digit of this round
  int bits;         // bits of the digit, at most 11
  int lower;        // rank of the lower magnitude
  int upper;        // rank of the upper one, at most one more
  float fraction;   // how far the quantile is from the lower to the upper
};
SPECTRAL_LAYOUT(ClipQuantileArgs, x, bins, chosen, count, shift, bits, lower, upper, fraction)

namespace {
constexpr int kChunk = 1 << 16;
constexpr int kMostBins = 1 << 11;
constexpr int kRuns = kMostBins / 32;
constexpr int kKeyBits = 31;

__device__ __forceinline__ int magnitude_key(float v) { return v != v ? 0 : int(__float_as_uint(v) & 0x7fffffffu); }
}   // namespace

SPECTRAL_KERNEL(clip_quantile_count, ClipQuantileArgs, kFlatThreads) {
  __shared__ int bins[2 * kMostBins];
  const int used = 1 << args.bits;
  for (int bin = threadIdx.x; bin < 2 * kMostBins; bin += blockDim.x)
    bins[bin] = 0;
  __syncthreads();
  const bool first = args.shift + args.bits == kKeyBits;
  const int lower = first ? 0 : args.chosen[4 * blockIdx.y];
  const int upper = first ? 0 : args.chosen[4 * blockIdx.y + 1];
  const float* x = args.x + int64_t(blockIdx.y) * args.count;
  const int64_t begin = int64_t(blockIdx.x) * kChunk;
  const int64_t end = min(begin + kChunk, int64_t(args.count));
  for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    const int key = magnitude_key(x[i]);
    const int known = key >> (args.shift + args.bits);
    const int digit = (key >> args.shift) & (used - 1);
    if (known == lower)
      atomicAdd(&bins[digit], 1);
    if (known == upper)
      atomicAdd(&bins[kMostBins + digit], 1);
  }
  __syncthreads();
  for (int bin = threadIdx.x; bin < 2 * kMostBins; bin += blockDim.x)
    if (bins[bin] > 0)
      atomicAdd(&args.bins[int64_t(blockIdx.y) * 2 * kMostBins + bin], bins[bin]);
}
SPECTRAL_STATIC_SHARED(clip_quantile_count, 2 * kMostBins * int(sizeof(int)))

SPECTRAL_KERNEL(clip_quantile_choose, ClipQuantileArgs, kFlatThreads) {
  __shared__ int sums[2 * kRuns];
  int* bins = args.bins + int64_t(blockIdx.x) * 2 * kMostBins;
  int* chosen = args.chosen + 4 * blockIdx.x;
  for (int run = threadIdx.x / 32; run < 2 * kRuns; run += blockDim.x / 32) {
    int sum = bins[run * 32 + threadIdx.x % 32];
    for (int m = 16; m > 0; m /= 2)
      sum += __shfl_xor_sync(~0u, sum, m);
    if (threadIdx.x % 32 == 0)
      sums[run] = sum;
  }
  __syncthreads();
  if (threadIdx.x < 2) {
    const int w = threadIdx.x;
    const bool first = args.shift + args.bits == kKeyBits;
    const int known = first ? 0 : chosen[w];
    int rank = first ? (w == 0 ? args.lower : args.upper) : chosen[2 + w];
    int run = 0;
    while (run < kRuns - 1 && sums[w * kRuns + run] <= rank)
      rank -= sums[w * kRuns + run++];
    int digit = run * 32;
    while (digit < run * 32 + 31 && bins[w * kMostBins + digit] <= rank)
      rank -= bins[w * kMostBins + digit++];
    chosen[w] = (known << args.bits) | digit;
    chosen[2 + w] = rank;
  }
  __syncthreads();
  for (int bin = threadIdx.x; bin < 2 * kMostBins; bin += blockDim.x)
    bins[bin] = 0;
}
SPECTRAL_STATIC_SHARED(clip_quantile_choose, 2 * kRuns * int(sizeof(int)))

SPECTRAL_KERNEL_PLAIN(clip_quantile_clip, ClipQuantileArgs, kFlatThreads) {
  const float lower = __int_as_float(args.chosen[4 * blockIdx.y]);
  const float upper = __int_as_float(args.chosen[4 * blockIdx.y + 1]);
  float* all = args.x + int64_t(blockIdx.y) * args.count;
  // Without the comparison two infinities would give NaN.
  const float most = lower == upper ? lower : lower + args.fraction * (upper - lower);
  by_piece<float>(args.count, is_aligned16(all), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float x[kWidth];
    load_piece(all + at, x);
    for (int i = 0; i < kWidth; ++i)
      x[i] = x[i] > most ? most : x[i] < -most ? -most : x[i];
    store_piece(all + at, x);
  });
}
