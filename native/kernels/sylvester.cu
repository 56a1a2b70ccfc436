// The middle of a Sylvester equation A X + X B = F with symmetric A and B, in the bases of their eigenvectors.
//
// Formula        y_ij = t_ij / (a_i + b_j), and 0 where the sum is 0
// Shapes         t, y [n, n]; a, b [n], the eigenvalues
// Layout         row-major, contiguous; y may be t
// Types          F32; the sum in F64
// Accumulation   none
// Grid/Block     one thread per entry, 256 a block
// Bytes          8 n^2 + 8 n
// Flops          2 n^2
// Deterministic  yes
#include "pieces.cuh"

struct SylvesterArgs {
  const float* t;   // right-hand side [n, n] in the bases of the eigenvectors
  const float* a;   // eigenvalues [n] of A, 0 or more
  const float* b;   // eigenvalues [n] of B, 0 or more
  float* y;         // solution [n, n] in the same bases; written; may be t
  int n;            // order of the matrices
};
SPECTRAL_LAYOUT(SylvesterArgs, t, a, b, y, n)

SPECTRAL_KERNEL_PLAIN(sylvester_f32, SylvesterArgs, kFlatThreads) {
  const int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= args.n * args.n)
    return;
  const double sum = double(args.a[index / args.n]) + double(args.b[index % args.n]);
  args.y[index] = sum > 0 ? float(args.t[index] / sum) : 0.0f;
}
