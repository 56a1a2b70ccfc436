// Inverses of small matrices, batched: the Cayley transform of orthogonal adapters needs them.
//
// Formula        y[b] = x[b]^-1, by Gauss-Jordan elimination in place with partial pivoting
// Shapes         x, y [batch, n, n], n <= 256; work [batch, n, n | 1] or null, where the matrix fits into shared memory
// Layout         row-major, contiguous; y may be x
// Types          x, y F32; work and arithmetic F64
// Accumulation   F64: the result is rounded once, and as good as the condition number times 2^-53 allows
// Grid/Block     one block per matrix. matrix_inverse: 256 or 512 threads; a warp takes rows. Dynamic shared memory:
//                the pivot's row, its column, the row that it is swapped with (3 n F64), n I32, and without work the
//                matrix. matrix_inverse_small: one warp, n <= 32, a lane per row. Dynamic shared memory: the matrix
//                twice, n I32
// Bytes          8 n^2 per matrix, and 16 n^3 of work in the L2 where that is used
// Flops          2 n^3 per matrix, F64; the time is that of 3 n barriers, n in matrix_inverse_small
// Deterministic  yes; of equal pivots (as F32) the first is taken
// Singular       a pivot of 0 gives infinities and NaN in that matrix, as does NaN in it; the others of the batch stay
//                as they are
#include "spectral.cuh"

struct MatrixInverseArgs {
  const float* x;   // matrices [batch, n, n]
  float* y;         // their inverses [batch, n, n]; written; may be x
  double* work;     // scratch memory [batch, n, n | 1]; null: the matrix is held in shared memory
  int n;            // order of the matrices, at most 256
};
SPECTRAL_LAYOUT(MatrixInverseArgs, x, y, work, n)

SPECTRAL_KERNEL(matrix_inverse, MatrixInverseArgs, 512) {
  DYNAMIC_SHARED(memory);
  const int n = args.n;
  const int stride = n | 1;   // odd: a column then touches every bank
  const int warp = threadIdx.x / 32;
  const int warps = blockDim.x / 32;
  double* row = reinterpret_cast<double*>(memory);   // [n] the pivot's, divided by it
  double* column = row + n;                          // [n] the pivot's, rows in their new places
  double* moved = column + n;                        // [n] the row that gives its place to the pivot's
  double* a = args.work ? args.work + (long long)blockIdx.x * n * stride : moved + n;   // [n, stride]
  int* swaps = reinterpret_cast<int*>(args.work ? moved + n : a + n * stride);          // [n]
  const float* x = args.x + (long long)blockIdx.x * n * n;
  float* y = args.y + (long long)blockIdx.x * n * n;
  for (int i = warp; i < n; i += warps)
    for (int j = lane_id(); j < n; j += 32)
      a[i * stride + j] = x[i * n + j];
  for (int k = 0; k < n; ++k) {
    __syncthreads();
    if (warp == 0) {
      float most = -1;
      int at = n;
      for (int i = k + lane_id(); i < n; i += 32) {
        const float size = fabsf(float(a[i * stride + k]));
        if (size > most) {
          most = size;
          at = i;
        }
      }
      const float best = warp_max(most);
      const int first = int(-warp_max(most == best ? -float(at) : -float(n)));   // indices are exact in F32
      if (lane_id() == 0)
        swaps[k] = first < n ? first : k;   // n: the column is nothing but NaN
    }
    __syncthreads();
    const int p = swaps[k];
    const double reciprocal = 1.0 / a[p * stride + k];
    for (int j = threadIdx.x; j < n; j += blockDim.x) {
      row[j] = j == k ? reciprocal : a[p * stride + j] * reciprocal;
      moved[j] = a[k * stride + j];
      column[j] = a[(j == p ? k : j) * stride + k];
    }
    __syncthreads();
    for (int i = warp; i < n; i += warps) {
      const double factor = column[i];
      for (int j = lane_id(); j < n; j += 32) {
        const double entry = i == p ? moved[j] : a[i * stride + j];
        const double old = j == k ? 0.0 : entry;
        a[i * stride + j] = i == k ? row[j] : fma(-factor, row[j], old);
      }
    }
  }
  __syncthreads();
  // Each swap of rows during the elimination is a swap of columns of the inverse, applied in reverse order. A thread
  // has rows of its own.
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    for (int k = n - 1; k >= 0; --k) {
      const double kept = a[i * stride + k];
      a[i * stride + k] = a[i * stride + swaps[k]];
      a[i * stride + swaps[k]] = kept;
    }
  }
  __syncthreads();
  for (int i = warp; i < n; i += warps)
    for (int j = lane_id(); j < n; j += 32)
      y[i * n + j] = float(a[i * stride + j]);
}

// Every lane looks for the pivot and has its row from one copy of the matrix to the other: a barrier per pivot is
// enough. Same results as matrix_inverse, to the bit.
SPECTRAL_KERNEL(matrix_inverse_small, MatrixInverseArgs, 32) {
  DYNAMIC_SHARED(memory);
  const int n = args.n;
  const int stride = n | 1;                                 // odd: a column then touches every bank
  double* now = reinterpret_cast<double*>(memory);          // [n, stride]
  double* next = now + n * stride;                          // [n, stride]
  int* swaps = reinterpret_cast<int*>(next + n * stride);   // [n]
  const float* x = args.x + (long long)blockIdx.x * n * n;
  float* y = args.y + (long long)blockIdx.x * n * n;
  const int lane = lane_id();
  for (int index = lane; index < n * n; index += 32)
    now[index / n * stride + index % n] = x[index];
  for (int k = 0; k < n; ++k) {
    __syncthreads();
    float most = -1;
    int p = k;   // stays where the column is nothing but NaN
    for (int i = k; i < n; ++i) {
      const float size = fabsf(float(now[i * stride + k]));
      p = size > most ? i : p;
      most = size > most ? size : most;
    }
    const double* row = now + p * stride;
    const double reciprocal = 1.0 / row[k];
    if (lane < n) {
      const double* own = now + (lane == k ? p : lane == p ? k : lane) * stride;
      double* to = next + lane * stride;
      const double factor = own[k];
      if (lane == k)
        for (int j = 0; j < n; ++j)
          to[j] = row[j] * reciprocal;
      else
        for (int j = 0; j < n; ++j)
          to[j] = fma(-factor, row[j] * reciprocal, own[j]);
      to[k] = lane == k ? reciprocal : -factor * reciprocal;
    }
    if (lane == 0)
      swaps[k] = p;
    double* const read = now;
    now = next;
    next = read;
  }
  __syncthreads();
  for (int k = n - 1; k >= 0 && lane < n; --k) {
    const double kept = now[lane * stride + k];
    now[lane * stride + k] = now[lane * stride + swaps[k]];
    now[lane * stride + swaps[k]] = kept;
  }
  __syncthreads();
  for (int index = lane; index < n * n; index += 32)
    y[index] = float(now[index / n * stride + index % n]);
}

SPECTRAL_SHARED(matrix_inverse, kSharedByArguments)
SPECTRAL_SHARED(matrix_inverse_small, kSharedByArguments)
