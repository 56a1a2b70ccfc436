// AdamW (Loshchilov, Hutter: "Decoupled weight decay regularization", 2019), with what changes from step to step kept
// on the device so that a captured step stays valid.
//
// Formula        g = clip gradient;  p = p (1 - rate learning_rate weight_decay);  m += (1 - beta1) (g - m);
//                  v = beta2 v + (1 - beta2) g^2;
//                p -= rate step_size m / (sqrt(v) correction + epsilon);  nothing when the state says skip
// Shapes         parameter, gradient, m, v [count]; state one StepState; rate a number, the parameters' own factor of
//                the learning rate (Hayou, Ghosh, Yu: "LoRA+", 2024)
// Layout         contiguous, distinct arrays
// Types          F32; step_size, correction and decay are computed in F64 and rounded once, by the state or, where the
//                rate is not 1, here
// Accumulation   F32
// Grid/Block     one thread per 16-byte vector, 256 a block
// Bytes          28 count
// Flops          13 count
// Deterministic  yes
#include "pieces.cuh"
#include "step_state.cuh"

struct AdamWArgs {
  float* parameter;         // parameter [count]; updated; 16-byte aligned for vectors
  const float* gradient;    // its gradient [count]; read, not clipped in place; 16-byte aligned for vectors
  float* m;                 // mean of gradients [count]; updated; 16-byte aligned for vectors
  float* v;                 // mean of squared gradients [count]; updated; 16-byte aligned for vectors
  const StepState* state;   // one step state (device/step_state.cuh) that was advanced for this step; 8-byte aligned
  int64_t count;            // elements of the parameter
  // the parameter's own factor of the learning rate and of the weight decay that follows it; 1 is the state's rate
  float rate;
};
SPECTRAL_LAYOUT(AdamWArgs, parameter, gradient, m, v, state, count, rate)

SPECTRAL_KERNEL_PLAIN(adamw_f32, AdamWArgs, kFlatThreads) {
  const StepState& state = *args.state;
  if (state.skip)
    return;
  const float decay = decay_of(state, args.rate);
  const float step_size = args.rate * state.step_size;
  by_piece<float>(args.count, is_aligned16(args.parameter, args.gradient, args.m, args.v), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float p[kWidth], g[kWidth], m[kWidth], v[kWidth];
    load_piece(args.parameter + at, p);
    load_piece(args.gradient + at, g);
    load_piece(args.m + at, m);
    load_piece(args.v + at, v);
    for (int i = 0; i < kWidth; ++i) {
      const float gradient = g[i] * state.clip;
      m[i] += state.one_minus_beta1 * (gradient - m[i]);
      v[i] = state.keep_beta2 * v[i] + state.one_minus_beta2 * gradient * gradient;
      p[i] = p[i] * decay - step_size * m[i] / (sqrtf(v[i]) * state.correction + state.epsilon_f);
    }
    store_piece(args.parameter + at, p);
    store_piece(args.m + at, m);
    store_piece(args.v + at, v);
  });
}
