// Arrays of random numbers whose value at index i depends on (seed, stream, i) alone: not on the launch, the array's
// length or the device.
//
// Formula        words = philox4x32_10(key = seed, counter = (i / 4, stream)), 64 bits each, low word first
//                uniform: low + (high - low) (words[i % 4] >> 8) / 2^24
//                normal:  mean + deviation z, z by Box-Muller from words (0, 1) for i % 4 = 0, 1 and words (2, 3) for
//                         2, 3
// Shapes         destination [count]
// Layout         contiguous
// Types          F32 (F64 inside normal)
// Accumulation   none
// Grid/Block     one thread per four values, 256 a block
// Bytes          4 count
// Flops          uniform 2 count and 25 integer operations; normal about 60 count in F64
// Deterministic  yes, and the same on every device
#include "pieces.cuh"

struct PhiloxArgs {
  float* destination;   // numbers [count]; written; 16-byte aligned for vectors
  uint64_t seed;        // key of the Philox generator
  uint64_t stream;      // upper half of the generator's counter; different streams are independent
  int64_t count;        // numbers wanted
  float offset;         // low end of the uniform numbers, or mean of the normal ones
  float factor;         // width of the uniform numbers, or standard deviation of the normal ones
};
SPECTRAL_LAYOUT(PhiloxArgs, destination, seed, stream, count, offset, factor)

namespace {
template <bool kNormal>
__device__ __forceinline__ void philox(const PhiloxArgs& args) {
  const int64_t quad = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t at = quad * 4;
  if (at >= args.count)
    return;
  const uint4 words = philox_words(args.seed, args.stream, quad);
  float v[4];
  if (kNormal)
    philox_normals(words, v);
  else
    philox_uniforms(words, v);
  for (int i = 0; i < 4; ++i)
    v[i] = __fmaf_rn(v[i], args.factor, args.offset);
  if (at + 4 <= args.count && is_aligned16(args.destination)) {
    store_piece(args.destination + at, v);
  } else {
    for (int i = 0; i < 4; ++i)
      if (at + i < args.count)
        args.destination[at + i] = v[i];
  }
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(philox_uniform_f32, PhiloxArgs, kFlatThreads) { philox<false>(args); }
SPECTRAL_KERNEL_PLAIN(philox_normal_f32, PhiloxArgs, kFlatThreads) { philox<true>(args); }
