// AdamW with both moments in 8 bits (Dettmers et al.: "8-bit Optimizers via Block-wise Quantization", 2021): blocks of
// 256 elements have codes of one byte and the largest magnitude in F32, as bitsandbytes stores them.
//
// Formula        g = clip gradient;  m, v = value of their code times the block's largest magnitude;  then as adamw.cu,
//                  and m and v become codes again;  nothing when the state says skip
// Shapes         parameter, gradient [count]; m, v codes [count], four to a word; m_most, v_most [ceil(count / 256)];
//                state one StepState; rate a number, the parameters' own factor of the learning rate
// Layout         contiguous, distinct arrays
// Types          F32; codes of m signed, of v without a sign (device/dynamic_code.cuh); bits after the last code are 0
// Accumulation   F32
// Grid/Block     8 lanes per block of 256 elements, 256 threads a block
// Bytes          16 count + 16 ceil(count / 256)
// Flops          13 count, without the codes
// Deterministic  yes
#include "code_words.cuh"
#include "dynamic_code.cuh"
#include "pieces.cuh"
#include "step_state.cuh"

struct AdamW8BitArgs {
  float* parameter;         // parameter [count]; updated; 16-byte aligned for vectors
  const float* gradient;    // its gradient [count]; read, not clipped in place; 16-byte aligned for vectors
  uint32_t* m;              // codes of the mean of gradients [ceil(count / 4)]; updated
  float* m_most;            // largest magnitude of it in each block [ceil(count / 256)], zeros at the start; updated
  uint32_t* v;              // codes of the mean of squared gradients [ceil(count / 4)]; updated
  float* v_most;            // largest of it in each block [ceil(count / 256)], zeros at the start; updated
  const StepState* state;   // one step state (device/step_state.cuh) that was advanced for this step; 8-byte aligned
  int64_t count;            // elements of the parameter
  // the parameter's own factor of the learning rate and of the weight decay that follows it; 1 is the state's rate
  float rate;
};
SPECTRAL_LAYOUT(AdamW8BitArgs, parameter, gradient, m, m_most, v, v_most, state, count, rate)

namespace {
constexpr int kCodeBlock = 256;   // elements that share a largest magnitude
constexpr int kCodeLanes = 8;     // lanes that share such a block
constexpr int kOwn = kCodeBlock / kCodeLanes;
}   // namespace

SPECTRAL_KERNEL_OCCUPANCY(adamw_8bit_f32, AdamW8BitArgs, kRowThreads, 2) {
  const StepState& state = *args.state;
  if (state.skip)
    return;
  const int64_t block = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / kCodeLanes;
  const int64_t begin = block * kCodeBlock + lane_id() % kCodeLanes * 4;
  const bool is_there = block * kCodeBlock < args.count;
  const bool aligned = is_aligned16(args.parameter, args.gradient);
  const float m_scale = is_there ? args.m_most[block] : 0;
  const float v_scale = is_there ? args.v_most[block] : 0;
  float g[kOwn], m[kOwn], v[kOwn];
#pragma unroll
  for (int own = 0; own < kOwn; own += 4) {
    const int64_t at = begin + own * kCodeLanes;
    const int valid = valid_of(args.count - at);
    uint32_t m_codes = 0, v_codes = 0;
    if (valid > 0) {
      m_codes = args.m[at / 4];
      v_codes = args.v[at / 4];
    }
    load_four(args.gradient + at, valid, aligned, g + own);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      m[own + i] = i < valid ? dynamic_value<true>(m_codes >> 8 * i & 255) : 0;
      v[own + i] = i < valid ? dynamic_value<false>(v_codes >> 8 * i & 255) : 0;
    }
  }
  float m_mosts[8] = {}, v_mosts[8] = {};
#pragma unroll
  for (int own = 0; own < kOwn; own += 8) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float gradient = g[own + i] * state.clip;
      const float before = m[own + i] * m_scale;
      const float first = before + state.one_minus_beta1 * (gradient - before);
      const float second = state.keep_beta2 * (v[own + i] * v_scale) + state.one_minus_beta2 * gradient * gradient;
      m[own + i] = first;
      v[own + i] = second;
      m_mosts[i] = fabsf(first) > m_mosts[i] ? fabsf(first) : m_mosts[i];
      v_mosts[i] = second > v_mosts[i] ? second : v_mosts[i];
    }
  }
  float mosts[2] = {largest_of(m_mosts), largest_of(v_mosts)};
  warp_max<kCodeLanes>(mosts);
  const float m_most = mosts[0], v_most = mosts[1];
  if (is_there && lane_id() % kCodeLanes == 0) {
    args.m_most[block] = m_most;
    args.v_most[block] = v_most;
  }
  const float decay = decay_of(state, args.rate);
  const float step_size = args.rate * state.step_size;
  const float m_divisor = m_most > 0 ? m_most : 1;
  const float v_divisor = v_most > 0 ? v_most : 1;
#pragma unroll
  for (int own = 0; own < kOwn; own += 8) {
    float p[8];
    int m_codes[8], v_codes[8];
#pragma unroll
    for (int four = 0; four < 8; four += 4) {
      const int64_t at = begin + (own + four) * kCodeLanes;
      load_four(args.parameter + at, valid_of(args.count - at), aligned, p + four);
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float first = m[own + i], second = v[own + i];
      p[i] = p[i] * decay - step_size * first / (sqrtf(second) * state.correction + state.epsilon_f);
      m_codes[i] = dynamic_code<true>(first / m_divisor);
      v_codes[i] = dynamic_code<false>(second / v_divisor);
    }
#pragma unroll
    for (int four = 0; four < 8; four += 4) {
      const int64_t at = begin + (own + four) * kCodeLanes;
      const int valid = valid_of(args.count - at);
      store_four(args.parameter + at, valid, aligned, p + four);
      if (valid > 0) {
        args.m[at / 4] = word_of(m_codes + four, valid);
        args.v[at / 4] = word_of(v_codes + four, valid);
      }
    }
  }
}
