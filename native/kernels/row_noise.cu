// Adds uniform noise to the rows of a matrix, each with a strength of its own (NEFTune: Jain et al., 2023).
//
// Formula        x[n,d] += scales[n] (2 u - 1), u uniform in [0, 1) from the number of the element
// Shapes         x [rows, width]; scales [rows]; state one DropoutState
// Layout         row-major, contiguous; any size
// Types          x F32 or BF16; scales F32
// Accumulation   F32
// Grid/Block     one thread per 4 elements, 256 a block
// Bytes          2 size(T) rows width
// Flops          4 rows width, and about 15 integer operations each
// Deterministic  yes: u follows from (seed, micro-batch, stream, element) alone, as dropout's masks do
#include "pieces.cuh"
#include "philox.cuh"
#include "step_state.cuh"

struct RowNoiseArgs {
  const DropoutState* state;   // seed and number of the micro-batch
  void* x;                     // matrix [rows, width], type of the entry; noise is added to it
  const float* scales;         // largest noise of each row [rows]
  uint64_t stream;             // of the noise, below 2^32
  int64_t count;               // elements of the matrix
  int width;                   // elements of a row
};
SPECTRAL_LAYOUT(RowNoiseArgs, state, x, scales, stream, count, width)

namespace {
template <class T>
__device__ __forceinline__ void row_noise(const RowNoiseArgs& args) {
  const int64_t quad = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t at = quad * 4;
  if (at >= args.count)
    return;
  // The bit in the counter's second word tells the numbers from those of a dropout mask and of drawn rows.
  const uint64_t seed = args.state->seed;
  const uint4 words = philox4x32_10(
      make_uint2(unsigned(seed), unsigned(seed >> 32)),
      make_uint4(
          unsigned(quad), unsigned(quad >> 32) | 0x40000000u, unsigned(args.stream), unsigned(args.state->offset)));
  float u[4];
  philox_uniforms(words, u);
  T* x = static_cast<T*>(args.x) + at;
#pragma unroll
  for (int e = 0; e < 4; ++e)
    if (at + e < args.count)
      x[e] = from_float<T>(__fmaf_rn(args.scales[(at + e) / args.width], 2.0f * u[e] - 1.0f, to_float(x[e])));
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(row_noise_f32, RowNoiseArgs, kFlatThreads) { row_noise<float>(args); }
SPECTRAL_KERNEL_PLAIN(row_noise_bf16, RowNoiseArgs, kFlatThreads) { row_noise<bf16>(args); }
