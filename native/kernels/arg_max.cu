// Index of the largest element of each row.
//
// Formula        indices[n] = the lowest j with logits[n,j] = max over the row; NaN counts as -inf
// Shapes         logits [rows, columns]; indices [rows]
// Layout         row-major, contiguous; any size, columns below 2^24
// Types          F32, I32
// Accumulation   none
// Grid/Block     one warp per row, 8 a block
// Bytes          4 rows columns
// Flops          rows columns comparisons
// Deterministic  yes
#include "pieces.cuh"

struct ArgMaxArgs {
  const float* logits;   // logits [rows, columns]; 16-byte aligned for vectors
  int* indices;          // indices [rows]; written
  int rows;              // rows of the logits
  int columns;           // columns of the logits, fewer than 2^24
};
SPECTRAL_LAYOUT(ArgMaxArgs, logits, indices, rows, columns)

SPECTRAL_KERNEL(arg_max_f32, ArgMaxArgs, kRowThreads) {
  const int64_t row = warp_row();
  if (row >= args.rows)
    return;
  const float* logits = args.logits + row * args.columns;
  float most = -INFINITY;
  int at = lane_id();   // without anything above -inf, lane 0's first element
  for (int c = lane_id(); c < args.columns; c += 32)
    if (logits[c] > most) {
      most = logits[c];
      at = c;
    }
  // The index travels as a float, exact below 2^24, negated so that the lowest wins.
  const float top = warp_max(most);
  const float best = warp_max(most == top ? -float(at) : -INFINITY);
  if (lane_id() == 0)
    args.indices[row] = int(-best);
}
