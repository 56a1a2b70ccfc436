// Scales a matrix, or puts the identity in its place where another one is zero: LoRA-Pro (Wang, Liang, "LoRA-Pro",
// 2024) leaves the gradients as they are while the left factor, and with it its Gram matrix, is still zero.
//
// Formula        y = trace(gram) > 0 ? factor x : I
// Shapes         gram, x, y [n, n]; factor a number
// Layout         row-major, contiguous; y may be x
// Types          F32
// Accumulation   none: the diagonal of a Gram matrix is not negative, so that one entry above 0 decides
// Grid/Block     one thread per entry, 256 a block
// Bytes          8 n^2 + 4 n per block
// Flops          n^2
// Deterministic  yes
#include "pieces.cuh"

struct UnlessZeroArgs {
  const float* gram;   // Gram matrix [n, n] whose diagonal decides
  const float* x;      // matrix [n, n]
  float* y;            // result [n, n]; written; may be x
  int n;               // order of the matrices
  float factor;        // factor of x
};
SPECTRAL_LAYOUT(UnlessZeroArgs, gram, x, y, n, factor)

SPECTRAL_KERNEL_PLAIN(unless_zero_f32, UnlessZeroArgs, kFlatThreads) {
  const int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= args.n * args.n)
    return;
  bool above = false;
  for (int i = 0; i < args.n; ++i)
    above = above || args.gram[i * args.n + i] > 0;
  const float identity = index / args.n == index % args.n ? 1.0f : 0.0f;
  args.y[index] = above ? args.factor * args.x[index] : identity;
}
