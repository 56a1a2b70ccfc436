// The elementwise parts of Muon (Jordan et al.: "Muon: An optimizer for hidden layers in neural networks", 2024).
// Between them, matrix products make the singular values of x nearly equal (Newton-Schulz).
//
// Formula        muon_momentum: m = momentum m + clip gradient, x = momentum m + clip gradient;  m stays when the state
//                  says skip
//                muon_squares: sums of x^2 of each thread;  muon_norm: norm = root of their sum
//                muon_normalize: y = x / (norm + 1e-7)
//                muon_update: parameter = parameter (1 - rate learning_rate weight_decay) - rate learning_rate scale x;
//                  nothing when the state says skip
// Shapes         parameter, gradient, m, x, y [batch, count], matrices of any shape; parts [batch, threads]; norm
//                [batch], the Frobenius norms of x; state one StepState; momentum, scale, rate numbers, rate the
//                parameters' own factor of the learning rate
// Layout         parameters and gradients lie stride elements apart, all else is contiguous; distinct arrays
// Types          F32, parts F64; rate and decay are computed in F64 and rounded once
// Accumulation   F32, norms F64
// Grid/Block     one thread per 16-byte vector, 256 a block, matrices along y; muon_squares one thread per 8 vectors;
//                muon_norm one warp per matrix
// Bytes          per element 16, 4, 8, 12
// Flops          per element 5, 2, 1, 3
// Deterministic  yes
#include "pieces.cuh"
#include "step_state.cuh"

struct MuonArgs {
  float* parameter;         // parameters [batch, count]; updated by muon_update alone; 16-byte aligned for vectors
  const float* gradient;    // their gradients [batch, count]; read by muon_momentum; 16-byte aligned for vectors
  float* m;                 // sums of past gradients [batch, count], zeros at the start; updated by muon_momentum alone
  float* x;                 // directions of the step [batch, count]; written, then read; 16-byte aligned for vectors
  float* y;                 // x divided by its norm [batch, count]; written by muon_normalize; 16-byte aligned
  double* parts;            // sums of squares [batch, parts_count]; scratch
  float* norm;              // norms of x [batch]; scratch
  const StepState* state;   // one step state (device/step_state.cuh) that was advanced for this step; 8-byte aligned
  int64_t stride;           // elements from a parameter to the next
  int64_t count;            // elements of a matrix
  int64_t parts_count;      // threads of muon_squares for a matrix
  float momentum;           // what is left of m in a step
  float scale;              // factor of the step
  float rate;               // the parameters' own factor of the learning rate; 1 is the state's rate
};
SPECTRAL_LAYOUT(
    MuonArgs, parameter, gradient, m, x, y, parts, norm, state, stride, count, parts_count, momentum, scale, rate)

namespace {
constexpr int kPieces = 8;   // vectors whose squares a thread sums

// The first element of this block's matrix, of matrices so far apart.
__device__ __forceinline__ int64_t begin_of(int64_t stride) { return int64_t(blockIdx.y) * stride; }
}   // namespace

SPECTRAL_KERNEL_PLAIN(muon_momentum_f32, MuonArgs, kFlatThreads) {
  const StepState& state = *args.state;
  if (state.skip)
    return;
  const float* gradient = args.gradient + begin_of(args.stride);
  float* sums = args.m + begin_of(args.count);
  float* directions = args.x + begin_of(args.count);
  by_piece<float>(args.count, is_aligned16(gradient, sums, directions), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float g[kWidth], m[kWidth], x[kWidth];
    load_piece(gradient + at, g);
    load_piece(sums + at, m);
    for (int i = 0; i < kWidth; ++i) {
      const float clipped = g[i] * state.clip;
      m[i] = args.momentum * m[i] + clipped;
      x[i] = args.momentum * m[i] + clipped;
    }
    store_piece(sums + at, m);
    store_piece(directions + at, x);
  });
}

SPECTRAL_KERNEL_PLAIN(muon_squares_f32, MuonArgs, kFlatThreads) {
  const float* directions = args.x + begin_of(args.count);
  double sum = 0;
  for (int piece = 0; piece < kPieces; ++piece)
    by_vector_of<float>(
        blockIdx.x * kPieces + piece, args.count, is_aligned16(directions), [&](auto width, int64_t at) {
          constexpr int kWidth = decltype(width)::value;
          float x[kWidth];
          load_piece(directions + at, x);
          for (int i = 0; i < kWidth; ++i)
            sum += double(x[i]) * x[i];
        });
  args.parts[begin_of(args.parts_count) + blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

SPECTRAL_KERNEL(muon_norm, MuonArgs, 32) {
  const double* parts = args.parts + int64_t(blockIdx.x) * args.parts_count;
  double sum = 0;
  for (int64_t i = lane_id(); i < args.parts_count; i += 32)
    sum += parts[i];
  sum = warp_sum(sum);
  if (lane_id() == 0)
    args.norm[blockIdx.x] = float(sqrt(sum));
}

SPECTRAL_KERNEL_PLAIN(muon_normalize_f32, MuonArgs, kFlatThreads) {
  const float factor = 1 / (args.norm[blockIdx.y] + 1e-7f);
  const float* from = args.x + begin_of(args.count);
  float* to = args.y + begin_of(args.count);
  by_piece<float>(args.count, is_aligned16(from, to), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float x[kWidth];
    load_piece(from + at, x);
    for (int i = 0; i < kWidth; ++i)
      x[i] *= factor;
    store_piece(to + at, x);
  });
}

SPECTRAL_KERNEL_PLAIN(muon_update_f32, MuonArgs, kFlatThreads) {
  const StepState& state = *args.state;
  if (state.skip)
    return;
  const float decay = decay_of(state, args.rate);
  const float step_size = learning_rate_of(state, args.rate) * args.scale;
  float* parameter = args.parameter + begin_of(args.stride);
  const float* directions = args.x + begin_of(args.count);
  by_piece<float>(args.count, is_aligned16(parameter, directions), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float p[kWidth], x[kWidth];
    load_piece(parameter + at, p);
    load_piece(directions + at, x);
    descend(p, x, decay, step_size);
    store_piece(parameter + at, p);
  });
}
