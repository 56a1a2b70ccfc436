// Spectral rescaling: the middle diagonal of an adapter whose first directions are frozen singular triplets.
//
// Formula        middle:    c[i] = sigma[i] delta[i] for i < k; scale for k <= i < k + extra
//                gradient:  d_delta[i] = sigma[i] dc[i]  (+ d_delta when accumulate)
//                where W' = W + U diag(sigma delta) V^T + scale B A, that is, sigma' = sigma (1 + delta)
// Shapes         sigma, delta, dc, d_delta [k]; c [k + extra]
// Layout         contiguous
// Types          F32
// Accumulation   none
// Grid/Block     one thread per entry, 128 threads
// Bytes          16 k + 4 extra
// Flops          k
// Deterministic  yes
#include "spectral.cuh"

struct SpectralMiddleArgs {
  const void* sigma;   // singular values sigma [directions] F32
  const void* delta;   // their relative changes delta [directions] F32
  void* middle;        // middle diagonal [directions + extra] F32; written
  int directions;      // frozen triplets
  int extra;           // entries after them
  float scale;         // value of the entries after the triplets
};
SPECTRAL_LAYOUT(SpectralMiddleArgs, sigma, delta, middle, directions, extra, scale)

struct SpectralDeltaGradientArgs {
  const void* sigma;             // singular values sigma [directions] F32
  const void* middle_gradient;   // gradient of the middle diagonal [at least directions] F32
  void* delta_gradient;          // gradient of delta [directions] F32
  int directions;                // frozen triplets
  int accumulate;                // 1: add to what the gradient holds; 0: overwrite
};
SPECTRAL_LAYOUT(SpectralDeltaGradientArgs, sigma, middle_gradient, delta_gradient, directions, accumulate)

SPECTRAL_KERNEL_PLAIN(spectral_middle_f32, SpectralMiddleArgs, 128) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= args.directions + args.extra)
    return;
  static_cast<float*>(args.middle)[i] =
      i < args.directions ? static_cast<const float*>(args.sigma)[i] * static_cast<const float*>(args.delta)[i]
                          : args.scale;
}

SPECTRAL_KERNEL_PLAIN(spectral_delta_gradient_f32, SpectralDeltaGradientArgs, 128) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= args.directions)
    return;
  float* to = static_cast<float*>(args.delta_gradient) + i;
  const float gradient = static_cast<const float*>(args.sigma)[i] * static_cast<const float*>(args.middle_gradient)[i];
  *to = args.accumulate ? *to + gradient : gradient;
}
