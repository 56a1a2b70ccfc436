// Second stages of the skinny passes, and the column scaling between two plain matrix products.
//
// Formula        reduce rows:      result[t,i] = sum_s partial[s,t,i];
//                  scaled[t,i] = scale c[i] result[t,i] before rounding
//                reduce gradient:  dst[a,b] = scale c[from + b] sum_s partial[s,a,from + b]  (+ dst when accumulate)
//                scale columns:    scaled[t,i] = scale c[i] source[t,i]
//                middle gradient:  dc[i] = scale sum_t g[t,i] z[t,i]  (+ dc when accumulate), first over 32 rows, then
//                  over those sums
// Shapes         partial [shares, rows, columns]; result, scaled, source, g, z [rows, columns]; c [columns] or null
//                (1); dst [rows, columns - from]; dc [count], count <= columns
// Layout         row-major; result, scaled, source, g and z may be columns of wider matrices (strides); a null result
//                is not stored
// Types          result, scaled, source, g, z: F32 or BF16; partial, c, dst, dc: F32
// Accumulation   F32, shares in ascending order
// Grid/Block     256 threads. reduce rows, reduce gradient, scale columns: one element a thread; middle gradient: one
//                column of 32 rows a thread, then one warp a column
// Bytes          4 shares rows columns + the results once
// Flops          shares rows columns; middle gradient 2 rows columns
// Deterministic  yes
#include "spectral.cuh"

struct LowRankReduceRowsArgs {
  const void* partial;   // partial sums [shares, count] F32
  const void* middle;    // middle diagonal c [columns] F32; null: ones
  // sums [count / columns, columns], type of the entry, rows result_stride apart; written; null: not wanted
  void* result;
  void* scaled;        // copy scale c ∘ sums, type of the entry, rows scaled_stride apart; written; null: not wanted
  long long count;     // elements of one share
  int columns;         // columns of a row
  int result_stride;   // elements from one row of the sums to the next
  int scaled_stride;   // elements from one row of the scaled copy to the next
  int shares;          // partial sums per element
  float scale;         // factor of the scaled copy
};
SPECTRAL_LAYOUT(
    LowRankReduceRowsArgs, partial, middle, result, scaled, count, columns, result_stride, scaled_stride, shares, scale)

struct LowRankReduceGradientArgs {
  const void* partial;   // partial sums [shares, stride] F32
  const void* middle;    // middle diagonal c [columns] F32; null: ones
  void* destination;     // gradient [count] F32, rows of the last columns - from columns
  long long count;       // elements of the gradient
  long long stride;      // elements of one share
  int columns;           // columns of a partial sum's row
  int from;              // first column that the gradient has
  int shares;            // partial sums per element
  float scale;           // factor of the sums
  int accumulate;        // 1: add to what the gradient holds; 0: overwrite
};
SPECTRAL_LAYOUT(
    LowRankReduceGradientArgs, partial, middle, destination, count, stride, columns, from, shares, scale, accumulate)

struct LowRankScaleColumnsArgs {
  const void* source;   // source [rows, columns], type of the entry, rows source_stride apart
  const void* middle;   // middle diagonal [columns] F32; null: ones
  void* scaled;         // result [rows, columns], type of the entry, rows scaled_stride apart; written
  int rows;             // rows of the source
  int columns;          // columns of the source
  int source_stride;    // elements from one row of the source to the next
  int scaled_stride;    // elements from one row of the result to the next
  float scale;          // factor of all columns
};
SPECTRAL_LAYOUT(LowRankScaleColumnsArgs, source, middle, scaled, rows, columns, source_stride, scaled_stride, scale)

struct LowRankMiddlePartialArgs {
  const void* g;   // g [rows, at least count], type of the entry, rows g_stride apart
  const void* z;   // z [rows, at least count], type of the entry, rows z_stride apart
  void* partial;   // partial sums [ceil(rows / 32), count] F32; written
  int rows;        // rows of g and z
  int g_stride;    // elements from one row of g to the next
  int z_stride;    // elements from one row of z to the next
  int count;       // columns that are summed, the first ones
};
SPECTRAL_LAYOUT(LowRankMiddlePartialArgs, g, z, partial, rows, g_stride, z_stride, count)

struct LowRankMiddleGradientArgs {
  const void* partial;   // partial sums [chunks, count] F32
  void* destination;     // gradient [count] F32
  int chunks;            // partial sums per entry
  int count;             // entries of the diagonal
  float scale;           // factor of the sums
  int accumulate;        // 1: add to what the gradient holds; 0: overwrite
};
SPECTRAL_LAYOUT(LowRankMiddleGradientArgs, partial, destination, chunks, count, scale, accumulate)

namespace {
constexpr int kRowsPerSum = 32;

__device__ __forceinline__ long long thread_index() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ float factor_of(const void* middle, int column, float scale) {
  return middle != nullptr ? scale * static_cast<const float*>(middle)[column] : scale;
}

template <class T>
__device__ __forceinline__ void reduce_rows(const LowRankReduceRowsArgs& args) {
  const long long i = thread_index();
  if (i >= args.count)
    return;
  const float* partial = static_cast<const float*>(args.partial);
  float sum = partial[i];
  for (int s = 1; s < args.shares; ++s)
    sum += partial[s * args.count + i];
  const long long row = i / args.columns;
  const int column = int(i % args.columns);
  if (args.result != nullptr)
    static_cast<T*>(args.result)[row * args.result_stride + column] = from_float<T>(sum);
  if (args.scaled != nullptr)
    static_cast<T*>(args.scaled)[row * args.scaled_stride + column] =
        from_float<T>(sum * factor_of(args.middle, column, args.scale));
}

template <class T>
__device__ __forceinline__ void scale_columns(const LowRankScaleColumnsArgs& args) {
  const long long i = thread_index();
  const long long row = i / args.columns;
  const int column = int(i % args.columns);
  if (row >= args.rows)
    return;
  const T* source = static_cast<const T*>(args.source) + row * args.source_stride;
  T* scaled = static_cast<T*>(args.scaled) + row * args.scaled_stride;
  scaled[column] = from_float<T>(to_float(source[column]) * factor_of(args.middle, column, args.scale));
}

template <class T>
__device__ __forceinline__ void middle_partial(const LowRankMiddlePartialArgs& args) {
  const long long index = thread_index();
  const int column = int(index % args.count);
  const int chunk = int(index / args.count);
  const long long first = (long long)chunk * kRowsPerSum;
  if (first >= args.rows)
    return;
  const T* g = static_cast<const T*>(args.g) + first * args.g_stride + column;
  const T* z = static_cast<const T*>(args.z) + first * args.z_stride + column;
  const int rows = int(min((long long)kRowsPerSum, args.rows - first));
  float sum = 0;
#pragma unroll 8
  for (int t = 0; t < rows; ++t)
    sum += to_float(g[(long long)t * args.g_stride]) * to_float(z[(long long)t * args.z_stride]);
  static_cast<float*>(args.partial)[index] = sum;
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(low_rank_reduce_rows_f32, LowRankReduceRowsArgs, 256) { reduce_rows<float>(args); }
SPECTRAL_KERNEL_PLAIN(low_rank_reduce_rows_bf16, LowRankReduceRowsArgs, 256) { reduce_rows<bf16>(args); }

SPECTRAL_KERNEL_PLAIN(low_rank_reduce_gradient_f32, LowRankReduceGradientArgs, 256) {
  const long long i = thread_index();
  if (i >= args.count)
    return;
  const int width = args.columns - args.from;
  const int column = args.from + int(i % width);
  const float* partial = static_cast<const float*>(args.partial) + i / width * args.columns + column;
  float sum = partial[0];
  for (int s = 1; s < args.shares; ++s)
    sum += partial[s * args.stride];
  float* destination = static_cast<float*>(args.destination) + i;
  sum *= factor_of(args.middle, column, args.scale);
  *destination = args.accumulate ? *destination + sum : sum;
}

SPECTRAL_KERNEL_PLAIN(low_rank_scale_columns_f32, LowRankScaleColumnsArgs, 256) { scale_columns<float>(args); }
SPECTRAL_KERNEL_PLAIN(low_rank_scale_columns_bf16, LowRankScaleColumnsArgs, 256) { scale_columns<bf16>(args); }
SPECTRAL_KERNEL_PLAIN(low_rank_middle_partial_f32, LowRankMiddlePartialArgs, 256) { middle_partial<float>(args); }
SPECTRAL_KERNEL_PLAIN(low_rank_middle_partial_bf16, LowRankMiddlePartialArgs, 256) { middle_partial<bf16>(args); }

SPECTRAL_KERNEL(low_rank_middle_gradient_f32, LowRankMiddleGradientArgs, 256) {
  const int column = blockIdx.x * 8 + threadIdx.x / 32;
  float sum = 0;
  if (column < args.count)
    for (int chunk = lane_id(); chunk < args.chunks; chunk += 32)
      sum += static_cast<const float*>(args.partial)[(long long)chunk * args.count + column];
  sum = args.scale * warp_sum(sum);
  if (column >= args.count || lane_id() != 0)
    return;
  float* destination = static_cast<float*>(args.destination) + column;
  *destination = args.accumulate ? *destination + sum : sum;
}
