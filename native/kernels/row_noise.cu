// Adds uniform noise to the rows of a matrix, each with a strength of its own (NEFTune: Jain et al., 2023).
//
// Formula        x[n,d] += scales[n] (2 u - 1), u uniform in [0, 1) from the number of the element
// Shapes         x [rows, width]; scales [rows]; state one DropoutState
// Layout         row-major, contiguous; any size
// Types          x F32 or BF16; scales F32
// Accumulation   F32
// Grid/Block     one thread per 16-byte vector, 256 a block
// Bytes          2 size(T) rows width
// Flops          4 rows width, and about 15 integer operations each
// Deterministic  yes: u follows from (seed, micro-batch, stream, element) alone, as dropout's masks do
#include "pieces.cuh"
#include "philox.cuh"
#include "step_state.cuh"

struct RowNoiseArgs {
  const DropoutState* state;   // seed and number of the micro-batch
  void* x;                     // matrix [rows, width], type of the entry; updated; 16-byte aligned for vectors
  const float* scales;         // largest noise of each row [rows]
  uint64_t stream;             // of the noise, below 2^32
  int64_t count;               // elements of the matrix
  int width;                   // elements of a row
};
SPECTRAL_LAYOUT(RowNoiseArgs, state, x, scales, stream, count, width)

namespace {
template <class T>
__device__ __forceinline__ void row_noise(const RowNoiseArgs& args) {
  constexpr int kWidth = kVector<T>;
  const int64_t at = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * kWidth;
  if (at >= args.count)
    return;
  const uint64_t seed = args.state->seed;
  T* x = static_cast<T*>(args.x) + at;
  const int width = int(min(int64_t(kWidth), args.count - at));
  const bool whole = width == kWidth && is_aligned16(args.x);
  float v[kWidth] = {};
  if (whole) {
    load_piece(x, v);
  } else {
#pragma unroll
    for (int e = 0; e < kWidth; ++e)
      if (e < width)
        v[e] = to_float(x[e]);
  }
  int64_t row = at / args.width;
  int column = int(at - row * args.width);
  float scale = args.scales[row];
#pragma unroll
  for (int part = 0; part < kWidth / 4; ++part) {
    // The bit in the counter's second word tells the numbers from those of a dropout mask and of drawn rows.
    const uint64_t quad = uint64_t(at) / 4 + part;
    const uint4 words = philox4x32_10(
        make_uint2(unsigned(seed), unsigned(seed >> 32)),
        make_uint4(
            unsigned(quad), unsigned(quad >> 32) | 0x40000000u, unsigned(args.stream), unsigned(args.state->offset)));
    float u[4];
    philox_uniforms(words, u);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int i = part * 4 + e;
      if (column == args.width && i < width) {
        column = 0;
        scale = args.scales[++row];
      }
      ++column;
      v[i] = __fmaf_rn(scale, 2.0f * u[e] - 1.0f, v[i]);
    }
  }
  if (whole) {
    store_piece(x, v);
  } else {
#pragma unroll
    for (int e = 0; e < kWidth; ++e)
      if (e < width)
        x[e] = from_float<T>(v[e]);
  }
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(row_noise_f32, RowNoiseArgs, kFlatThreads) { row_noise<float>(args); }
SPECTRAL_KERNEL_PLAIN(row_noise_bf16, RowNoiseArgs, kFlatThreads) { row_noise<bf16>(args); }
