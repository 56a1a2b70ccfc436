// AdamW (Loshchilov, Hutter: "Decoupled weight decay regularization", 2019), with what changes from step to step kept on the device
// so that a captured step stays valid.
//
// Formula        optimizer_state: if the norm is not finite, skip = 1 and nothing else changes; else t += 1,
//                  clip = max_norm > 0 ? min(1, max_norm / (norm + 1e-6)) : 1, step_size = learning_rate / (1 - beta1^t),
//                  decay = 1 - learning_rate weight_decay, correction = 1 / sqrt(1 - beta2^t)
//                adamw: g = clip gradient;  p = p decay;  m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;
//                  p -= step_size m / (sqrt(v) correction + epsilon)
// Shapes         parameter, gradient, m, v [count]; state one OptimizerState; norm [1] or null
// Layout         contiguous, distinct arrays
// Types          F32; the state's settings F64, what it derives from them F32 (rounded once)
// Accumulation   F32; bias corrections in F64
// Grid/Block     optimizer_state one thread; adamw one thread per 16-byte vector, 256 a block
// Bytes          adamw 28 count
// Flops          adamw 13 count
// Deterministic  yes
#include "pieces.cuh"

struct OptimizerState {
  double learning_rate, beta1, beta2, epsilon, weight_decay, max_norm;   // written by the host
  double step;                                                           // updates made so far
  double norm;                                                           // of the last gradient, before clipping
  float decay, step_size, one_minus_beta1, keep_beta2, one_minus_beta2, correction, epsilon_f, clip;
  int skip;                                                              // 1: the last gradient was not finite
  int unused[7];
};
static_assert(sizeof(OptimizerState) == 128, "the C# side allocates 16 doubles");

struct OptimizerStateArgs {
  OptimizerState* state;
  const float* norm;   // may be null: no clipping, no check
};
SPECTRAL_LAYOUT(OptimizerStateArgs, state, norm)

struct AdamWArgs {
  float* parameter;
  const float* gradient;
  float* m;
  float* v;
  const OptimizerState* state;
  int64_t count;
};
SPECTRAL_LAYOUT(AdamWArgs, parameter, gradient, m, v, state, count)

SPECTRAL_KERNEL_PLAIN(optimizer_state, OptimizerStateArgs, 32) {
  if (threadIdx.x != 0) return;
  OptimizerState& state = *args.state;
  const float norm = args.norm ? *args.norm : 0.0f;
  state.norm = norm;
  state.skip = !(norm - norm == 0.0f);   // NaN and infinities differ from themselves by NaN
  if (state.skip) return;
  state.step += 1;
  state.clip = args.norm && state.max_norm > 0 ? fminf(1.0f, float(state.max_norm) / (norm + 1e-6f)) : 1.0f;
  state.decay = float(1 - state.learning_rate * state.weight_decay);
  state.step_size = float(state.learning_rate / (1 - pow(state.beta1, state.step)));
  state.one_minus_beta1 = float(1 - state.beta1);
  state.keep_beta2 = float(state.beta2);
  state.one_minus_beta2 = float(1 - state.beta2);
  state.correction = float(1 / sqrt(1 - pow(state.beta2, state.step)));
  state.epsilon_f = float(state.epsilon);
}

SPECTRAL_KERNEL_PLAIN(adamw_f32, AdamWArgs, kFlatThreads) {
  const OptimizerState& state = *args.state;
  if (state.skip) return;
  by_piece<float>(args.count, [&](auto width, int64_t at) {
    constexpr int W = decltype(width)::value;
    float p[W], g[W], m[W], v[W];
    load_piece<float, W>(args.parameter + at, p);
    load_piece<float, W>(args.gradient + at, g);
    load_piece<float, W>(args.m + at, m);
    load_piece<float, W>(args.v + at, v);
    for (int i = 0; i < W; ++i) {
      const float gradient = g[i] * state.clip;
      m[i] += state.one_minus_beta1 * (gradient - m[i]);
      v[i] = state.keep_beta2 * v[i] + state.one_minus_beta2 * gradient * gradient;
      p[i] = p[i] * state.decay - state.step_size * m[i] / (sqrtf(v[i]) * state.correction + state.epsilon_f);
    }
    store_piece<float, W>(args.parameter + at, p);
    store_piece<float, W>(args.m + at, m);
    store_piece<float, W>(args.v + at, v);
  }, args.parameter, args.gradient, args.m, args.v);
}
