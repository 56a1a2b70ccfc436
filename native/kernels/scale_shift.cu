// Scaling and shifting of features: y = s ∘ x + t per column, its adjoint, and the gradient of s.
//
// Formula        scale_shift y[i,j] (+)= scale[j] x[i,j] + shift[j];
//                  scale_gradient sums[chunk,j] (+)= sum over the chunk's rows i of dy[i,j] x[i,j]
// Shapes         x, dy, y [rows, columns]; scale, shift [columns]; sums [chunks, columns]; with one chunk that is the
//                scale's gradient [columns]
// Layout         row-major, contiguous; any size; y may be x
// Types          x, dy, y, shift F32 or BF16; scale, sums F32; shift may be null
// Accumulation   F32; rows one after another, chunks are added by a second launch (bias_gradient)
// Grid/Block     one thread per 16-byte vector of columns (grid x) and chunk of rows (grid y), 128 threads a block
// Bytes          scale_shift 2 size(T) rows columns (3 when accumulating); scale_gradient 2 size(T) rows columns + 4
//                chunks columns
// Flops          2 rows columns
// Deterministic  yes: chunks depend on the shape alone
#include "pieces.cuh"

struct ScaleShiftArgs {
  const void* x;        // x [rows, columns], type of the entry; 16-byte aligned for vectors
  const float* scale;   // scales [columns]; 16-byte aligned for vectors
  const void* shift;    // shifts [columns], type of the entry; null: none; 16-byte aligned for vectors
  void* y;              // y [rows, columns], type of the entry; may be x; 16-byte aligned for vectors
  int rows;             // rows of x
  int columns;          // columns of x
  int chunk;            // rows that one thread covers; grid y counts the chunks
  int accumulate;       // 1: add to what y holds; 0: overwrite
};
SPECTRAL_LAYOUT(ScaleShiftArgs, x, scale, shift, y, rows, columns, chunk, accumulate)

struct ScaleGradientArgs {
  const void* dy;   // dy [rows, columns], type of the entry; 16-byte aligned for vectors
  const void* x;    // x [rows, columns], type of the entry; 16-byte aligned for vectors
  float* sums;      // sums [ceil(rows / chunk), columns]; 16-byte aligned for vectors
  int rows;         // rows of x
  int columns;      // columns of x
  int chunk;        // rows that one sum covers; grid y counts the chunks
  int accumulate;   // 1: add to what the sums hold; 0: overwrite
};
SPECTRAL_LAYOUT(ScaleGradientArgs, dy, x, sums, rows, columns, chunk, accumulate)

namespace {
// Calls body(width, first column) for this thread's vector of columns.
template <class T, class Body>
__device__ __forceinline__ void by_columns(int columns, bool aligned, Body body) {
  by_width<T>(columns, aligned, [&](auto width) {
    constexpr int kSteps = kVector<T> / decltype(width)::value;
    for (int step = 0; step < kSteps; ++step) {
      const int64_t c = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * kVector<T> + step;
      if (c >= columns)
        return;
      body(width, c);
    }
  });
}

template <class T>
__device__ __forceinline__ void scale_shift(const ScaleShiftArgs& args) {
  const int columns = args.columns;
  const int begin = int(blockIdx.y) * args.chunk;
  const int end = min(begin + args.chunk, args.rows);
  by_columns<T>(columns, is_aligned16(args.x, args.scale, args.shift, args.y), [&](auto width, int64_t c) {
    constexpr int kWidth = decltype(width)::value;
    float scale[kWidth];
    float shift[kWidth] = {};
    load_piece(args.scale + c, scale);
    if (args.shift)
      load_piece(static_cast<const T*>(args.shift) + c, shift);
    for (int row = begin; row < end; ++row) {
      const int64_t at = int64_t(row) * columns + c;
      T* y = static_cast<T*>(args.y) + at;
      float v[kWidth];
      float old[kWidth] = {};
      load_piece(static_cast<const T*>(args.x) + at, v);
      if (args.accumulate)
        load_piece(y, old);
      for (int i = 0; i < kWidth; ++i)
        v[i] = scale[i] * v[i] + shift[i] + old[i];
      store_piece(y, v);
    }
  });
}

template <class T>
__device__ __forceinline__ void scale_gradient(const ScaleGradientArgs& args) {
  const int columns = args.columns;
  const int begin = int(blockIdx.y) * args.chunk;
  const int end = min(begin + args.chunk, args.rows);
  by_columns<T>(columns, is_aligned16(args.dy, args.x, args.sums), [&](auto width, int64_t c) {
    constexpr int kWidth = decltype(width)::value;
    float* sums = args.sums + int64_t(blockIdx.y) * columns + c;
    float sum[kWidth] = {};
    if (args.accumulate)
      load_piece(sums, sum);
    for (int row = begin; row < end; ++row) {
      const int64_t at = int64_t(row) * columns + c;
      float dy[kWidth], x[kWidth];
      load_piece(static_cast<const T*>(args.dy) + at, dy);
      load_piece(static_cast<const T*>(args.x) + at, x);
      for (int i = 0; i < kWidth; ++i)
        sum[i] += dy[i] * x[i];
    }
    store_piece(sums, sum);
  });
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(scale_shift_f32, ScaleShiftArgs, 128) { scale_shift<float>(args); }
SPECTRAL_KERNEL_PLAIN(scale_shift_bf16, ScaleShiftArgs, 128) { scale_shift<bf16>(args); }
SPECTRAL_KERNEL_PLAIN(scale_gradient_f32, ScaleGradientArgs, 128) { scale_gradient<float>(args); }
SPECTRAL_KERNEL_PLAIN(scale_gradient_bf16, ScaleGradientArgs, 128) { scale_gradient<bf16>(args); }
