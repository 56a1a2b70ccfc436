// Advances the few numbers that change from step to step (device/step_state.cuh), on the device.
//
// Formula        advance: skip = norm or one of the losses is not finite; if skip, nothing else changes; else t += 1,
//                  clip = max_norm > 0 ? min(1, max_norm / (norm + 1e-6)) : 1,
//                  step_size = learning_rate / (1 - beta1^t), decay = 1 - learning_rate weight_decay,
//                  correction = 1 / sqrt(1 - beta2^t)
//                next_batch: dropout.offset += 1
// Shapes         state one StepState; norm [1] or null; losses [count] or null
// Layout         contiguous
// Types          settings F64, what is derived from them F32 (rounded once); norm, losses F32
// Accumulation   bias corrections in F64
// Grid/Block     one thread
// Bytes          128
// Flops          about 100, two powers among them
// Deterministic  yes
#include "pieces.cuh"
#include "step_state.cuh"

struct StepStateArgs {
  StepState* state;      // one step state (device/step_state.cuh); updated; 8-byte aligned
  const float* norm;     // gradients' global norm, one F32; null: neither clipped nor checked
  const float* losses;   // losses [count]; null: not checked
  int64_t count;         // losses that must be finite for the step to count
};
SPECTRAL_LAYOUT(StepStateArgs, state, norm, losses, count)

namespace {
__device__ __forceinline__ bool is_finite(float x) {
  return x - x == 0.0f;
}   // NaN and infinities differ from themselves by NaN
}   // namespace

SPECTRAL_KERNEL_PLAIN(step_state_advance, StepStateArgs, 32) {
  if (threadIdx.x != 0)
    return;
  StepState& state = *args.state;
  const float norm = args.norm ? *args.norm : 0.0f;
  bool finite = is_finite(norm);
  for (int64_t i = 0; args.losses && i < args.count; ++i)
    finite = finite && is_finite(args.losses[i]);
  state.norm = norm;
  state.skip = !finite;
  if (state.skip)
    return;
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

SPECTRAL_KERNEL_PLAIN(step_state_next_batch, StepStateArgs, 32) {
  if (threadIdx.x == 0)
    args.state->dropout.offset += 1;
}
