// Schedule-free AdamW (Defazio et al.: "The Road Less Scheduled", 2024): gradients are taken at y, between the fast
// iterate z and its running average x = y + (1 - 1 / beta1) (z - y), which is never stored.
//
// Formula        schedule_free_advance: top = max(top, learning_rate), sum += top^2, share = top^2 / sum (0 if sum is);
//                  factors = share, learning_rate (beta1 (1 - share) - 1), learning_rate, weight_decay
//                schedule_free: g = clip gradient;  v = beta2 v + (1 - beta2) g^2;
//                  n = g / (sqrt(v) correction + epsilon) + weight_decay y;
//                  y = y + share (z - y) + rate learning_rate (beta1 (1 - share) - 1) n;
//                  z = z - rate learning_rate n;  z counts as y in step 1
//                nothing when the state says skip
// Shapes         y, gradient, z, v [count]; weights [2]: top, sum; factors [4]; state one StepState; rate a number, the
//                parameters' own factor of the learning rate
// Layout         contiguous, distinct arrays
// Types          F32; weights F64; factors are computed in F64 and rounded once
// Accumulation   F32; sums of weights F64
// Grid/Block     one thread; one thread per 16-byte vector, 256 a block
// Bytes          160; 28 count
// Flops          9; 19 count
// Deterministic  yes
#include "pieces.cuh"
#include "step_state.cuh"

struct ScheduleFreeArgs {
  float* y;                 // parameter [count], where gradients are taken; updated; 16-byte aligned for vectors
  const float* gradient;    // its gradient [count]; read, not clipped in place; 16-byte aligned for vectors
  float* z;                 // fast iterate [count]; updated; 16-byte aligned for vectors
  float* v;                 // mean of squared gradients [count], zeros at the start; updated; 16-byte aligned
  double* weights;          // largest rate so far, sum of weights; 8-byte aligned
  float* factors;           // what schedule_free_advance leaves for the step: see the formula
  const StepState* state;   // one step state (device/step_state.cuh) that was advanced for this step; 8-byte aligned
  int64_t count;            // elements of the parameter
  float rate;               // the parameter's own factor of the learning rate; 1 is the state's rate
};
SPECTRAL_LAYOUT(ScheduleFreeArgs, y, gradient, z, v, weights, factors, state, count, rate)

SPECTRAL_KERNEL_PLAIN(schedule_free_advance, ScheduleFreeArgs, 32) {
  if (threadIdx.x != 0 || args.state->skip)
    return;
  const StepState& state = *args.state;
  const double top = fmax(args.weights[0], state.learning_rate);
  const double sum = args.weights[1] + top * top;
  const double share = sum > 0 ? top * top / sum : 0;
  args.weights[0] = top;
  args.weights[1] = sum;
  args.factors[0] = float(share);
  args.factors[1] = float(state.learning_rate * (state.beta1 * (1 - share) - 1));
  args.factors[2] = float(state.learning_rate);
  args.factors[3] = float(state.weight_decay);
}

SPECTRAL_KERNEL_PLAIN(schedule_free_f32, ScheduleFreeArgs, kFlatThreads) {
  const StepState& state = *args.state;
  if (state.skip)
    return;
  const float to_z = args.factors[0];
  const float of_y = args.rate * args.factors[1];
  const float step_size = args.rate * args.factors[2];
  const float weight_decay = args.factors[3];
  const bool first = state.step == 1;
  by_piece<float>(args.count, is_aligned16(args.y, args.gradient, args.z, args.v), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float y[kWidth], g[kWidth], z[kWidth], v[kWidth];
    load_piece(args.y + at, y);
    load_piece(args.gradient + at, g);
    load_piece((first ? args.y : args.z) + at, z);
    load_piece(args.v + at, v);
    // Two loops: what the second needs beside this would not fit the registers that live across a division.
    for (int i = 0; i < kWidth; ++i) {
      const float gradient = g[i] * state.clip;
      v[i] = state.keep_beta2 * v[i] + state.one_minus_beta2 * gradient * gradient;
      g[i] = gradient / (sqrtf(v[i]) * state.correction + state.epsilon_f);
    }
    for (int i = 0; i < kWidth; ++i) {
      const float step = g[i] + weight_decay * y[i];
      y[i] = y[i] + to_z * (z[i] - y[i]) + of_y * step;
      z[i] = z[i] - step_size * step;
    }
    store_piece(args.y + at, y);
    store_piece(args.z + at, z);
    store_piece(args.v + at, v);
  });
}
