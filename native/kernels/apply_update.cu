// Adds a finished update to a parameter, for optimizers that form it apart from the parameter.
//
// Formula        p = p (1 - rate learning_rate weight_decay) + u;  nothing when the state says skip
// Shapes         parameter, update [count]; state one StepState; rate a number, the parameter's own factor of the
//                learning rate
// Layout         contiguous, distinct arrays
// Types          F32; decay is computed in F64 and rounded once
// Accumulation   F32
// Grid/Block     one thread per 16-byte vector, 256 a block
// Bytes          12 count
// Flops          2 count
// Deterministic  yes
#include "pieces.cuh"
#include "step_state.cuh"

struct ApplyUpdateArgs {
  float* parameter;         // parameter [count]; updated; 16-byte aligned for vectors
  const float* update;      // what is added to it [count], the learning rate included; 16-byte aligned for vectors
  const StepState* state;   // one step state (device/step_state.cuh) that was advanced for this step; 8-byte aligned
  int64_t count;            // elements of the parameter
  float rate;               // the parameter's own factor of the learning rate; 1 is the state's rate
};
SPECTRAL_LAYOUT(ApplyUpdateArgs, parameter, update, state, count, rate)

SPECTRAL_KERNEL_PLAIN(apply_update_f32, ApplyUpdateArgs, kFlatThreads) {
  const StepState& state = *args.state;
  if (state.skip)
    return;
  const float decay = decay_of(state, args.rate);
  by_piece<float>(args.count, is_aligned16(args.parameter, args.update), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float p[kWidth], u[kWidth];
    load_piece(args.parameter + at, p);
    load_piece(args.update + at, u);
    for (int i = 0; i < kWidth; ++i)
      p[i] = p[i] * decay + u[i];
    store_piece(args.parameter + at, p);
  });
}
