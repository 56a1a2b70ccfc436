// The way back from experts to tokens: rows that stand in the order of the experts, summed for each token with the
// weights of its experts.
//
// Formula        combine   y[n, :] = sum over t of weight[n, t] rows[place[n, t], :]
//                backward  drows[place[n, t], :] = weight[n, t] dy[n, :];
//                          dweight[n, t] = sum over c of rows[place[n, t], c] dy[n, c]
// Shapes         rows, drows [tokens k, columns]; y, dy [tokens, columns]; place, weight, dweight [tokens, k]
// Layout         row-major, contiguous; any size
// Types          rows, drows, y, dy F32 or BF16; weight, dweight F32; place I32
// Accumulation   F32
// Grid/Block     combine: one warp per token; backward: one warp per token and expert; 8 a block
// Bytes          combine size(T) tokens columns (k + 1); backward 3 size(T) tokens k columns, of which dy is read k
//                times in a row; 8 tokens k each
// Flops          combine 2 tokens k columns; backward 3 tokens k columns
// Deterministic  yes, for places that are all different: a token's sum goes by t
// Out of range   a place outside [0, tokens k) makes the token's row NaN; backward leaves it out, with dweight NaN
#include "pieces.cuh"

struct ExpertRowsCombineArgs {
  // rows in the order of the experts [tokens k, columns], type of the entry; 16-byte aligned for vectors
  const void* rows;
  const int* place;      // row of each token's experts [tokens, k], all different
  const float* weight;   // their weights [tokens, k]; null: 1
  void* y;               // y [tokens, columns], type of the entry; written; 16-byte aligned for vectors
  int tokens;            // rows of y
  int columns;           // elements of a row
  int k;                 // experts per token
};
SPECTRAL_LAYOUT(ExpertRowsCombineArgs, rows, place, weight, y, tokens, columns, k)

struct ExpertRowsBackwardArgs {
  const void* dy;        // dy [tokens, columns], type of the entry; 16-byte aligned for vectors
  const int* place;      // row of each token's experts [tokens, k], all different
  const float* weight;   // their weights [tokens, k]
  // rows as in combine [tokens k, columns], type of the entry; null where d_weight is; 16-byte aligned for vectors
  const void* rows;
  // gradient of the rows [tokens k, columns], type of the entry; written; null: not wanted; 16-byte aligned for vectors
  void* d_rows;
  float* d_weight;   // gradient of the weights [tokens, k]; written; null: not wanted
  int tokens;        // rows of dy
  int columns;       // elements of a row
  int k;             // experts per token
};
SPECTRAL_LAYOUT(ExpertRowsBackwardArgs, dy, place, weight, rows, d_rows, d_weight, tokens, columns, k)

namespace {
template <class T>
__device__ __forceinline__ void expert_rows_combine(const ExpertRowsCombineArgs& args) {
  const int64_t token = warp_row();
  if (token >= args.tokens || !WarpRow::takes_part())
    return;
  const int columns = args.columns;
  const int64_t count = int64_t(args.tokens) * args.k;
  const T* rows = static_cast<const T*>(args.rows);
  const int* place = args.place + token * args.k;
  T* y = static_cast<T*>(args.y) + token * columns;
  by_row_width<T>(columns, is_aligned16(args.rows, args.y), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    for (int c = WarpRow::lane() * kWidth; c < columns; c += WarpRow::kSharing * kWidth) {
      float sum[kWidth] = {};
      for (int t = 0; t < args.k; ++t) {
        const int64_t row = place[t];
        const bool inside = row >= 0 && row < count;
        const float weight = inside ? (args.weight ? args.weight[token * args.k + t] : 1.0f) : NAN;
        float v[kWidth];
        load_piece(rows + (inside ? row : 0) * columns + c, v);
        for (int i = 0; i < kWidth; ++i)
          sum[i] = fmaf(weight, v[i], sum[i]);
      }
      store_piece(y + c, sum);
    }
  });
}

template <class T>
__device__ __forceinline__ void expert_rows_backward(const ExpertRowsBackwardArgs& args) {
  const int64_t choice = warp_row();
  const int64_t count = int64_t(args.tokens) * args.k;
  if (choice >= count || !WarpRow::takes_part())
    return;
  const int columns = args.columns;
  const int64_t row = args.place[choice];
  const bool inside = row >= 0 && row < count;
  const T* dy = static_cast<const T*>(args.dy) + choice / args.k * columns;
  const T* rows = static_cast<const T*>(args.rows) + (args.rows && inside ? row * columns : 0);
  T* d_rows = static_cast<T*>(args.d_rows) + (args.d_rows && inside ? row * columns : 0);
  const float weight = args.weight[choice];
  float sum = 0;
  by_row_width<T>(columns, is_aligned16(args.dy, args.rows, args.d_rows), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    constexpr int kSums = kWidth > kVector<T> ? kWidth : 1;   // on a GPU one: registers for more warps
    float sums[kSums] = {};
    for (int c = WarpRow::lane() * kWidth; c < columns; c += WarpRow::kSharing * kWidth) {
      float v[kWidth];
      load_piece(dy + c, v);
      if (args.d_weight) {
        float x[kWidth];
        load_piece(rows + c, x);
        for (int i = 0; i < kWidth; ++i)
          sums[i % kSums] = fmaf(x[i], v[i], sums[i % kSums]);
      }
      if (args.d_rows && inside) {
        for (int i = 0; i < kWidth; ++i)
          v[i] *= weight;
        store_piece(d_rows + c, v);
      }
    }
    sum = own_sum<T>(sums);
  });
  sum = WarpRow::sum(sum);
  if (args.d_weight && WarpRow::lane() == 0)
    args.d_weight[choice] = inside ? sum : NAN;
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(expert_rows_combine_f32, ExpertRowsCombineArgs, kRowThreads) { expert_rows_combine<float>(args); }
SPECTRAL_KERNEL_PLAIN(expert_rows_combine_bf16, ExpertRowsCombineArgs, kRowThreads) { expert_rows_combine<bf16>(args); }
SPECTRAL_KERNEL_ROWS(expert_rows_backward_f32, ExpertRowsBackwardArgs, kRowThreads) {
  expert_rows_backward<float>(args);
}
SPECTRAL_KERNEL_ROWS(expert_rows_backward_bf16, ExpertRowsBackwardArgs, kRowThreads) {
  expert_rows_backward<bf16>(args);
}
