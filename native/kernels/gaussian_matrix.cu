// Gaussian test matrix of the randomized range finder (Halko, Martinsson, Tropp, SIAM Review 2011).
//
// Formula        y[j, i] = component j mod 4 of the normals of Philox4x32-10(key = seed, counter = (i, j / 4, stream))
//                so an entry depends on (seed, stream, i, j) alone, not on the launch, the number of vectors or their length
// Shapes         y [vectors, length], one random vector per row
// Types          y f32; arithmetic of the normals f64 (device/philox.cuh)
// Accumulation   none
// Grid/Block     one thread per (i, 4 vectors): x over i, y over groups of 4 vectors
// Bytes          4 vectors * length written
// Flops          about 40 f64 per entry
// Deterministic  yes, the same bits on every device
#include "spectral.cuh"

struct GaussianMatrixArgs {
  float* y;
  unsigned long long seed, stream;
  int vectors, length;
};
SPECTRAL_LAYOUT(GaussianMatrixArgs, y, seed, stream, vectors, length)

SPECTRAL_KERNEL_PLAIN(gaussian_matrix, GaussianMatrixArgs, 256) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, group = blockIdx.y;
  if (i >= args.length) return;
  const uint4 bits = philox4x32_10(make_uint2(unsigned(args.seed), unsigned(args.seed >> 32)),
                                   make_uint4(i, group, unsigned(args.stream), unsigned(args.stream >> 32)));
  const float2 a = philox_normal(bits.x, bits.y), b = philox_normal(bits.z, bits.w);
  const float normal[4] = {a.x, a.y, b.x, b.y};
#pragma unroll
  for (int e = 0; e < 4; ++e)
    if (4 * group + e < args.vectors) args.y[(long long)(4 * group + e) * args.length + i] = normal[e];
}
