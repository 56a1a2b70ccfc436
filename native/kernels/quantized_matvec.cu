// Few rows times a quantised weight: the products of generation, which read W once and are bound by that.
//
// Formula        y[m, n] = sum_k x[m, k] W[n, k]  (+ y[m, n] when accumulate), W as device/quantized.cuh has it
// Shapes         x [rows, depth], rows at most 8; W [columns, depth]; y [rows, columns]
// Layout         row-major; rows of x and y any distance apart; any size
// Types          codes of 4 or 8 bits; x and y F32 or BF16; W is rounded to that type as in the other products
// Accumulation   F32
// Grid/Block     one warp per row of W, 8 warps a block
// Bytes          bits / 8 columns depth + 4 blocks + size(T) rows (depth + columns)
// Flops          2 rows columns depth
// Deterministic  yes
#include "pieces.cuh"
#include "quantized.cuh"

struct QuantizedMatvecArgs {
  QuantizedWeight weight;   // W, the whole weight
  const void* x;            // x, type of the entry; 16-byte aligned for vectors
  void* y;                  // y, type of the entry; written
  int64_t x_stride;         // elements from a row of x to the next
  int64_t y_stride;         // elements from a row of y to the next
  int rows;                 // rows of x and y, at most 8
  int columns;              // rows of W
  int depth;                // columns of W
  int accumulate;           // 1: add to what y holds; 0: overwrite
};
SPECTRAL_LAYOUT(QuantizedMatvecArgs, weight, x, y, x_stride, y_stride, rows, columns, depth, accumulate)

namespace {
constexpr int kMostRows = 8;

template <int kBits, class T>
__device__ __forceinline__ void matvec(const QuantizedMatvecArgs& args) {
  const int64_t n = warp_row();
  if (n >= args.columns)
    return;
  const QuantizedWeight& weight = args.weight;
  const T* x = static_cast<const T*>(args.x);
  const int64_t start = n * args.depth;
  float sum[kMostRows] = {};
  int64_t left;
  if (in_eights(weight) && is_aligned16(x) && args.x_stride % kVector<T> == 0) {
    for (int k = lane_id() * kCodesPerThread; k < args.depth; k += 32 * kCodesPerThread) {
      float w[kCodesPerThread];
      eight_values<kBits>(weight, start + k, scale_of(weight, block_of(weight, int(n), k, left)), w);
#pragma unroll
      for (int m = 0; m < kMostRows; ++m) {
        if (m >= args.rows)
          break;
        float v[kCodesPerThread];
        load_piece(x + m * args.x_stride + k, v);
#pragma unroll
        for (int e = 0; e < kCodesPerThread; ++e)
          sum[m] += v[e] * to_float<T>(from_float<T>(w[e]));
      }
    }
  } else {
    for (int k = lane_id(); k < args.depth; k += 32) {
      const float scale = scale_of(weight, block_of(weight, int(n), k, left));
      const float w = to_float<T>(from_float<T>(weight.table[code_of<kBits>(weight, start + k)] * scale));
#pragma unroll
      for (int m = 0; m < kMostRows; ++m)
        if (m < args.rows)
          sum[m] += to_float<T>(x[m * args.x_stride + k]) * w;
    }
  }
  warp_sum(sum);
  T* y = static_cast<T*>(args.y) + n;
#pragma unroll
  for (int m = 0; m < kMostRows; ++m)
    if (lane_id() == m && m < args.rows)
      y[m * args.y_stride] = from_float<T>(args.accumulate ? sum[m] + to_float<T>(y[m * args.y_stride]) : sum[m]);
}
}   // namespace

SPECTRAL_KERNEL(quantized_matvec_4_f32, QuantizedMatvecArgs, kRowThreads) { matvec<4, float>(args); }
SPECTRAL_KERNEL(quantized_matvec_4_bf16, QuantizedMatvecArgs, kRowThreads) { matvec<4, bf16>(args); }
SPECTRAL_KERNEL(quantized_matvec_8_f32, QuantizedMatvecArgs, kRowThreads) { matvec<8, float>(args); }
SPECTRAL_KERNEL(quantized_matvec_8_bf16, QuantizedMatvecArgs, kRowThreads) { matvec<8, bf16>(args); }
