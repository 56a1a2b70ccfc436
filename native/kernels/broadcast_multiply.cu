// A matrix times a vector along its rows or columns, a number, or a matrix, element by element: applies the scales of
// adapters to their factors.
//
// Formula        z[i,j] = scale * x[i,j] * v[i row_stride + j column_stride] (+ z[i,j])
//                strides (1, 0): one v per row; (0, 1): one per column; (0, 0): one in all; (columns, 1): one per
//                element
// Shapes         x, z [rows, columns]; v [rows], [columns], [1] or [rows, columns]
// Layout         row-major, contiguous; z may be x, and v where v has one number per element
// Types          F32
// Accumulation   F32: scale * v is rounded, then one fma
// Grid/Block     one thread per 16-byte vector of x, 256 a block
// Bytes          8 rows columns, 12 where it accumulates, and those of v
// Flops          3 rows columns
// Deterministic  yes
// NaN            passes on; 0 times infinity is NaN. z is not read unless it accumulates
#include "pieces.cuh"

struct BroadcastMultiplyArgs {
  const float* x;       // x [count / columns, columns]; 16-byte aligned for vectors
  const float* v;       // v: one element per row, per column, per element, or one in all, as the strides say
  float* z;             // z, the shape of x; may be x; 16-byte aligned for vectors
  int64_t count;        // elements of x
  int64_t row_stride;   // elements of v from one row of x to the next
  int column_stride;    // elements of v from one column of x to the next
  int columns;          // columns of x
  float scale;          // factor of the products
  int accumulate;       // 1: add to what z holds; 0: overwrite
};
SPECTRAL_LAYOUT(BroadcastMultiplyArgs, x, v, z, count, row_stride, column_stride, columns, scale, accumulate)

SPECTRAL_KERNEL_PLAIN(broadcast_multiply, BroadcastMultiplyArgs, kFlatThreads) {
  by_piece<float>(args.count, is_aligned16(args.x, args.z), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float x[kWidth];
    float z[kWidth] = {};
    load_piece(args.x + at, x);
    if (args.accumulate)
      load_piece(args.z + at, z);
    int64_t row = at / args.columns;
    int column = int(at - row * args.columns);
    for (int i = 0; i < kWidth; ++i) {
      z[i] = fmaf(args.scale * args.v[row * args.row_stride + int64_t(column) * args.column_stride], x[i], z[i]);
      if (++column == args.columns) {
        column = 0;
        ++row;
      }
    }
    store_piece(args.z + at, z);
  });
}
