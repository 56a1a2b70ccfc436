// Lion (Chen et al.: "Symbolic Discovery of Optimization Algorithms", 2023): every value moves by the learning rate, in
// the direction of the sign of a mean of gradients.
//
// Formula        g = clip gradient;  p = p (1 - rate learning_rate weight_decay)
//                  - rate learning_rate sign(beta1 m + (1 - beta1) g);  m = beta2 m + (1 - beta2) g;  the sign of 0 is
//                  0;  nothing when the state says skip
// Shapes         parameter, gradient, m [count]; state one StepState; rate a number, the parameters' own factor of the
//                learning rate
// Layout         contiguous, distinct arrays
// Types          F32; rate and decay are computed in F64 and rounded once
// Accumulation   F32
// Grid/Block     one thread per 16-byte vector, 256 a block
// Bytes          20 count
// Flops          11 count
// Deterministic  yes
#include "pieces.cuh"
#include "step_state.cuh"

struct LionArgs {
  float* parameter;         // parameter [count]; updated; 16-byte aligned for vectors
  const float* gradient;    // its gradient [count]; read, not clipped in place; 16-byte aligned for vectors
  float* m;                 // mean of gradients [count]; updated; 16-byte aligned for vectors
  const StepState* state;   // one step state (device/step_state.cuh) that was advanced for this step; 8-byte aligned
  int64_t count;            // elements of the parameter
  float rate;               // the parameter's own factor of the learning rate; 1 is the state's rate
};
SPECTRAL_LAYOUT(LionArgs, parameter, gradient, m, state, count, rate)

SPECTRAL_KERNEL_PLAIN(lion_f32, LionArgs, kFlatThreads) {
  const StepState& state = *args.state;
  if (state.skip)
    return;
  const float decay = decay_of(state, args.rate);
  const float step_size = learning_rate_of(state, args.rate);
  const float keep_beta1 = float(state.beta1);
  by_piece<float>(args.count, is_aligned16(args.parameter, args.gradient, args.m), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float p[kWidth], g[kWidth], m[kWidth];
    load_piece(args.parameter + at, p);
    load_piece(args.gradient + at, g);
    load_piece(args.m + at, m);
    for (int i = 0; i < kWidth; ++i) {
      const float gradient = g[i] * state.clip;
      const float direction = keep_beta1 * m[i] + state.one_minus_beta1 * gradient;
      const float sign = float((direction > 0) - (direction < 0));
      m[i] = state.keep_beta2 * m[i] + state.one_minus_beta2 * gradient;
      p[i] = p[i] * decay - step_size * sign;
    }
    store_piece(args.parameter + at, p);
    store_piece(args.m + at, m);
  });
}
