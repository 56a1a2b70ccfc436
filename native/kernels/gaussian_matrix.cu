// Gaussian test matrix of the randomized range finder (Halko, Martinsson, Tropp, SIAM Review 2011), for a batch of
// matrices.
//
// Formula        y[b, j, i] = component j mod 4 of the normals of Philox4x32-10(key = seed,
//                counter = (i, j / 4, stream_b)) so an entry depends on (seed, stream, i, j) alone, not on the launch,
//                the number of vectors or their length
// Shapes         y [batch, vectors, length], one random vector per row; parts [batch, 3, vectors, length] or null;
//                streams [batch]
// Types          y f32; parts bf16, y split in three (device/split.cuh); arithmetic of the normals f64
//                (device/philox.cuh)
// Accumulation   none
// Grid/Block     one thread per (i, 4 vectors, b): x over i, then over groups of 4 vectors, y over the batch
// Bytes          4 vectors * length written per matrix, 6 more for parts
// Flops          about 40 f64 per entry
// Deterministic  yes, the same bits on every device
#include "split.cuh"

struct GaussianMatrixArgs {
  float* y;   // vectors [batch, vectors, length], one per row; written
  // vectors split into three BF16 parts [batch, 3, vectors, length]; null: not wanted
  bf16* parts;
  const unsigned long long* streams;   // generator's stream of each matrix [batch]
  unsigned long long seed;             // key of the Philox generator
  int vectors;                         // vectors per matrix
  int length;                          // elements of a vector
};
SPECTRAL_LAYOUT(GaussianMatrixArgs, y, parts, streams, seed, vectors, length)

SPECTRAL_KERNEL_PLAIN(gaussian_matrix, GaussianMatrixArgs, 256) {
  const unsigned blocks = ceil_div(args.length, int(blockDim.x));   // of a group of vectors
  const int i = blockIdx.x % blocks * blockDim.x + threadIdx.x;
  const int group = blockIdx.x / blocks;
  if (i >= args.length)
    return;
  const uint64_t quad = uint64_t(group) << 32 | unsigned(i);
  float normal[4];
  philox_normals(philox_words(args.seed, args.streams[blockIdx.y], quad), normal);
  const long long plane = (long long)args.vectors * args.length;
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    const int j = 4 * group + e;
    if (j >= args.vectors)
      continue;
    const long long at = (long long)j * args.length + i;
    args.y[blockIdx.y * plane + at] = normal[e];
    if (args.parts == nullptr)
      continue;
    bf16 part[kSplitParts];
    split_bf16(normal[e], part);
#pragma unroll
    for (int p = 0; p < kSplitParts; ++p)
      args.parts[(blockIdx.y * (long long)kSplitParts + p) * plane + at] = part[p];
  }
}
