// copy: a matrix into a rectangle of a larger one, from F32 with a cast. Packs the factors of an adapter side by side,
// appends them to W, and moves W and activations into and out of wider matrices.
// add: a rectangle, scaled, to another one. Passes the gradient of a packed matrix on to its parts.
//
// Formula        copy  destination[i][j] = source[i][j]
//                add   destination[i'][j'] = scale * source[i][j] + (accumulate ? destination[i'][j'] : 0), one fma
// Shapes         copy  source, destination [rows, columns]
//                add   the rectangle [rows, columns] lies in source [any, source_stride] as in destination, each with
//                      its offset
// Layout         row-major; copy: both may be columns of wider matrices (strides), with 16-byte accesses where rows
//                allow them; any size and alignment
// Types          source F32, destination F32 or BF16 (round to nearest even); or both BF16, as it is; add F32
// Accumulation   none (add: F32)
// Grid/Block     copy  one thread per 16-byte vector of the destination, counted through its rows;
//                      add  one per element; 256 threads
// Bytes          rows * columns * (size of source + size of destination); add 12, or 8 where it does not accumulate,
//                per element
// Flops          0; add 2 per element
// Deterministic  yes
// NaN            passes on; what the destination held is not read unless it accumulates
#include "pieces.cuh"

struct CopyBlockArgs {
  // first element that is copied; its row starts are source_stride apart; 16-byte aligned for vectors
  const void* source;
  void* destination;   // first element that is written, in the entry's destination type; 16-byte aligned for vectors
  int rows;            // rows of the rectangle
  int columns;         // columns of the rectangle
  int source_stride;   // elements from one row of the source to the next
  int stride;          // elements from one row of the destination to the next
};
SPECTRAL_LAYOUT(CopyBlockArgs, source, destination, rows, columns, source_stride, stride)

struct CopyBlockAddArgs {
  const float* source;            // matrix that the rectangle is read from
  float* destination;             // matrix that it is written to
  long long source_offset;        // element of the source at which the rectangle begins
  long long destination_offset;   // element of the destination at which the rectangle begins
  int rows;                       // rows of the rectangle
  int columns;                    // columns of the rectangle
  int source_stride;              // elements from one row of the source to the next
  int destination_stride;         // elements from one row of the destination to the next
  float scale;                    // factor of the source
  int accumulate;                 // 1: add to what the destination holds; 0: overwrite
};
SPECTRAL_LAYOUT(
    CopyBlockAddArgs, source, destination, source_offset, destination_offset, rows, columns, source_stride,
    destination_stride, scale, accumulate)

template <class From, class T>
__device__ __forceinline__ void copy_block(const CopyBlockArgs& args) {
  const int columns = args.columns;
  by_width<T>(columns | args.source_stride | args.stride, is_aligned16(args.source, args.destination), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    constexpr int kSteps = kVector<T> / kWidth;   // a thread's vector, or its elements one by one
    for (int step = 0; step < kSteps; ++step) {
      const int64_t at = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * kVector<T> + step;
      const int64_t row = at / columns;
      const int64_t column = at - row * columns;
      if (row >= args.rows)
        return;
      float v[kWidth];
      load_piece(static_cast<const From*>(args.source) + row * args.source_stride + column, v);
      store_piece(static_cast<T*>(args.destination) + row * args.stride + column, v);
    }
  });
}

SPECTRAL_KERNEL_PLAIN(copy_block_f32, CopyBlockArgs, 256) { copy_block<float, float>(args); }
SPECTRAL_KERNEL_PLAIN(copy_block_bf16, CopyBlockArgs, 256) { copy_block<float, bf16>(args); }
SPECTRAL_KERNEL_PLAIN(copy_block_within_bf16, CopyBlockArgs, 256) { copy_block<bf16, bf16>(args); }

SPECTRAL_KERNEL_PLAIN(copy_block_add, CopyBlockAddArgs, 256) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= static_cast<long long>(args.rows) * args.columns)
    return;
  const long long row = i / args.columns;
  const long long column = i - row * args.columns;
  float* to = args.destination + args.destination_offset + row * args.destination_stride + column;
  *to = fmaf(
      args.scale, args.source[args.source_offset + row * args.source_stride + column], args.accumulate ? *to : 0.0f);
}
