// A part of a quantised weight as plain numbers.
//
// Formula        y[i, j] = table[code(from_row + i, from_column + j)] * scale of its block
// Shapes         y [rows, columns], a rectangle of the weight; codes and scales as device/quantized.cuh has them
// Layout         y row-major, contiguous; any size
// Types          codes of 4 or 8 bits; y F32 or BF16
// Accumulation   none: one product in F32, rounded once more to BF16
// Grid/Block     one thread per 8 columns of 4 rows, 256 a block
// Bytes          (bits / 8 + size(T)) rows columns + 4 blocks
// Flops          rows columns
// Deterministic  yes
#include "pieces.cuh"
#include "quantized.cuh"

struct DequantizeArgs {
  QuantizedWeight weight;   // the whole weight
  void* destination;        // y [rows, columns], type of the entry; written; 16-byte aligned for vectors
  int from_row;             // first row of the rectangle
  int from_column;          // first column of the rectangle
  int rows;                 // rows of the rectangle
  int columns;              // columns of the rectangle
};
SPECTRAL_LAYOUT(DequantizeArgs, weight, destination, from_row, from_column, rows, columns)

namespace {
constexpr int kRowsPerThread = 4;   // their columns' arithmetic is done once

template <int kBits, class T>
__device__ __forceinline__ void dequantize(const DequantizeArgs& args) {
  const unsigned thread = blockIdx.x * blockDim.x + threadIdx.x;
  const unsigned pieces = ceil_div(args.columns, kCodesPerThread);
  const int first = int(thread % pieces) * kCodesPerThread;
  const int row0 = int(thread / pieces) * kRowsPerThread;
  const QuantizedWeight& weight = args.weight;
  const bool whole = in_eights(weight) && args.from_column % kCodesPerThread == 0 &&
                     args.columns % kCodesPerThread == 0 && is_aligned16(args.destination);
  const int rows = min(row0 + kRowsPerThread, args.rows);
  for (int i = row0; i < rows; ++i) {
    T* to = static_cast<T*>(args.destination) + int64_t(i) * args.columns;
    const int row = args.from_row + i;
    const int64_t start = int64_t(row) * weight.columns;
    int64_t left;
    if (whole) {
      const float scale = scale_of(weight, block_of(weight, row, args.from_column + first, left));
      float values[kCodesPerThread];
      eight_values<kBits>(weight, start + args.from_column + first, scale, values);
      store_piece(to + first, values);
      continue;
    }
    const int last = min(first + kCodesPerThread, args.columns);
    for (int j = first; j < last; ++j) {
      const int column = args.from_column + j;
      const float scale = scale_of(weight, block_of(weight, row, column, left));
      to[j] = from_float<T>(weight.table[code_of<kBits>(weight, start + column)] * scale);
    }
  }
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(dequantize_4_f32, DequantizeArgs, kFlatThreads) { dequantize<4, float>(args); }
SPECTRAL_KERNEL_PLAIN(dequantize_4_bf16, DequantizeArgs, kFlatThreads) { dequantize<4, bf16>(args); }
SPECTRAL_KERNEL_PLAIN(dequantize_8_f32, DequantizeArgs, kFlatThreads) { dequantize<8, float>(args); }
SPECTRAL_KERNEL_PLAIN(dequantize_8_bf16, DequantizeArgs, kFlatThreads) { dequantize<8, bf16>(args); }
