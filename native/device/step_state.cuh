// What differs from one training step to the next, in device memory, so that a captured step can be replayed: kernels
// get its address, never these values.
#pragma once
#include <cstdint>

// The part of a Philox counter that moves: every micro-batch has an offset of its own, the same in its forward and
// backward pass. With a stream per layer, counter = (index / 8, stream + (offset << 32)) never repeats while streams
// and offsets stay below 2^32.
struct DropoutState {
  uint64_t seed;
  uint64_t offset;
};

struct StepState {
  double learning_rate, beta1, beta2, epsilon, weight_decay, max_norm;   // written by the host before a step
  float loss_scale;   // 1 / loss tokens of the step; written by the host
  float unused;
  double step;   // updates made so far
  double norm;   // of the last gradient, before clipping
  float decay, step_size, one_minus_beta1, keep_beta2, one_minus_beta2, correction, epsilon_f, clip;
  int skip;   // 1: the last loss or gradient was not finite
  int unused_too;
  DropoutState dropout;
};
static_assert(sizeof(StepState) == 128, "the C# side allocates 128 bytes");

// The learning rate of parameters that have a factor of their own on it (Hayou, Ghosh, Yu: "LoRA+", 2024).
__device__ __forceinline__ float learning_rate_of(const StepState& state, float rate) {
  return float(rate * state.learning_rate);
}

// What decoupled weight decay leaves of such parameters: 1 minus a number of about 1e-6, formed in F64, rounded once.
__device__ __forceinline__ float decay_of(const StepState& state, float rate) {
  return rate == 1 ? state.decay : float(1 - rate * state.learning_rate * state.weight_decay);
}

// What a rule ends in once the direction x of its step is finished.
template <int kWidth>
__device__ __forceinline__ void descend(float (&p)[kWidth], const float (&x)[kWidth], float decay, float step_size) {
  for (int i = 0; i < kWidth; ++i)
    p[i] = p[i] * decay - step_size * x[i];
}
