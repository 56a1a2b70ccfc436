// Cholesky factor and its inverse, for CholeskyQR: Q = Y T^-1 with Y^T Y = T^T T.
//
// Formula        D = diag(G)^-1/2, D G D + shift I = L L^T, inverse = L^-1 D (lower triangular): rows of inverse * Y^T
//                are orthonormal. Columns are scaled first because that alone often takes orders off the condition number.
//                status[0] = j + 1 when pivot j is not above n 2^-53 (inverse = 0 then), else unchanged
// Shapes         gram [n, n]; inverse [n, n]; status [1]
// Types          gram f64, arithmetic f64, inverse f32
// Accumulation   f64
// Grid/Block     cholesky_inverse: one block of 512 threads, (n (n|1) + 2n) 8 bytes of dynamic shared memory, n <= 144.
//                cholesky_scale and cholesky_finish bracket a library's potrf and trtri: one thread per row
// Bytes          8 n^2 read, 4 n^2 written
// Flops          2 n^3 / 3
// Deterministic  yes
#include "spectral.cuh"

struct CholeskyInverseArgs {
  const double* gram;
  float* inverse;
  int* status;
  double shift;
  int n;
};
SPECTRAL_LAYOUT(CholeskyInverseArgs, gram, inverse, status, shift, n)

struct CholeskyScaleArgs {
  const double* gram;
  double* scaled;
  double shift;
  int n;
};
SPECTRAL_LAYOUT(CholeskyScaleArgs, gram, scaled, shift, n)

struct CholeskyFinishArgs {
  const double* gram;
  const double* factor_inverse;
  float* inverse;
  int n;
};
SPECTRAL_LAYOUT(CholeskyFinishArgs, gram, factor_inverse, inverse, n)

__device__ __forceinline__ double unit_scale(double diagonal) { return diagonal > 0 ? 1.0 / sqrt(diagonal) : 0.0; }

// Gaussian elimination of [D G D + shift I | I]. The lower triangle holds the left half, the strict upper triangle the right
// half transposed (entry (i, t) of it at row t, column i), so that both halves of the pivot's row and column are one column
// of the array, and one update serves both.
SPECTRAL_KERNEL(cholesky_inverse, CholeskyInverseArgs, 512) {
  DYNAMIC_SHARED(memory);
  const int n = args.n, stride = n | 1;   // odd: a column then touches every bank
  double* a = reinterpret_cast<double*>(memory);   // [n, stride]
  double *column = a + n * stride, *scale = column + n;   // [n], [n]
  for (int i = threadIdx.x; i < n; i += blockDim.x) scale[i] = unit_scale(args.gram[i * n + i]);
  __syncthreads();
  for (int index = threadIdx.x; index < n * n; index += blockDim.x) {
    const int i = index / n, j = index % n;
    a[i * stride + j] = j > i ? 0.0 : args.gram[index] * scale[i] * scale[j] + (i == j ? args.shift : 0.0);
  }
  bool failed = false;
  const int warp = threadIdx.x / 32, warps = blockDim.x / 32;
  for (int j = 0; j < n; ++j) {
    __syncthreads();
    const double pivot = a[j * stride + j];
    if (!(pivot > n * 0x1p-53)) {   // the same for every thread
      failed = true;
      if (threadIdx.x == 0) *args.status = j + 1;
      break;
    }
    const double reciprocal = 1.0 / sqrt(pivot);
    for (int t = threadIdx.x; t < n; t += blockDim.x)
      if (t != j) a[t * stride + j] = column[t] = a[t * stride + j] * reciprocal;
    __syncthreads();
    for (int i = j + 1 + warp; i < n; i += warps) {
      const double factor = column[i];
      for (int t = lane_id(); t <= i; t += 32) {
        if (t > j) a[i * stride + t] -= factor * column[t];
        else if (t < j) a[t * stride + i] -= factor * column[t];
        else a[j * stride + i] = -factor * reciprocal;
      }
    }
    if (threadIdx.x == 0) a[j * stride + j] = reciprocal;
  }
  __syncthreads();
  for (int index = threadIdx.x; index < n * n; index += blockDim.x) {
    const int i = index / n, t = index % n;
    args.inverse[index] = failed || t > i ? 0.0f : float(a[t * stride + i] * scale[t]);
  }
}

SPECTRAL_KERNEL_PLAIN(cholesky_scale, CholeskyScaleArgs, 64) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, n = args.n;
  if (i >= n) return;
  const double scale = unit_scale(args.gram[i * n + i]);
  for (int j = 0; j < n; ++j)
    args.scaled[i * n + j] = args.gram[i * n + j] * scale * unit_scale(args.gram[j * n + j]) + (i == j ? args.shift : 0.0);
}

SPECTRAL_KERNEL_PLAIN(cholesky_finish, CholeskyFinishArgs, 64) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, n = args.n;
  if (i >= n) return;
  for (int t = 0; t < n; ++t)
    args.inverse[i * n + t] = t > i ? 0.0f : float(args.factor_inverse[i * n + t] * unit_scale(args.gram[t * n + t]));
}
