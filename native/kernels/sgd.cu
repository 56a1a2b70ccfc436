// Gradient descent with momentum (Polyak, 1964) as PyTorch computes it, without dampening and Nesterov, and with
// decoupled weight decay.
//
// Formula        g = clip gradient;  m = momentum m + g, or g itself where m is null;
//                p = p (1 - rate learning_rate weight_decay) - rate learning_rate m;  nothing when the state says skip
// Shapes         parameter, gradient, m [count] (m or null); state one StepState; momentum, rate numbers, rate the
//                parameters' own factor of the learning rate
// Layout         contiguous, distinct arrays
// Types          F32; rate and decay are computed in F64 and rounded once
// Accumulation   F32
// Grid/Block     one thread per 16-byte vector, 256 a block
// Bytes          20 count, 12 count without m
// Flops          6 count
// Deterministic  yes
#include "pieces.cuh"
#include "step_state.cuh"

struct SgdArgs {
  float* parameter;         // parameter [count]; updated; 16-byte aligned for vectors
  const float* gradient;    // its gradient [count]; read, not clipped in place; 16-byte aligned for vectors
  float* m;                 // sum of past gradients [count], zeros at the start; updated; null: no momentum
  const StepState* state;   // one step state (device/step_state.cuh) that was advanced for this step; 8-byte aligned
  int64_t count;            // elements of the parameter
  float momentum;           // what is left of m in a step
  float rate;               // the parameter's own factor of the learning rate; 1 is the state's rate
};
SPECTRAL_LAYOUT(SgdArgs, parameter, gradient, m, state, count, momentum, rate)

SPECTRAL_KERNEL_PLAIN(sgd_f32, SgdArgs, kFlatThreads) {
  const StepState& state = *args.state;
  if (state.skip)
    return;
  const float decay = decay_of(state, args.rate);
  const float step_size = learning_rate_of(state, args.rate);
  by_piece<float>(args.count, is_aligned16(args.parameter, args.gradient, args.m), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float p[kWidth], g[kWidth], m[kWidth];
    load_piece(args.parameter + at, p);
    load_piece(args.gradient + at, g);
    if (args.m)
      load_piece(args.m + at, m);
    for (int i = 0; i < kWidth; ++i) {
      const float gradient = g[i] * state.clip;
      m[i] = args.m ? args.momentum * m[i] + gradient : gradient;
      p[i] = p[i] * decay - step_size * m[i];
    }
    store_piece(args.parameter + at, p);
    if (args.m)
      store_piece(args.m + at, m);
  });
}
