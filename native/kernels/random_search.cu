// Training by losses at randomly changed parameters: MeZO (Malladi et al., "Fine-Tuning Language Models with Just
// Forward Passes", 2023) and evolution strategies (Qiu et al., "Evolution Strategies at Scale", 2025). The random
// directions are never stored: they are made again from the seed where they are needed.
//
// Formula        z_mi = normal i of Philox4x32-10(key = the run's seed, counter = (i / 4, tensor, step, m)), where step
//                  is the number of updates made before this step
//                perturb: y = x + scale z_m
//                two_point: w_0 = -(sum_b losses_0b - sum_b losses_1b) loss_scale / (2 size)
//                population: w_m = (r_m - mean r) / (deviation of r) / (members size), r_m = -sum_b losses_mb; 0 where
//                  all r are the same
//                step: p = p (1 - rate learning_rate weight_decay) + rate learning_rate sum_m w_m z_m;  nothing when
//                  the state says skip
// Shapes         x, y, parameter [count]; losses [members, batches], with two_point [2, batches]; weights [members];
//                state one StepState
// Layout         contiguous; y may be x
// Types          F32; the normals F64 inside (device/philox.cuh); the weights in F64, rounded once
// Accumulation   F32 over members, in their order; F64 over losses
// Grid/Block     perturb, step: one thread per 16-byte vector, 256 a block; the weights: one thread
// Bytes          8 count; weights: 4 members (batches + 1)
// Flops          perturb 42 count; step 42 members count, F64; weights about 4 members batches
// Deterministic  yes, the same z on every device
#include "pieces.cuh"
#include "step_state.cuh"

struct RandomPerturbArgs {
  const float* x;           // values [count]; 16-byte aligned for vectors
  float* y;                 // changed values [count]; written; may be x; 16-byte aligned for vectors
  const StepState* state;   // one step state (device/step_state.cuh) before it is advanced for this step
  int64_t count;            // elements
  float scale;              // factor of the random direction
  unsigned member;          // number of the direction within the step
  unsigned tensor;          // number of the parameter in the set
};
SPECTRAL_LAYOUT(RandomPerturbArgs, x, y, state, count, scale, member, tensor)

struct RandomWeightsArgs {
  const float* losses;      // sums of token losses [members, batches]; with two_point [2, batches]
  const StepState* state;   // one step state (device/step_state.cuh) that was advanced for this step
  float* weights;           // factor of each direction [members]; written
  int members;              // directions in a step; 1 with two_point
  int batches;              // micro-batches in a step
  float size;               // how far the parameters were moved along a direction
};
SPECTRAL_LAYOUT(RandomWeightsArgs, losses, state, weights, members, batches, size)

struct RandomStepArgs {
  float* parameter;         // parameter [count]; updated; 16-byte aligned for vectors
  const float* weights;     // factor of each direction [members]
  const StepState* state;   // one step state (device/step_state.cuh) that was advanced for this step
  int64_t count;            // elements of the parameter
  int members;              // directions in a step
  unsigned tensor;          // number of the parameter in the set
  float rate;               // the parameters' own factor of the learning rate; 1 is the state's rate
};
SPECTRAL_LAYOUT(RandomStepArgs, parameter, weights, state, count, members, tensor, rate)

namespace {

struct Direction {
  uint64_t seed, stream;
  unsigned tensor;
};

__device__ __forceinline__ Direction
direction(const StepState& state, double updates, unsigned member, unsigned tensor) {
  return {state.dropout.seed, uint64_t(member) << 32 | unsigned(updates), tensor};
}

// The components of a direction from `at` on. Four of them come from one call; where vectors do not fit, three of them
// are thrown away.
template <int kWidth>
__device__ __forceinline__ void normals(const Direction& direction, int64_t at, float (&z)[kWidth]) {
  float four[4];
  const uint64_t quad = uint64_t(direction.tensor) << 32 | unsigned(at / 4);
  philox_normals(philox_words(direction.seed, direction.stream, quad), four);
  for (int i = 0; i < kWidth; ++i)
    z[i] = four[(at + i) % 4];
}

__device__ __forceinline__ double loss_of(const RandomWeightsArgs& args, int member) {
  double sum = 0;
  for (int batch = 0; batch < args.batches; ++batch)
    sum += args.losses[int64_t(member) * args.batches + batch];
  return sum;
}

}   // namespace

SPECTRAL_KERNEL_PLAIN(random_perturb_f32, RandomPerturbArgs, kFlatThreads) {
  const Direction z_m = direction(*args.state, args.state->step, args.member, args.tensor);
  by_vector_of<float>(blockIdx.x, args.count, is_aligned16(args.x, args.y), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float x[kWidth], z[kWidth];
    load_piece(args.x + at, x);
    normals(z_m, at, z);
    for (int i = 0; i < kWidth; ++i)
      x[i] += args.scale * z[i];
    store_piece(args.y + at, x);
  });
}

SPECTRAL_KERNEL_PLAIN(random_weights_two_point, RandomWeightsArgs, 32) {
  if (threadIdx.x != 0)
    return;
  const double difference = (loss_of(args, 0) - loss_of(args, 1)) * args.state->loss_scale;
  args.weights[0] = float(-difference / (2.0 * args.size));
}

SPECTRAL_KERNEL_PLAIN(random_weights_population, RandomWeightsArgs, 32) {
  if (threadIdx.x != 0)
    return;
  double mean = 0;
  for (int m = 0; m < args.members; ++m)
    mean += loss_of(args, m) / args.members;
  double squares = 0;
  for (int m = 0; m < args.members; ++m) {
    const double rest = loss_of(args, m) - mean;
    squares += rest * rest / args.members;
  }
  const double unit = squares > 0 ? 1 / (sqrt(squares) * args.members * args.size) : 0.0;
  for (int m = 0; m < args.members; ++m)
    args.weights[m] = float((mean - loss_of(args, m)) * unit);
}

SPECTRAL_KERNEL_PLAIN(random_step_f32, RandomStepArgs, kFlatThreads) {
  const StepState& state = *args.state;
  if (state.skip)
    return;
  const float decay = decay_of(state, args.rate);
  const float step_size = learning_rate_of(state, args.rate);
  by_vector_of<float>(blockIdx.x, args.count, is_aligned16(args.parameter), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float p[kWidth];
    float sum[kWidth] = {};
    load_piece(args.parameter + at, p);
    for (int m = 0; m < args.members; ++m) {
      float z[kWidth];
      normals(direction(state, state.step - 1, m, args.tensor), at, z);
      for (int i = 0; i < kWidth; ++i)
        sum[i] += args.weights[m] * z[i];
    }
    for (int i = 0; i < kWidth; ++i)
      p[i] = p[i] * decay + step_size * sum[i];
    store_piece(args.parameter + at, p);
  });
}
