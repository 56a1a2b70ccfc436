// Single entries of a product of two matrices, without the product: the gradient of a sparse change of a weight.
//
// Formula        values[k] = scale * sum over t of dy[i, t] x[j, t] (+ values[k]) where index[k] = i columns + j
// Shapes         dy [rows, tokens], x [columns, tokens]: both transposed, so that a sum walks along rows;
//                index, values [count]
// Layout         row-major, contiguous; any size with rows columns below 2^31
// Types          F32, index I32
// Accumulation   F32: each of 8 lanes adds up every eighth piece, then a tree over the lanes
// Grid/Block     8 lanes per entry, 32 entries a block. With an ascending index neighbouring entries share a row of dy
// Bytes          8 count tokens from the caches; 4 (rows + columns) tokens at least from memory; 12 count
// Flops          2 count tokens, in place of 2 rows columns tokens
// Deterministic  yes
// Out of range   an index outside [0, rows columns), such as -1 for a slot that is not in use, gives 0, which is
//                written or added like any other value
#include "pieces.cuh"

struct SampledProductArgs {
  const float* dy;    // dy [rows, tokens]; 16-byte aligned for vectors
  const float* x;     // x [columns, tokens]; 16-byte aligned for vectors
  const int* index;   // place of each entry in the product [count]
  float* values;      // values [count]; written
  int rows;           // rows of the product
  int columns;        // columns of the product
  int tokens;         // terms of each sum
  int count;          // entries
  float scale;        // factor of the sums
  int accumulate;     // 1: add to what the values hold; 0: overwrite
};
SPECTRAL_LAYOUT(SampledProductArgs, dy, x, index, values, rows, columns, tokens, count, scale, accumulate)

constexpr int kEntryLanes = 8;

SPECTRAL_KERNEL(sampled_product_f32, SampledProductArgs, kRowThreads) {
  const GroupRow<kEntryLanes> entry(args.count, args.tokens);
  const bool is_entry = entry.row < args.count;
  const int at = is_entry ? args.index[entry.row] : -1;
  const bool inside = at >= 0 && at < int64_t(args.rows) * args.columns;
  const int row = inside ? at / args.columns : 0;
  const int column = inside ? at - row * args.columns : 0;
  const float* dy = args.dy + int64_t(row) * args.tokens;
  const float* x = args.x + int64_t(column) * args.tokens;
  const int tokens = inside ? args.tokens : 0;
  float sum = 0;
  by_width<float>(args.tokens, is_aligned16(args.dy, args.x), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    for (int t = entry.lane * kWidth; t < tokens; t += kEntryLanes * kWidth) {
      float a[kWidth], b[kWidth];
      load_piece(dy + t, a);
      load_piece(x + t, b);
      for (int i = 0; i < kWidth; ++i)
        sum = fmaf(a[i], b[i], sum);
    }
  });
  sum = warp_sum<kEntryLanes>(sum);
  if (is_entry && entry.lane == 0)
    args.values[entry.row] = args.accumulate ? fmaf(args.scale, sum, args.values[entry.row]) : args.scale * sum;
}
