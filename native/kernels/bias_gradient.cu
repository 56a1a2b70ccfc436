// Column sums: the gradient of a bias, and the last step of every gradient that is summed over rows.
//
// Formula        sums[chunk, j] (+)= sum over the chunk's rows i of dy[i, j]
// Shapes         dy [rows, columns]; sums [chunks, columns]; with one chunk that is the bias' gradient [columns]
// Layout         row-major, contiguous; any size
// Types          dy F32 or BF16; sums F32
// Accumulation   F32, row by row; chunks are added by a second launch
// Grid/Block     one thread per 16-byte vector of columns (grid x) and chunk of rows (grid y), 128 threads a block
// Bytes          size(T) rows columns + 4 chunks columns (8 when accumulating)
// Flops          rows columns
// Deterministic  yes: chunks depend on the shape alone
#include "pieces.cuh"

struct BiasGradientArgs {
  const void* dy;   // dy [rows, columns], type of the entry; 16-byte aligned for vectors
  float* sums;      // sums [ceil(rows / chunk), columns]; 16-byte aligned for vectors
  int rows;         // rows of dy
  int columns;      // columns of dy
  int chunk;        // rows that one sum covers; grid y counts the chunks
  int accumulate;   // 1: add to what the sums hold; 0: overwrite
};
SPECTRAL_LAYOUT(BiasGradientArgs, dy, sums, rows, columns, chunk, accumulate)

namespace {
template <class T>
__device__ __forceinline__ void bias_gradient(const BiasGradientArgs& args) {
  const int columns = args.columns;
  const int begin = int(blockIdx.y) * args.chunk;
  const int end = min(begin + args.chunk, args.rows);
  by_width<T>(columns, is_aligned16(args.dy, args.sums), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    constexpr int kSteps = kVector<T> / kWidth;
    for (int step = 0; step < kSteps; ++step) {
      const int64_t c = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * kVector<T> + step;
      if (c >= columns)
        return;
      float* sums = args.sums + int64_t(blockIdx.y) * columns + c;
      float sum[kWidth] = {};
      if (args.accumulate)
        load_piece(sums, sum);
      for (int row = begin; row < end; ++row) {
        float v[kWidth];
        load_piece(static_cast<const T*>(args.dy) + int64_t(row) * columns + c, v);
        for (int i = 0; i < kWidth; ++i)
          sum[i] += v[i];
      }
      store_piece(sums, sum);
    }
  });
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(bias_gradient_f32, BiasGradientArgs, 128) { bias_gradient<float>(args); }
SPECTRAL_KERNEL_PLAIN(bias_gradient_bf16, BiasGradientArgs, 128) { bias_gradient<bf16>(args); }
