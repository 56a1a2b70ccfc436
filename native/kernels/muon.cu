// The elementwise parts of Muon (Jordan et al.: "Muon: An optimizer for hidden layers in neural networks", 2024).
// Between them, matrix products make the singular values of x nearly equal (Newton-Schulz).
//
// Formula        muon_momentum: m = momentum m + clip gradient, x = momentum m + clip gradient;  m stays when the state
//                  says skip
//                muon_normalize: x = x / (norm + 1e-7)
//                muon_update: parameter = parameter (1 - rate learning_rate weight_decay) - rate learning_rate scale x;
//                  nothing when the state says skip
// Shapes         parameter, gradient, m, x [count], matrices of any shape; norm [1], the Frobenius norm of x; state one
//                StepState; momentum, scale, rate numbers, rate the parameter's own factor of the learning rate
// Layout         contiguous, distinct arrays
// Types          F32; rate and decay are computed in F64 and rounded once
// Accumulation   F32
// Grid/Block     one thread per 16-byte vector, 256 a block
// Bytes          16 count, 8 count, 12 count
// Flops          5 count, count, 3 count
// Deterministic  yes
#include "pieces.cuh"
#include "step_state.cuh"

struct MuonArgs {
  float* parameter;         // parameter [count]; updated by muon_update alone; 16-byte aligned for vectors
  const float* gradient;    // its gradient [count]; read by muon_momentum alone; 16-byte aligned for vectors
  float* m;                 // sum of past gradients [count], zeros at the start; updated by muon_momentum alone
  float* x;                 // direction of the step [count]; written, scaled, read; 16-byte aligned for vectors
  const float* norm;        // one F32, the norm of x; read by muon_normalize alone
  const StepState* state;   // one step state (device/step_state.cuh) that was advanced for this step; 8-byte aligned
  int64_t count;            // elements of the parameter
  float momentum;           // what is left of m in a step
  float scale;              // factor of the step
  float rate;               // the parameter's own factor of the learning rate; 1 is the state's rate
};
SPECTRAL_LAYOUT(MuonArgs, parameter, gradient, m, x, norm, state, count, momentum, scale, rate)

SPECTRAL_KERNEL_PLAIN(muon_momentum_f32, MuonArgs, kFlatThreads) {
  const StepState& state = *args.state;
  if (state.skip)
    return;
  by_piece<float>(args.count, is_aligned16(args.gradient, args.m, args.x), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float g[kWidth], m[kWidth], x[kWidth];
    load_piece(args.gradient + at, g);
    load_piece(args.m + at, m);
    for (int i = 0; i < kWidth; ++i) {
      const float gradient = g[i] * state.clip;
      m[i] = args.momentum * m[i] + gradient;
      x[i] = args.momentum * m[i] + gradient;
    }
    store_piece(args.m + at, m);
    store_piece(args.x + at, x);
  });
}

SPECTRAL_KERNEL_PLAIN(muon_normalize_f32, MuonArgs, kFlatThreads) {
  const float factor = 1 / (*args.norm + 1e-7f);
  by_piece<float>(args.count, is_aligned16(args.x), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float x[kWidth];
    load_piece(args.x + at, x);
    for (int i = 0; i < kWidth; ++i)
      x[i] *= factor;
    store_piece(args.x + at, x);
  });
}

SPECTRAL_KERNEL_PLAIN(muon_update_f32, MuonArgs, kFlatThreads) {
  const StepState& state = *args.state;
  if (state.skip)
    return;
  const float decay = decay_of(state, args.rate);
  const float step_size = learning_rate_of(state, args.rate) * args.scale;
  by_piece<float>(args.count, is_aligned16(args.parameter, args.x), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float p[kWidth], x[kWidth];
    load_piece(args.parameter + at, p);
    load_piece(args.x + at, x);
    for (int i = 0; i < kWidth; ++i)
      p[i] = p[i] * decay - step_size * x[i];
    store_piece(args.parameter + at, p);
  });
}
