// Muon's momentum in 8 bits (Jordan et al.: "Muon: An optimizer for hidden layers in neural networks", 2024): blocks of
// 2048 elements have codes of one byte and the largest magnitude in F32.
//
// Formula        m = code most / 127;  m = momentum m + clip gradient, x = momentum m + clip gradient;
//                  most = max |m| of the block, code = round(127 m / most);  nothing when the state says skip
// Shapes         gradient, x [batch, count]; codes [batch, count], four to a word; most [batch, ceil(count / 2048)];
//                state one StepState; momentum a number
// Layout         gradients lie stride elements apart, all else is contiguous; distinct arrays
// Types          F32; codes from -127 to 127 in two's complement; bits after the last code are 0
// Accumulation   F32
// Grid/Block     one warp per block of 2048 elements, 8 a block, gradients along y
// Bytes          batch (10 count + 8 ceil(count / 2048))
// Flops          5 batch count, without the codes
// Deterministic  yes
#include "code_words.cuh"
#include "pieces.cuh"
#include "step_state.cuh"

struct Muon8BitArgs {
  const float* gradient;    // gradients [batch, count]; read, not clipped in place; 16-byte aligned for vectors
  uint32_t* m;              // codes of the sum of past gradients [batch, ceil(count / 4)]; updated
  float* most;              // largest magnitude in each block [batch, ceil(count / 2048)], zeros at the start; updated
  float* x;                 // what is to become orthogonal [batch, count]; written; 16-byte aligned for vectors
  const StepState* state;   // one step state (device/step_state.cuh) that was advanced for this step; 8-byte aligned
  int64_t stride;           // elements from a gradient to the next
  int64_t count;            // elements of a gradient
  float momentum;           // what is left of m in a step
};
SPECTRAL_LAYOUT(Muon8BitArgs, gradient, m, most, x, state, stride, count, momentum)

namespace {
constexpr int kCodeBlock = 2048;   // elements that share a largest magnitude
constexpr int kOwn = kCodeBlock / 32;
constexpr float kCodes = 127;   // the code of the largest magnitude
}   // namespace

SPECTRAL_KERNEL(muon_8bit_momentum_f32, Muon8BitArgs, kRowThreads) {
  const StepState& state = *args.state;
  const int64_t block = warp_row();
  if (state.skip || block * kCodeBlock >= args.count)
    return;
  const int64_t begin = block * kCodeBlock + lane_id() * 4;
  const float* gradient = args.gradient + blockIdx.y * args.stride;
  float* directions = args.x + blockIdx.y * args.count;
  uint32_t* words = args.m + blockIdx.y * ceil_div(args.count, int64_t(4));
  float* most_of = args.most + blockIdx.y * ceil_div(args.count, int64_t(kCodeBlock)) + block;
  const bool aligned = is_aligned16(gradient, directions);
  const float unit = *most_of / kCodes;
  float m[kOwn];
  int bits = 0;   // of the largest magnitude; unlike those of floats, such maxima become vectors
#pragma unroll
  for (int own = 0; own < kOwn; own += 8) {
    float g[8], x[8];
#pragma unroll
    for (int four = 0; four < 8; four += 4) {
      const int64_t at = begin + (own + four) * 32;
      const int valid = valid_of(args.count - at);
      const uint32_t word = valid > 0 ? words[at / 4] : 0;
      load_four(gradient + at, valid, aligned, g + four);
#pragma unroll
      for (int i = 0; i < 4; ++i)
        m[own + four + i] = float(int8_t(word >> 8 * i & 255));
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float clipped = g[i] * state.clip;
      const float sum = args.momentum * (m[own + i] * unit) + clipped;
      m[own + i] = sum;
      x[i] = args.momentum * sum + clipped;
      bits = max(bits, magnitude_bits(sum));
    }
#pragma unroll
    for (int four = 0; four < 8; four += 4) {
      const int64_t at = begin + (own + four) * 32;
      store_four<true>(directions + at, valid_of(args.count - at), aligned, x + four);
    }
  }
  const float most = warp_max(__int_as_float(bits));
  if (lane_id() == 0)
    *most_of = most;
  const float divisor = most > 0 ? most : 1;
#pragma unroll
  for (int own = 0; own < kOwn; own += 4) {
    int codes[4];
#pragma unroll
    for (int i = 0; i < 4; ++i)
      codes[i] = int(rintf(m[own + i] / divisor * kCodes));
    const int64_t at = begin + own * 32;
    const int valid = valid_of(args.count - at);
    if (valid > 0)
      words[at / 4] = word_of(codes, valid);
  }
}
