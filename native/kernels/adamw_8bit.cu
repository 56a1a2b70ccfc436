// AdamW with both moments in 8 bits (Dettmers et al.: "8-bit Optimizers via Block-wise Quantization", 2021): blocks of
// 256 elements have codes of one byte and the largest magnitude in F32, as bitsandbytes stores them.
//
// Formula        g = clip gradient;  m, v = value of their code times the block's largest magnitude;  then as adamw.cu,
//                  and m and v become codes again;  nothing when the state says skip
// Shapes         parameter, gradient [batch, count]; m, v codes [batch, count], four to a word; m_most, v_most
//                [batch, ceil(count / 256)]; state one StepState; rate a number, the parameters' own factor of the
//                learning rate
// Layout         parameters and gradients lie stride elements apart, all else is contiguous; distinct arrays
// Types          F32; codes of m signed, of v without a sign (device/dynamic_code.cuh); bits after the last code are 0
// Accumulation   F32
// Grid/Block     8 lanes per block of 256 elements, 256 threads a block, parameters along y
// Bytes          batch (16 count + 16 ceil(count / 256))
// Flops          13 batch count, without the codes
// Deterministic  yes
#include "code_words.cuh"
#include "dynamic_code.cuh"
#include "pieces.cuh"
#include "step_state.cuh"

struct AdamW8BitArgs {
  float* parameter;         // parameters [batch, count]; updated; 16-byte aligned for vectors
  const float* gradient;    // gradients [batch, count]; read, not clipped in place; 16-byte aligned for vectors
  uint32_t* m;              // codes of the mean of gradients [batch, ceil(count / 4)]; updated
  float* m_most;            // largest magnitude in each block [batch, ceil(count / 256)], zeros at the start; updated
  uint32_t* v;              // codes of the mean of squared gradients [batch, ceil(count / 4)]; updated
  float* v_most;            // largest of it in each block [batch, ceil(count / 256)], zeros at the start; updated
  const StepState* state;   // one step state (device/step_state.cuh) that was advanced for this step; 8-byte aligned
  int64_t stride;           // elements from a parameter to the next
  int64_t count;            // elements of a parameter
  // the parameter's own factor of the learning rate and of the weight decay that follows it; 1 is the state's rate
  float rate;
};
SPECTRAL_LAYOUT(AdamW8BitArgs, parameter, gradient, m, m_most, v, v_most, state, stride, count, rate)

namespace {
constexpr int kCodeBlock = 256;   // elements that share a largest magnitude
constexpr int kCodeLanes = 8;     // lanes that share such a block
constexpr int kOwn = kCodeBlock / kCodeLanes;
// Elements from a lane's first to the end of its last four.
constexpr int kSpan = kCodeBlock - 4 * (kCodeLanes - 1);

// A lane's elements: fours that lie 4 kCodeLanes apart. kWhole: all are there and aligned.
struct Lane {
  int64_t element, word;   // of the first of its elements, of their codes
  int left;                // elements of the block from the first on
  bool aligned;            // for pieces of 16 bytes

  // The moments of this step and their largest magnitudes, by their bits: unlike those of floats, such maxima become
  // vectors.
  template <bool kWhole>
  __device__ __forceinline__ void moments(
      const AdamW8BitArgs& args, float m_scale, float v_scale, float (&m)[kOwn], float (&v)[kOwn],
      float (&mosts)[2]) const {
    const StepState& state = *args.state;
    float g[kOwn];
#pragma unroll
    for (int own = 0; own < kOwn; own += 4) {
      const int at = own * kCodeLanes;
      const int valid = kWhole ? 4 : valid_of(left - at);
      uint32_t m_codes = 0, v_codes = 0;
      if (valid > 0) {
        m_codes = args.m[word + at / 4];
        v_codes = args.v[word + at / 4];
      }
      load_four(args.gradient + element + at, valid, kWhole || aligned, g + own);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        m[own + i] = i < valid ? dynamic_value<true>(m_codes >> 8 * i & 255) : 0;
        v[own + i] = i < valid ? dynamic_value<false>(v_codes >> 8 * i & 255) : 0;
      }
    }
    int m_bits = 0, v_bits = 0;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const float clipped = g[i] * state.clip;
      const float before = m[i] * m_scale;
      m[i] = before + state.one_minus_beta1 * (clipped - before);
      v[i] = state.keep_beta2 * (v[i] * v_scale) + state.one_minus_beta2 * clipped * clipped;
      m_bits = max(m_bits, magnitude_bits(m[i]));
      v_bits = max(v_bits, magnitude_bits(v[i]));
    }
    mosts[0] = __int_as_float(m_bits);
    mosts[1] = __int_as_float(v_bits);
  }

  // The step, and the codes of the moments.
  template <bool kWhole>
  __device__ __forceinline__ void step(
      const AdamW8BitArgs& args, const float (&m)[kOwn], const float (&v)[kOwn], float m_most, float v_most) const {
    const StepState& state = *args.state;
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
        const int at = (own + four) * kCodeLanes;
        load_four(args.parameter + element + at, kWhole ? 4 : valid_of(left - at), kWhole || aligned, p + four);
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
        const int at = (own + four) * kCodeLanes;
        const int valid = kWhole ? 4 : valid_of(left - at);
        store_four<false>(args.parameter + element + at, valid, kWhole || aligned, p + four);
        if (valid > 0) {
          args.m[word + at / 4] = word_of(m_codes + four, valid);
          args.v[word + at / 4] = word_of(v_codes + four, valid);
        }
      }
    }
  }
};
}   // namespace

SPECTRAL_KERNEL_OCCUPANCY(adamw_8bit_f32, AdamW8BitArgs, kRowThreads, 2) {
  const StepState& state = *args.state;
  if (state.skip)
    return;
  const int64_t block = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / kCodeLanes;
  const int64_t begin = block * kCodeBlock + lane_id() % kCodeLanes * 4;
  // Offsets of this lane, not pointers: six of those would not fit the registers.
  const Lane lane{
      blockIdx.y * args.stride + begin,
      blockIdx.y * ceil_div(args.count, int64_t(4)) + begin / 4,
      int(max(int64_t(0), min(args.count - begin, int64_t(kCodeBlock)))),
      is_aligned16(args.parameter, args.gradient) && args.stride % 4 == 0};
  const bool is_there = block * kCodeBlock < args.count;
  const bool is_whole = kWholePath && lane.left >= kSpan && lane.aligned;
  const int place = int(blockIdx.y * ceil_div(args.count, int64_t(kCodeBlock)) + block);
  const float m_scale = is_there ? args.m_most[place] : 0;
  const float v_scale = is_there ? args.v_most[place] : 0;
  float m[kOwn], v[kOwn];
  float mosts[2];
  if (is_whole)
    lane.moments<true>(args, m_scale, v_scale, m, v, mosts);
  else
    lane.moments<false>(args, m_scale, v_scale, m, v, mosts);
  warp_max<kCodeLanes>(mosts);
  if (is_there && lane_id() % kCodeLanes == 0) {
    args.m_most[place] = mosts[0];
    args.v_most[place] = mosts[1];
  }
  if (is_whole)
    lane.step<true>(args, m, v, mosts[0], mosts[1]);
  else
    lane.step<false>(args, m, v, mosts[0], mosts[1]);
}
