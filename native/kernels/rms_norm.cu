// Root mean square normalisation (Zhang, Sennrich: "Root Mean Square Layer Normalization", 2019).
//
// Formula        r = 1 / sqrt(mean(x^2) + epsilon);  y = x r w, w = weight + weight_offset
//                dx = r (w dy - x r^2 mean(w dy x)) + d_residual;  dw = sum over rows of dy x r
// Shapes         x, y, dy, dx, d_residual [rows, columns]; weight [columns]; r [rows]; partials [chunks, columns]
// Layout         row-major; y, dx and d_residual may be columns of wider matrices (strides), the others are contiguous;
//                any size. dx may be d_residual or dy.
// Types          x, y, weight, dy, dx, d_residual F32 or BF16; r, partials F32
// Accumulation   F32, over a lane's elements, then over the warp
// Grid/Block     forward, backward: `lanes` lanes per row (8, or 32 for long rows), 256 threads a block. Weight
//                gradient: one thread per vector of columns (grid x) and chunk of rows (grid y); bias_gradient.cu adds
//                up the partials.
// Bytes          forward 2 size(T) rows columns; backward 3 (4 with d_residual); weight gradient 2
// Flops          forward 4 rows columns; backward 8; weight gradient 3
// Deterministic  yes
#include "pieces.cuh"

struct RmsNormForwardArgs {
  const void* x;        // x [rows, columns], type of the entry; 16-byte aligned for vectors
  const void* weight;   // weight [columns], type of the entry; 16-byte aligned for vectors
  // y [rows, columns], type of the entry, rows y_stride apart; written; 16-byte aligned for vectors
  void* y;
  float* inverse_rms;    // inverse root mean square of each row [rows]; written, kept for backward
  int rows;              // rows of x
  int columns;           // columns of x
  int y_stride;          // elements from one row of y to the next
  int lanes;             // lanes of a warp that share a row: 8 or 32
  float epsilon;         // added to the mean square
  float weight_offset;   // added to every weight, in F32
};
SPECTRAL_LAYOUT(RmsNormForwardArgs, x, weight, y, inverse_rms, rows, columns, y_stride, lanes, epsilon, weight_offset)

struct RmsNormBackwardArgs {
  const void* x;              // x [rows, columns], type of the entry; 16-byte aligned for vectors
  const void* weight;         // weight [columns], type of the entry; 16-byte aligned for vectors
  const float* inverse_rms;   // inverse root mean square of each row [rows], from forward
  const void* dy;             // dy [rows, columns], type of the entry; 16-byte aligned for vectors
  // gradient that is added [rows, columns], type of the entry, rows residual_stride apart; null: none; 16-byte aligned
  // for vectors
  const void* d_residual;
  // dx [rows, columns], type of the entry, rows dx_stride apart; written; may be d_residual or dy; 16-byte aligned for
  // vectors
  void* dx;
  int rows;              // rows of x
  int columns;           // columns of x
  int residual_stride;   // elements from one row of d_residual to the next
  int dx_stride;         // elements from one row of dx to the next
  int lanes;             // lanes of a warp that share a row: 8 or 32
  float weight_offset;   // added to every weight, in F32
};
SPECTRAL_LAYOUT(
    RmsNormBackwardArgs, x, weight, inverse_rms, dy, d_residual, dx, rows, columns, residual_stride, dx_stride, lanes,
    weight_offset)

struct RmsNormWeightGradientArgs {
  const void* x;              // x [rows, columns], type of the entry; 16-byte aligned for vectors
  const float* inverse_rms;   // inverse root mean square r of each row [rows], from forward
  const void* dy;             // dy [rows, columns], type of the entry; 16-byte aligned for vectors
  float* partials;            // partial sums [ceil(rows / chunk), columns]; written; 16-byte aligned for vectors
  int rows;                   // rows of x
  int columns;                // columns of x
  int chunk;                  // rows that one partial covers; grid y counts the chunks
};
SPECTRAL_LAYOUT(RmsNormWeightGradientArgs, x, inverse_rms, dy, partials, rows, columns, chunk)

namespace {
template <class T, int kLanes>
__device__ __forceinline__ void rms_norm_forward(const RmsNormForwardArgs& args) {
  const SharedRow<kLanes> group(args.rows, args.columns);
  if (!group.takes_part())
    return;
  const int64_t row = group.row;
  const int lane = group.lane;
  const int columns = group.columns;
  const T* x = static_cast<const T*>(args.x) + row * columns;
  const T* weight = static_cast<const T*>(args.weight);
  T* y = static_cast<T*>(args.y) + row * args.y_stride;
  by_row_width<T>(args.columns | args.y_stride, is_aligned16(args.x, args.weight, args.y), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    constexpr int kStep = SharedRow<kLanes>::kSharing * kWidth;
    float squares[kWidth] = {};
    for (int c = lane * kWidth; c < columns; c += kStep) {
      float v[kWidth];
      load_piece(x + c, v);
      for (int i = 0; i < kWidth; ++i)
        squares[i] += v[i] * v[i];
    }
    const float sum = row_sum<T, kLanes>(squares);
    const float r = 1.0f / sqrtf(sum / args.columns + args.epsilon);
    if (lane == 0 && columns)
      args.inverse_rms[row] = r;
    for (int c = lane * kWidth; c < columns; c += kStep) {
      float v[kWidth], w[kWidth];
      load_piece(x + c, v);   // from the cache
      load_piece(weight + c, w);
      for (int i = 0; i < kWidth; ++i)
        v[i] = v[i] * r * (w[i] + args.weight_offset);
      store_piece(y + c, v);
    }
  });
}

template <class T, int kLanes>
__device__ __forceinline__ void rms_norm_backward(const RmsNormBackwardArgs& args) {
  const SharedRow<kLanes> group(args.rows, args.columns);
  if (!group.takes_part())
    return;
  const int64_t row = group.row;
  const int lane = group.lane;
  const int columns = group.columns;
  const T* x = static_cast<const T*>(args.x) + row * columns;
  const T* dy = static_cast<const T*>(args.dy) + row * columns;
  const T* weight = static_cast<const T*>(args.weight);
  const T* residual = args.d_residual ? static_cast<const T*>(args.d_residual) + row * args.residual_stride : nullptr;
  T* dx = static_cast<T*>(args.dx) + row * args.dx_stride;
  const bool aligned = is_aligned16(args.x, args.weight, args.dy, args.d_residual, args.dx);
  by_row_width<T>(args.columns | args.residual_stride | args.dx_stride, aligned, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    constexpr int kStep = SharedRow<kLanes>::kSharing * kWidth;
    float products[kWidth] = {};
    for (int c = lane * kWidth; c < columns; c += kStep) {
      float v[kWidth], w[kWidth], g[kWidth];
      load_piece(x + c, v);
      load_piece(weight + c, w);
      load_piece(dy + c, g);
      for (int i = 0; i < kWidth; ++i)
        products[i] += (w[i] + args.weight_offset) * g[i] * v[i];
    }
    const float sum = row_sum<T, kLanes>(products);
    const float r = columns ? args.inverse_rms[row] : 0.0f;
    const float factor = r * r * (sum / args.columns);
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
        v[i] = r * ((w[i] + args.weight_offset) * g[i] - v[i] * factor) + add[i];
      store_piece(dx + c, v);
    }
  });
}

template <class T>
__device__ __forceinline__ void rms_norm_weight_gradient(const RmsNormWeightGradientArgs& args) {
  const int columns = args.columns;
  const int begin = int(blockIdx.y) * args.chunk;
  const int end = min(begin + args.chunk, args.rows);
  by_width<T>(columns, is_aligned16(args.x, args.dy, args.partials), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    constexpr int kSteps = kVector<T> / kWidth;   // a thread's vector, or its elements one by one
    for (int step = 0; step < kSteps; ++step) {
      const int64_t c = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * kVector<T> + step;
      if (c >= columns)
        return;
      float sum[kWidth] = {};
      for (int row = begin; row < end; ++row) {
        float v[kWidth], g[kWidth];
        load_piece(static_cast<const T*>(args.x) + int64_t(row) * columns + c, v);
        load_piece(static_cast<const T*>(args.dy) + int64_t(row) * columns + c, g);
        const float r = args.inverse_rms[row];
        for (int i = 0; i < kWidth; ++i)
          sum[i] += g[i] * v[i] * r;
      }
      store_piece(args.partials + int64_t(blockIdx.y) * columns + c, sum);
    }
  });
}
}   // namespace

SPECTRAL_KERNEL_ROWS(rms_norm_forward_f32, RmsNormForwardArgs, kRowThreads) {
  if (args.lanes == 8)
    rms_norm_forward<float, 8>(args);
  else
    rms_norm_forward<float, 32>(args);
}
SPECTRAL_KERNEL_ROWS(rms_norm_forward_bf16, RmsNormForwardArgs, kRowThreads) {
  if (args.lanes == 8)
    rms_norm_forward<bf16, 8>(args);
  else
    rms_norm_forward<bf16, 32>(args);
}
SPECTRAL_KERNEL_ROWS(rms_norm_backward_f32, RmsNormBackwardArgs, kRowThreads) {
  if (args.lanes == 8)
    rms_norm_backward<float, 8>(args);
  else
    rms_norm_backward<float, 32>(args);
}
SPECTRAL_KERNEL_ROWS(rms_norm_backward_bf16, RmsNormBackwardArgs, kRowThreads) {
  if (args.lanes == 8)
    rms_norm_backward<bf16, 8>(args);
  else
    rms_norm_backward<bf16, 32>(args);
}
SPECTRAL_KERNEL_PLAIN(rms_norm_weight_gradient_f32, RmsNormWeightGradientArgs, 128) {
  rms_norm_weight_gradient<float>(args);
}
SPECTRAL_KERNEL_PLAIN(rms_norm_weight_gradient_bf16, RmsNormWeightGradientArgs, 128) {
  rms_norm_weight_gradient<bf16>(args);
}
