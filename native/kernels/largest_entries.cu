// The k entries of largest magnitude, in ascending order of their places: the choice of a sparse mask. The host runs
// three passes of the histogram, each over the entries that agree with the digits known so far, and so learns the
// magnitude of the k-th entry; a count and a write then collect the places.
//
// Formula        key(v) = the bits of |v|, which are in the order of the magnitudes; 0 for NaN
//                histogram  bins[d] = number of i with key(x[i]) >> (shift + bits) = prefix and digit d, the bits from
//                           shift on
//                count      above[s], equal[s] = number of i in segment s with key > threshold, key = threshold
//                write      index[start[s]..] = ascending places in segment s with key > threshold, and the first
//                           ties[s] with key = threshold
// Shapes         x [count]; bins [2^bits], zero before; above, equal, start, ties [segments]; index [k]
// Layout         contiguous; a segment is 256 entries; count below 2^31
// Types          x F32; all else I32
// Accumulation   I32
// Grid/Block     histogram: blocks of 256 threads, each over 65536 entries, static shared memory 8 KiB.
//                count, write: one thread per segment, whose lines its L1 cache holds
// Bytes          4 count each pass, five in all
// Flops          0
// Deterministic  yes: the only atomics add integers, and of equal magnitudes the lowest places are taken
#include "pieces.cuh"

struct LargestEntriesHistogramArgs {
  const float* x;   // x [count]
  int* bins;        // bins [2^bits]; added to
  int count;        // entries of x
  int prefix;       // the digits above, which an entry's key has to have
  int shift;        // lowest bit of the digit
  int bits;         // bits of the digit, at most 11
};
SPECTRAL_LAYOUT(LargestEntriesHistogramArgs, x, bins, count, prefix, shift, bits)

struct LargestEntriesArgs {
  const float* x;   // x [count]
  int* above;       // count: entries above the threshold per segment, written. write: where it starts in the index
  int* equal;       // count: entries at the threshold per segment, written. write: how many of them are taken
  int* index;       // places of the largest entries [k]; written by write, null to count
  int count;        // entries of x
  int threshold;    // key of the k-th entry
};
SPECTRAL_LAYOUT(LargestEntriesArgs, x, above, equal, index, count, threshold)

namespace {
constexpr int kSegment = 256;
constexpr int kChunk = 1 << 16;
constexpr int kMostBins = 1 << 11;

__device__ __forceinline__ int magnitude_key(float v) { return v != v ? 0 : int(__float_as_uint(v) & 0x7fffffffu); }
}   // namespace

SPECTRAL_KERNEL(largest_entries_histogram, LargestEntriesHistogramArgs, kFlatThreads) {
  __shared__ int bins[kMostBins];
  const int used = 1 << args.bits;
  for (int bin = threadIdx.x; bin < used; bin += blockDim.x)
    bins[bin] = 0;
  __syncthreads();
  const int64_t begin = int64_t(blockIdx.x) * kChunk;
  const int64_t end = min(begin + kChunk, int64_t(args.count));
  for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    const int key = magnitude_key(args.x[i]);
    if (key >> (args.shift + args.bits) == args.prefix)
      atomicAdd(&bins[(key >> args.shift) & (used - 1)], 1);
  }
  __syncthreads();
  for (int bin = threadIdx.x; bin < used; bin += blockDim.x)
    if (bins[bin] > 0)
      atomicAdd(&args.bins[bin], bins[bin]);
}
SPECTRAL_STATIC_SHARED(largest_entries_histogram, kMostBins* int(sizeof(int)))

SPECTRAL_KERNEL_PLAIN(largest_entries_count, LargestEntriesArgs, kFlatThreads) {
  const int64_t segment = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t begin = segment * kSegment;
  const int64_t end = min(begin + kSegment, int64_t(args.count));
  if (begin >= args.count)
    return;
  int above = 0;
  int equal = 0;
  for (int64_t i = begin; i < end; ++i) {
    const int key = magnitude_key(args.x[i]);
    above += key > args.threshold;
    equal += key == args.threshold;
  }
  args.above[segment] = above;
  args.equal[segment] = equal;
}

SPECTRAL_KERNEL_PLAIN(largest_entries_write, LargestEntriesArgs, kFlatThreads) {
  const int64_t segment = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t begin = segment * kSegment;
  const int64_t end = min(begin + kSegment, int64_t(args.count));
  if (begin >= args.count)
    return;
  int place = args.above[segment];
  int ties = args.equal[segment];
  for (int64_t i = begin; i < end; ++i) {
    const int key = magnitude_key(args.x[i]);
    const bool tied = key == args.threshold && ties > 0;
    ties -= tied;
    if (key > args.threshold || tied)
      args.index[place++] = int(i);
  }
}
