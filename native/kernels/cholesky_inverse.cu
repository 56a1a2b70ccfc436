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
// Grid/Block     cholesky_inverse: one block of 512 threads per matrix, (n (n|1) + 2n + 73) 8 bytes of dynamic shared
//                memory, n <= 144. cholesky_scale and cholesky_finish come before and after a library's potrf and trtri
//                of one matrix: one thread per row
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
// triangle (entry (i, t) at row t, column i). What a pivot's column has when its step begins, no later step writes, so
// the steps of a panel of pivots are taken together: first within the panel's own rows, then for its columns in all
// other rows, then for all that is left, with one barrier after each.
constexpr int kPanel = 8;
constexpr int kOwnRow = kPanel + 1;   // odd, as the stride below

// The panel's own rows, by one warp, with a barrier of the warp per pivot. `block` is their square on the diagonal.
// Returns the first pivot that is not above `least`, or -1.
__device__ __forceinline__ int eliminate_panel(double* block, int stride, int width, double least, double* reciprocal) {
  for (int p = 0; p < width; ++p) {
    const double pivot = block[p * stride + p];
    if (!(pivot > least))   // the same for every lane
      return p;
    const double inverse = 1.0 / pivot;
    if (lane_id() == 0)
      reciprocal[p] = inverse;
    for (int entry = lane_id(); entry < kPanel * kPanel; entry += 32) {
      const int i = entry / kPanel;
      const int t = entry % kPanel;
      if (i <= p || i >= width || t > i)
        continue;
      const double factor = block[i * stride + p] * inverse;
      if (t > p)
        block[i * stride + t] -= factor * block[t * stride + p];
      else if (t < p)
        block[t * stride + i] -= factor * block[t * stride + p];
      else
        block[p * stride + i] = -factor;
    }
    __syncwarp();
  }
  return -1;
}

SPECTRAL_KERNEL(cholesky_inverse, CholeskyInverseArgs, 512) {
  DYNAMIC_SHARED(memory);
  const int n = args.n;
  const int stride = n | 1;   // odd: a column then touches every bank
  const double* gram = args.gram + (long long)blockIdx.x * n * n;
  float* inverse = args.inverse + (long long)blockIdx.x * n * n;
  double* a = reinterpret_cast<double*>(memory);   // [n, stride]
  double* scale = a + n * stride;                  // [n]
  double* reciprocal = scale + n;                  // of the pivots [n], at last of their roots
  double* own = reciprocal + n;                    // right half of the panel's own rows [kPanel, kOwnRow], transposed
  int* failed = reinterpret_cast<int*>(own + kPanel * kOwnRow);
  for (int i = threadIdx.x; i < n; i += blockDim.x)
    scale[i] = unit_scale(gram[i * n + i]);
  if (threadIdx.x == 0)
    *failed = 0;
  __syncthreads();
  const int warp = threadIdx.x / 32;
  const int warps = blockDim.x / 32;
  for (int i = warp; i < n; i += warps)
    for (int j = lane_id(); j < n; j += 32)
      a[i * stride + j] = j > i ? 0.0 : gram[i * n + j] * scale[i] * scale[j] + (i == j ? args.shift : 0.0);
  __syncthreads();
  const double least = max(n * 0x1p-53, args.least_pivot);
  for (int j = 0; j < n; j += kPanel) {
    const int width = min(kPanel, n - j);
    double* block = a + j * (stride + 1);
    if (warp == 0) {
      const int small = eliminate_panel(block, stride, width, least, reciprocal + j);
      if (small >= 0 && lane_id() == 0) {
        *failed = 1;
        args.status[blockIdx.x * args.status_stride] = j + small + 1;
      }
    }
    __syncthreads();
    if (*failed != 0)
      break;

    for (int t = threadIdx.x; t < n; t += blockDim.x) {
      double* row = a + t * stride + j;
      if (t >= j && t < j + width) {
        for (int p = 0; p < width; ++p)
          own[(t - j) * kOwnRow + p] = p > t - j ? row[p] : p == t - j ? 1.0 : 0.0;
        continue;
      }
      double v[kPanel];   // times the reciprocals of the pivots
#pragma unroll
      for (int p = 0; p < kPanel; ++p) {
        if (p >= width)
          break;
        double value = row[p];
#pragma unroll
        for (int q = 0; q < p; ++q)
          value -= v[q] * block[p * stride + q];
        row[p] = value;
        v[p] = value * reciprocal[j + p];
      }
    }
    __syncthreads();

    // Two rows share what they read. A panel with rows below it is a whole one.
    for (int i = j + kPanel + 2 * warp; i < n; i += 2 * warps) {
      const bool two = i + 1 < n;
      double* row = a + i * stride;
      double factor[kPanel];
      double next[kPanel];
#pragma unroll
      for (int p = 0; p < kPanel; ++p) {
        factor[p] = row[j + p] * reciprocal[j + p];
        next[p] = two ? row[stride + j + p] * reciprocal[j + p] : 0.0;
      }
      for (int t = lane_id(); t <= i + 1 && t < n; t += 32) {
        const double* other = t >= j && t < j + kPanel ? own + (t - j) * kOwnRow : a + t * stride + j;
        double first = 0;
        double second = 0;
#pragma unroll
        for (int p = 0; p < kPanel; ++p) {
          first += factor[p] * other[p];
          second += next[p] * other[p];
        }
        const bool left = t >= j + kPanel;
        if (t <= i)
          *(left ? row + t : a + t * stride + i) -= first;
        if (two)
          *(left ? row + stride + t : a + t * stride + i + 1) -= second;
      }
    }
    __syncthreads();
  }
  if (*failed == 0)
    for (int i = threadIdx.x; i < n; i += blockDim.x)
      reciprocal[i] = sqrt(reciprocal[i]);
  __syncthreads();
  const bool wrong = *failed != 0;
  for (int i = warp; i < n; i += warps)
    for (int t = lane_id(); t < n; t += 32) {
      const double entry = t == i ? 1.0 : a[t * stride + i];
      inverse[i * n + t] = wrong || t > i ? 0.0f : float(entry * scale[t] * reciprocal[i]);
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
