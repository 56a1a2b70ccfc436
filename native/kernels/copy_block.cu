// Copy of a matrix into a rectangle of a larger one, from F32 with a cast: packs the factors of an adapter side by side, or appends them to W.
//
// Formula        destination[row + i][column + j] = source[i][j]
// Shapes         source [rows, columns]; destination [any, stride]; offset = row * stride + column
// Layout         row-major contiguous; no alignment beyond the element's
// Types          source F32, destination F32 or BF16 (round to nearest even); or both BF16, as it is
// Accumulation   none
// Grid/Block     one thread per element of the source, 256 threads
// Bytes          rows * columns * (size of source + size of destination)
// Flops          0
// Deterministic  yes
#include "spectral.cuh"

struct CopyBlockArgs {
  const void* source;
  void* destination;
  long long offset;
  int rows;
  int columns;
  int stride;
};
SPECTRAL_LAYOUT(CopyBlockArgs, source, destination, offset, rows, columns, stride)

template <class From, class T>
__device__ __forceinline__ void copy_block(const CopyBlockArgs& args) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= static_cast<long long>(args.rows) * args.columns) return;
  const long long row = i / args.columns;
  T* destination = static_cast<T*>(args.destination) + args.offset;
  destination[row * args.stride + (i - row * args.columns)] = from_float<T>(to_float(static_cast<const From*>(args.source)[i]));
}

SPECTRAL_KERNEL_PLAIN(copy_block_f32, CopyBlockArgs, 256) { copy_block<float, float>(args); }
SPECTRAL_KERNEL_PLAIN(copy_block_bf16, CopyBlockArgs, 256) { copy_block<float, bf16>(args); }
SPECTRAL_KERNEL_PLAIN(copy_block_within_bf16, CopyBlockArgs, 256) { copy_block<bf16, bf16>(args); }
