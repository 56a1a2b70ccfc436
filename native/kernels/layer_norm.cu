// Layer normalisation (Ba, Kiros, Hinton: "Layer Normalization", 2016).
//
// Formula        m = mean(x);  r = 1 / sqrt(mean((x - m)^2) + epsilon);  n = (x - m) r;  y = n w + b
//                dx = r (w dy - mean(w dy) - n mean(w dy n)) + d_residual;  dw = sum over rows of dy n
// Shapes         x, y, dy, dx, d_residual [rows, columns]; w [weight_rows, columns], of which row r of x has row
//                r mod weight_rows, as heads have that lie side by side; b [columns]; statistics [rows, 2], m and r of
//                each row; partials [chunks, weight_rows columns]
// Layout         row-major; y, dx and d_residual may be columns of wider matrices (strides), the others are contiguous;
//                any size. dx may be d_residual or dy.
// Types          x, y, w, b, dy, dx, d_residual F32 or BF16; statistics, partials F32
// Accumulation   F32, over a lane's elements, then over the warp; the variance from differences to the mean
// Grid/Block     forward, backward: `lanes` lanes per row (8, or 32 for long rows), 256 threads a block. Weight
//                gradient: one thread per vector of columns (grid x) and chunk of rows (grid y); bias_gradient.cu adds
//                up the partials, and the rows of dy for the bias.
// Bytes          forward 2 size(T) rows columns; backward 3 (4 with d_residual); weight gradient 2
// Flops          forward 7 rows columns; backward 12; weight gradient 4
// Deterministic  yes
#include "pieces.cuh"

struct LayerNormForwardArgs {
  const void* x;        // x [rows, columns], type of the entry; 16-byte aligned for vectors
  const void* weight;   // w [weight_rows, columns], type of the entry; 16-byte aligned for vectors
  const void* bias;     // b [columns], type of the entry; null: none; 16-byte aligned for vectors
  // y [rows, columns], type of the entry, rows y_stride apart; written; 16-byte aligned for vectors
  void* y;
  float* statistics;   // mean and inverse deviation of each row [rows, 2]; written, kept for backward
  int rows;            // rows of x
  int columns;         // columns of x
  int weight_rows;     // rows of w
  int y_stride;        // elements from one row of y to the next
  int lanes;           // lanes of a warp that share a row: 8 or 32
  float epsilon;       // added to the variance
};
SPECTRAL_LAYOUT(
    LayerNormForwardArgs, x, weight, bias, y, statistics, rows, columns, weight_rows, y_stride, lanes, epsilon)

struct LayerNormBackwardArgs {
  const void* x;             // x [rows, columns], type of the entry; 16-byte aligned for vectors
  const void* weight;        // w [weight_rows, columns], type of the entry; 16-byte aligned for vectors
  const float* statistics;   // mean and inverse deviation of each row [rows, 2], from forward
  const void* dy;            // dy [rows, columns], type of the entry; 16-byte aligned for vectors
  // gradient that is added [rows, columns], type of the entry, rows residual_stride apart; null: none; 16-byte aligned
  // for vectors
  const void* d_residual;
  // dx [rows, columns], type of the entry, rows dx_stride apart; written; may be d_residual or dy; 16-byte aligned for
  // vectors
  void* dx;
  int rows;              // rows of x
  int columns;           // columns of x
  int weight_rows;       // rows of w
  int residual_stride;   // elements from one row of d_residual to the next
  int dx_stride;         // elements from one row of dx to the next
  int lanes;             // lanes of a warp that share a row: 8 or 32
};
SPECTRAL_LAYOUT(
    LayerNormBackwardArgs, x, weight, statistics, dy, d_residual, dx, rows, columns, weight_rows, residual_stride,
    dx_stride, lanes)

struct LayerNormWeightGradientArgs {
  const void* x;             // x [rows, columns], type of the entry; 16-byte aligned for vectors
  const float* statistics;   // mean and inverse deviation of each row [rows, 2], from forward
  const void* dy;            // dy [rows, columns], type of the entry; 16-byte aligned for vectors
  // partial sums [ceil(rows / (weight_rows chunk)), weight_rows columns]; written; 16-byte aligned for vectors
  float* partials;
  int rows;          // rows of x, a multiple of weight_rows
  int columns;       // columns of x
  int weight_rows;   // rows of w
  int chunk;         // rows of x that one partial covers for each row of w; grid y counts the chunks
};
SPECTRAL_LAYOUT(LayerNormWeightGradientArgs, x, statistics, dy, partials, rows, columns, weight_rows, chunk)

namespace {
template <class T, int kLanes>
__device__ __forceinline__ void layer_norm_forward(const LayerNormForwardArgs& args) {
  const SharedRow<kLanes> group(args.rows, args.columns);
  if (!group.takes_part())
    return;
  const int64_t row = group.row;
  const int lane = group.lane;
  const int columns = group.columns;
  const T* x = static_cast<const T*>(args.x) + row * columns;
  const T* weight = static_cast<const T*>(args.weight) + row % args.weight_rows * columns;
  const T* bias = static_cast<const T*>(args.bias);
  T* y = static_cast<T*>(args.y) + row * args.y_stride;
  by_row_width<T>(args.columns | args.y_stride, is_aligned16(args.x, args.weight, args.bias, args.y), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    constexpr int kStep = SharedRow<kLanes>::kSharing * kWidth;
    float totals[kWidth] = {};
    for (int c = lane * kWidth; c < columns; c += kStep) {
      float v[kWidth];
      load_piece(x + c, v);
      for (int i = 0; i < kWidth; ++i)
        totals[i] += v[i];
    }
    const float mean = row_sum<T, kLanes>(totals) / args.columns;
    float squares[kWidth] = {};
    for (int c = lane * kWidth; c < columns; c += kStep) {
      float v[kWidth];
      load_piece(x + c, v);   // from the cache
      for (int i = 0; i < kWidth; ++i)
        squares[i] += (v[i] - mean) * (v[i] - mean);
    }
    const float variance = row_sum<T, kLanes>(squares) / args.columns;
    const float r = 1.0f / sqrtf(variance + args.epsilon);
    if (lane == 0 && columns) {
      args.statistics[2 * row] = mean;
      args.statistics[2 * row + 1] = r;
    }
    for (int c = lane * kWidth; c < columns; c += kStep) {
      float v[kWidth], w[kWidth];
      float b[kWidth] = {};
      load_piece(x + c, v);
      load_piece(weight + c, w);
      if (bias)
        load_piece(bias + c, b);
      for (int i = 0; i < kWidth; ++i)
        v[i] = (v[i] - mean) * r * w[i] + b[i];
      store_piece(y + c, v);
    }
  });
}

template <class T, int kLanes>
__device__ __forceinline__ void layer_norm_backward(const LayerNormBackwardArgs& args) {
  const SharedRow<kLanes> group(args.rows, args.columns);
  if (!group.takes_part())
    return;
  const int64_t row = group.row;
  const int lane = group.lane;
  const int columns = group.columns;
  const T* x = static_cast<const T*>(args.x) + row * columns;
  const T* dy = static_cast<const T*>(args.dy) + row * columns;
  const T* weight = static_cast<const T*>(args.weight) + row % args.weight_rows * columns;
  const T* residual = args.d_residual ? static_cast<const T*>(args.d_residual) + row * args.residual_stride : nullptr;
  T* dx = static_cast<T*>(args.dx) + row * args.dx_stride;
  const float mean = columns ? args.statistics[2 * row] : 0.0f;
  const float r = columns ? args.statistics[2 * row + 1] : 0.0f;
  const bool aligned = is_aligned16(args.x, args.weight, args.dy, args.d_residual, args.dx);
  by_row_width<T>(args.columns | args.residual_stride | args.dx_stride, aligned, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    constexpr int kStep = SharedRow<kLanes>::kSharing * kWidth;
    float totals[kWidth] = {};
    float products[kWidth] = {};
    for (int c = lane * kWidth; c < columns; c += kStep) {
      float v[kWidth], w[kWidth], g[kWidth];
      load_piece(x + c, v);
      load_piece(weight + c, w);
      load_piece(dy + c, g);
      for (int i = 0; i < kWidth; ++i) {
        totals[i] += w[i] * g[i];
        products[i] += w[i] * g[i] * ((v[i] - mean) * r);
      }
    }
    const float total = row_sum<T, kLanes>(totals) / args.columns;
    const float product = row_sum<T, kLanes>(products) / args.columns;
    for (int c = lane * kWidth; c < columns; c += kStep) {
      float v[kWidth];
      float w[kWidth];
      float g[kWidth];
      float add[kWidth] = {};
      load_piece(x + c, v);
      load_piece(weight + c, w);
      load_piece(dy + c, g);
      if (residual)
        load_piece(residual + c, add);
      for (int i = 0; i < kWidth; ++i)
        v[i] = r * (w[i] * g[i] - total - (v[i] - mean) * r * product) + add[i];
      store_piece(dx + c, v);
    }
  });
}

// The rows that share a row of w are all of x seen as [rows / weight_rows, weight_rows columns].
template <class T>
__device__ __forceinline__ void layer_norm_weight_gradient(const LayerNormWeightGradientArgs& args) {
  const int64_t columns = int64_t(args.weight_rows) * args.columns;
  const int begin = int(blockIdx.y) * args.chunk;
  const int end = min(begin + args.chunk, args.rows / args.weight_rows);
  by_width<T>(args.columns, is_aligned16(args.x, args.dy, args.partials), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    constexpr int kSteps = kVector<T> / kWidth;   // a thread's vector, or its elements one by one
    for (int step = 0; step < kSteps; ++step) {
      const int64_t c = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * kVector<T> + step;
      if (c >= columns)
        return;
      const int64_t weight_row = c / args.columns;
      float sum[kWidth] = {};
      for (int row = begin; row < end; ++row) {
        float v[kWidth], g[kWidth];
        load_piece(static_cast<const T*>(args.x) + row * columns + c, v);
        load_piece(static_cast<const T*>(args.dy) + row * columns + c, g);
        const float* statistics = args.statistics + 2 * (int64_t(row) * args.weight_rows + weight_row);
        for (int i = 0; i < kWidth; ++i)
          sum[i] += g[i] * ((v[i] - statistics[0]) * statistics[1]);
      }
      store_piece(args.partials + int64_t(blockIdx.y) * columns + c, sum);
    }
  });
}
}   // namespace

SPECTRAL_KERNEL_ROWS(layer_norm_forward_f32, LayerNormForwardArgs, kRowThreads) {
  if (args.lanes == 8)
    layer_norm_forward<float, 8>(args);
  else
    layer_norm_forward<float, 32>(args);
}
SPECTRAL_KERNEL_ROWS(layer_norm_forward_bf16, LayerNormForwardArgs, kRowThreads) {
  if (args.lanes == 8)
    layer_norm_forward<bf16, 8>(args);
  else
    layer_norm_forward<bf16, 32>(args);
}
SPECTRAL_KERNEL_ROWS(layer_norm_backward_f32, LayerNormBackwardArgs, kRowThreads) {
  if (args.lanes == 8)
    layer_norm_backward<float, 8>(args);
  else
    layer_norm_backward<float, 32>(args);
}
SPECTRAL_KERNEL_ROWS(layer_norm_backward_bf16, LayerNormBackwardArgs, kRowThreads) {
  if (args.lanes == 8)
    layer_norm_backward<bf16, 8>(args);
  else
    layer_norm_backward<bf16, 32>(args);
}
SPECTRAL_KERNEL_PLAIN(layer_norm_weight_gradient_f32, LayerNormWeightGradientArgs, 128) {
  layer_norm_weight_gradient<float>(args);
}
SPECTRAL_KERNEL_PLAIN(layer_norm_weight_gradient_bf16, LayerNormWeightGradientArgs, 128) {
  layer_norm_weight_gradient<bf16>(args);
}
