// Cholesky factors and their inverses, batched, for CholeskyQR: Q = Y T^-1 with Y^T Y = T^T T.
//
// Formula        D = diag(G)^-1/2, D G D + shift I = L L^T, inverse = L^-1 D (lower triangular): rows of inverse * Y^T
//                are orthonormal. Columns are scaled first, which alone often lowers the condition number by orders
//                of magnitude.
//                status = j + 1 when pivot j is not above max(n 2^-53, least_pivot) (inverse = 0 then), else
//                unchanged
// Shapes         gram [batch, n, n]; inverse [batch, n, n]; status [batch], status_stride apart
// Types          gram f64, arithmetic f64, inverse f32
// Accumulation   f64
// Grid/Block     cholesky_inverse: one block of 512 threads per matrix, (n (n|1) + n) 8 bytes of dynamic shared memory,
//                n <= 144. cholesky_scale and cholesky_finish come before and after a library's potrf and trtri of
//                one matrix: one thread per row
// Bytes          8 n^2 read, 4 n^2 written
// Flops          2 n^3 / 3
// Deterministic  yes
#include "spectral.cuh"

struct CholeskyInverseArgs {
  const double* gram;   // Gram matrices [batch, n, n]
  float* inverse;       // inverse factors [batch, n, n], lower triangular; written
  // status words, I32, status_stride apart: 1 + the first pivot that is too small; unchanged on success
  int* status;
  double shift;         // added to the diagonal after scaling has made it 1
  double least_pivot;   // a pivot must exceed this
  int n;                // order of the matrices, at most 144
  int status_stride;    // words (4 bytes) from one matrix's status to the next
};
SPECTRAL_LAYOUT(CholeskyInverseArgs, gram, inverse, status, shift, least_pivot, n, status_stride)

struct CholeskyScaleArgs {
  const double* gram;   // Gram matrix [n, n]
  double* scaled;       // scaled matrix [n, n]; written
  double shift;         // added to the diagonal after scaling has made it 1
  int n;                // order of the matrix
};
SPECTRAL_LAYOUT(CholeskyScaleArgs, gram, scaled, shift, n)

struct CholeskyFinishArgs {
  const double* gram;             // Gram matrix [n, n]
  const double* factor_inverse;   // library's inverse factor of the scaled matrix [n, n]
  float* inverse;                 // inverse factor [n, n], lower triangular; written
  const int* info;                // library's status, one I32: the first minor that is not positive definite, or 0
  int* status;                    // status word, one I32: 1 + the first pivot that is too small; unchanged on success
  double least_pivot;             // a pivot must exceed this; 0: the library's verdict is enough
  int n;                          // order of the matrix
};
SPECTRAL_LAYOUT(CholeskyFinishArgs, gram, factor_inverse, inverse, info, status, least_pivot, n)

__device__ __forceinline__ double unit_scale(double diagonal) { return diagonal > 0 ? 1.0 / sqrt(diagonal) : 0.0; }

// Eliminates in [D G D + shift I | I] without square roots; the right half is divided by the roots of the pivots at the
// end. One array holds both halves: the left one in its lower triangle, the right one transposed in its strict upper
// triangle (entry (i, t) at row t, column i). Step j then reads only column j, which no later step writes, so one
// barrier per pivot is enough. The barriers are what takes the time.
SPECTRAL_KERNEL(cholesky_inverse, CholeskyInverseArgs, 512) {
  DYNAMIC_SHARED(memory);
  const int n = args.n;
  const int stride = n | 1;   // odd: a column then touches every bank
  const double* gram = args.gram + (long long)blockIdx.x * n * n;
  float* inverse = args.inverse + (long long)blockIdx.x * n * n;
  double* a = reinterpret_cast<double*>(memory);   // [n, stride]
  double* scale = a + n * stride;                  // [n]
  for (int i = threadIdx.x; i < n; i += blockDim.x)
    scale[i] = unit_scale(gram[i * n + i]);
  __syncthreads();
  for (int index = threadIdx.x; index < n * n; index += blockDim.x) {
    const int i = index / n;
    const int j = index % n;
    double entry = 0.0;
    if (j <= i)
      entry = gram[index] * scale[i] * scale[j] + (i == j ? args.shift : 0.0);
    a[i * stride + j] = entry;
  }
  const double least = max(n * 0x1p-53, args.least_pivot);
  bool failed = false;
  const int warp = threadIdx.x / 32;
  const int warps = blockDim.x / 32;
  for (int j = 0; j < n; ++j) {
    __syncthreads();
    const double pivot = a[j * stride + j];
    if (!(pivot > least)) {   // the same for every thread
      failed = true;
      if (threadIdx.x == 0)
        args.status[blockIdx.x * args.status_stride] = j + 1;
      break;
    }
    const double reciprocal = 1.0 / pivot;
    for (int i = j + 1 + warp; i < n; i += warps) {
      const double factor = a[i * stride + j] * reciprocal;
      for (int t = lane_id(); t <= i; t += 32) {
        if (t > j)
          a[i * stride + t] -= factor * a[t * stride + j];
        else if (t < j)
          a[t * stride + i] -= factor * a[t * stride + j];
        else
          a[j * stride + i] = -factor;
      }
    }
  }
  // The last pivot has no rows below it, so its barrier was the last one needed.
  for (int index = threadIdx.x; index < n * n; index += blockDim.x) {
    const int i = index / n;
    const int t = index % n;
    const double entry = t == i ? 1.0 : a[t * stride + i];
    inverse[index] = failed || t > i ? 0.0f : float(entry * scale[t] / sqrt(a[i * stride + i]));
  }
}

SPECTRAL_KERNEL_PLAIN(cholesky_scale, CholeskyScaleArgs, 64) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const int n = args.n;
  if (i >= n)
    return;
  const double scale = unit_scale(args.gram[i * n + i]);
  for (int j = 0; j < n; ++j)
    args.scaled[i * n + j] =
        args.gram[i * n + j] * scale * unit_scale(args.gram[j * n + j]) + (i == j ? args.shift : 0.0);
}

SPECTRAL_KERNEL_PLAIN(cholesky_finish, CholeskyFinishArgs, 64) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const int n = args.n;
  if (i >= n)
    return;
  const double diagonal = args.factor_inverse[i * n + i];
  if (i == 0 && *args.info != 0)
    atomicMax(args.status, *args.info);
  if (args.least_pivot > 0 && *args.info == 0 && !(1 / (diagonal * diagonal) > args.least_pivot))
    atomicMax(args.status, i + 1);
  for (int t = 0; t < n; ++t)
    args.inverse[i * n + t] = t > i ? 0.0f : float(args.factor_inverse[i * n + t] * unit_scale(args.gram[t * n + t]));
}

SPECTRAL_SHARED(cholesky_inverse, kSharedByArguments)
