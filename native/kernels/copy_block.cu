// Copy of an F32 matrix into a rectangle of a larger one, with a cast: packs the factors of an adapter side by side.
//
// Formula        destination[row + i][column + j] = source[i][j]
// Shapes         source [rows, columns]; destination [any, stride]; offset = row * stride + column
// Layout         row-major contiguous; no alignment beyond the element's
// Types          source F32; destination F32 or BF16 (round to nearest even)
// Accumulation   none
// Grid/Block     one thread per element of the source, 256 threads
// Bytes          rows * columns * (4 + size of destination)
// Flops          0
// Deterministic  yes
#include "spectral.cuh"

struct CopyBlockArgs {
  const float* source;
  void* destination;
  long long offset;
  int rows;
  int columns;
  int stride;
};
SPECTRAL_LAYOUT(CopyBlockArgs, source, destination, offset, rows, columns, stride)

template <class T>
__device__ __forceinline__ void copy_block(const CopyBlockArgs& args) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= static_cast<long long>(args.rows) * args.columns) return;
  const long long row = i / args.columns;
  T* destination = static_cast<T*>(args.destination) + args.offset;
  destination[row * args.stride + (i - row * args.columns)] = from_float<T>(args.source[i]);
}

SPECTRAL_KERNEL_PLAIN(copy_block_f32, CopyBlockArgs, 256) { copy_block<float>(args); }
SPECTRAL_KERNEL_PLAIN(copy_block_bf16, CopyBlockArgs, 256) { copy_block<bf16>(args); }
