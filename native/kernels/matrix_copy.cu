// Copies of a matrix into F32, times a power of two: as it is, or transposed (also a batch), for the linear algebra.
//
// Formula        copy: y[r, c] = scale * x[r, c]; transpose: y[c, r] = scale * x[r, c]
// Shapes         x [rows, columns]; y [rows, columns] or [columns, rows]; transpose: [batch] of both, densely one after
//                the other
// Types          x f32 or bf16; y f32; exact unless the scaled value leaves the range of F32
// Accumulation   none
// Grid/Block     copy: one thread per 4 elements; transpose: one thread per element of y, in y's order,
//                y = matrix
// Bytes          rows * columns * (sizeof(T) + 4)
// Flops          rows * columns
// Deterministic  yes
#include "spectral.cuh"

struct MatrixCopyArgs {
  // x [rows, columns], type of the entry; transposed ones may be a batch, one after the other; 16-byte aligned for
  // vectors
  const void* x;
  float* y;      // y: the shape of x, or [columns, rows]; written; 16-byte aligned for vectors
  int rows;      // rows of x
  int columns;   // columns of x
  float scale;   // factor of every element, a power of two
};
SPECTRAL_LAYOUT(MatrixCopyArgs, x, y, rows, columns, scale)

template <class T>
__device__ __forceinline__ void matrix_copy(const MatrixCopyArgs& args) {
  const T* x = static_cast<const T*>(args.x);
  const long long count = (long long)args.rows * args.columns;
  const long long start = 4 * ((long long)blockIdx.x * blockDim.x + threadIdx.x);
#pragma unroll
  for (int e = 0; e < 4; ++e)
    if (start + e < count)
      args.y[start + e] = args.scale * to_float<T>(x[start + e]);
}

template <class T>
__device__ __forceinline__ void matrix_transpose(const MatrixCopyArgs& args) {
  const T* x = static_cast<const T*>(args.x);
  const unsigned rows = args.rows;
  const unsigned columns = args.columns;
  const unsigned index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= rows * columns)
    return;
  const unsigned column = index / rows;
  const unsigned row = index % rows;
  const long long matrix = blockIdx.y * ((long long)rows * columns);
  args.y[matrix + index] = args.scale * to_float<T>(x[matrix + (long long)row * columns + column]);
}

SPECTRAL_KERNEL_PLAIN(matrix_copy_f32, MatrixCopyArgs, 256) { matrix_copy<float>(args); }
SPECTRAL_KERNEL_PLAIN(matrix_copy_bf16, MatrixCopyArgs, 256) { matrix_copy<bf16>(args); }
SPECTRAL_KERNEL_PLAIN(matrix_transpose_f32, MatrixCopyArgs, 256) { matrix_transpose<float>(args); }
SPECTRAL_KERNEL_PLAIN(matrix_transpose_bf16, MatrixCopyArgs, 256) { matrix_transpose<bf16>(args); }
