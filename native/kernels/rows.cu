// Rows taken from, and put back into, a matrix: the positions that carry loss, and the embedding lookup.
//
// Formula        gather   y[k, :] = x[index[k], :]
//                scatter  x[index[k], :] = y[k, :]; the caller zeroes x before
// Shapes         x [rows, columns]; index [count] I32; y [count, columns]
// Layout         row-major, contiguous; any size
// Types          F32, BF16
// Accumulation   none
// Grid/Block     one warp per row of y, 8 warps a block
// Bytes          2 size(T) count columns + 4 count
// Flops          0
// Deterministic  yes, if scatter's indices are distinct
// Out of range   an index outside [0, rows): gather gives a row of NaN, scatter leaves the row out
#include "pieces.cuh"

struct RowsArgs {
  // what is read, type of the entry: [rows, columns] to gather, [count, columns] to scatter; 16-byte aligned for
  // vectors
  const void* source;
  const int* index;   // row of each of count rows [count]; distinct to scatter
  // what is written, type of the entry: [count, columns] to gather, [rows, columns] to scatter; 16-byte aligned for
  // vectors
  void* destination;
  int rows;      // rows of the large matrix
  int count;     // rows that are moved
  int columns;   // elements of a row
};
SPECTRAL_LAYOUT(RowsArgs, source, index, destination, rows, count, columns)

namespace {
template <class T, bool kScatter>
__device__ __forceinline__ void move_row(const RowsArgs& args) {
  const int64_t k = warp_row();
  if (k >= args.count)
    return;
  const int row = args.index[k];
  const int columns = args.columns;
  const bool inside = row >= 0 && row < args.rows;
  if (kScatter && !inside)
    return;
  const int64_t in_x = inside ? row : 0;
  const int64_t from = kScatter ? k : in_x;
  const int64_t to = kScatter ? in_x : k;
  const T* source = static_cast<const T*>(args.source) + from * columns;
  T* destination = static_cast<T*>(args.destination) + to * columns;
  by_width<T>(columns, is_aligned16(args.source, args.destination), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    for (int c = lane_id() * kWidth; c < columns; c += 32 * kWidth) {
      float v[kWidth];
      if (inside) {
        load_piece(source + c, v);
      } else {
        for (int i = 0; i < kWidth; ++i)
          v[i] = NAN;
      }
      store_piece(destination + c, v);
    }
  });
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(rows_gather_f32, RowsArgs, kRowThreads) { move_row<float, false>(args); }
SPECTRAL_KERNEL_PLAIN(rows_gather_bf16, RowsArgs, kRowThreads) { move_row<bf16, false>(args); }
SPECTRAL_KERNEL_PLAIN(rows_scatter_f32, RowsArgs, kRowThreads) { move_row<float, true>(args); }
SPECTRAL_KERNEL_PLAIN(rows_scatter_bf16, RowsArgs, kRowThreads) { move_row<bf16, true>(args); }
