// Rows of a weight as codes: the largest magnitude of each block, its scale, and the code nearest to each w / scale.
//
// Formula        absmax   most[b] = max |w| over the block
//                scales   scale[b] = most[b] / largest, or with `power` 2^(floor(log2(most[b])) - power)
//                codes    x = w (1 / scale);  code = order[number of borders below x]
//                The borders are the middles between neighbouring values, so a tie goes to the lower value.
// Shapes         w [count / columns, columns], rows of the weight; scale [blocks]; borders [15 or 255];
//                order [16 or 256]
// Layout         w row-major, contiguous, from the first element of a block on; any size
// Types          F32; codes of 4 or 8 bits
// Accumulation   none
// Grid/Block     absmax and codes: one thread per 8 elements; scales: one per block; 256 a block
// Bytes          absmax 4 count + 4 blocks; scales 8 blocks; codes (4 + bits / 8) count + 4 blocks
// Flops          absmax count; scales blocks; codes (bits + 1) count
// Deterministic  yes: a maximum does not depend on the order
// Not numbers    a NaN or an infinity makes its block NaN
#include "pieces.cuh"
#include "quantized.cuh"

struct QuantizeArgs {
  QuantizedWeight weight;   // the whole weight; what is written has fields of its own
  const float* values;      // w, rows of the weight from `from` on [count]; 16-byte aligned for vectors
  float* scales;            // scale of each block [blocks of the weight]; largest magnitudes before kernel `scales`
  uint8_t* codes;           // codes of the weight; 4-byte aligned
  const float* borders;     // middles between neighbouring values, ascending, then infinities [15 or 255]
  const uint8_t* order;     // codes of the values, ascending [16 or 256]
  int64_t from;             // place of the first element in the flattened weight, even
  int64_t count;            // elements, or for `scales` blocks
  int64_t first_block;      // of the scales that kernel `scales` makes
  float largest;            // magnitude that the largest of a block gets
  int power;                // of two that scales are divided by where they are powers of two; negative: they are not
};
SPECTRAL_LAYOUT(QuantizeArgs, weight, values, scales, codes, borders, order, from, count, first_block, largest, power)

namespace {
// Calls body(offset into values, its block, how many of the thread's elements from there on share it).
template <class Body>
__device__ __forceinline__ void by_block(const QuantizeArgs& args, Body body) {
  const int64_t begin = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * kCodesPerThread;
  const int64_t end = min(begin + kCodesPerThread, args.count);
  for (int64_t i = begin; i < end;) {
    const int64_t at = args.from + i;
    const int row = int(at / args.weight.columns);
    const int column = int(at % args.weight.columns);
    int64_t left;
    const int64_t block = block_of(args.weight, row, column, left);
    left = min(left, int64_t(args.weight.columns - column));
    left = min(left, end - i);
    body(i, block, int(left));
    i += left;
  }
}

// w / scale, by a product where the reciprocal is finite.
__device__ __forceinline__ float scaled(float w, float scale) {
  constexpr float kSmallestNormal = 1.17549435e-38f;
  if (scale == 0)
    return 0;
  return scale < kSmallestNormal ? w / scale : w * (1 / scale);
}

template <int kBits>
__device__ __forceinline__ unsigned nearest(const QuantizeArgs& args, float x) {
  int rank = 0;
#pragma unroll
  for (int step = 1 << (kBits - 1); step > 0; step /= 2)
    rank += x > args.borders[rank + step - 1] ? step : 0;
  return args.order[rank];
}

template <int kBits>
__device__ __forceinline__ void store_codes(const QuantizeArgs& args) {
  uint64_t bits = 0;   // of the thread's codes as they lie in memory
  int count = 0;
  by_block(args, [&](int64_t i, int64_t block, int left) {
    const float scale = args.scales[block];
    for (int e = 0; e < left; ++e, ++count) {
      const int from = kBits == 8 ? 8 * count : 8 * (count / 2) + (count % 2 ? 0 : 4);
      bits |= uint64_t(nearest<kBits>(args, scaled(args.values[i + e], scale))) << from;
    }
  });
  const int64_t begin = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * kCodesPerThread;
  uint8_t* to = args.codes + (args.from + begin) * kBits / 8;
  for (int byte = 0; byte < ceil_div(count * kBits, 8); ++byte)
    to[byte] = uint8_t(bits >> 8 * byte);
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(quantize_absmax_f32, QuantizeArgs, kFlatThreads) {
  by_block(args, [&](int64_t i, int64_t block, int left) {
    unsigned most = 0;   // magnitudes are in the order of their bits, and NaN is above them all
    for (int e = 0; e < left; ++e)
      most = max(most, __float_as_uint(fabsf(args.values[i + e])));
    atomicMax(reinterpret_cast<unsigned*>(args.scales + block), most);
  });
}

SPECTRAL_KERNEL_PLAIN(quantize_scales_f32, QuantizeArgs, kFlatThreads) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= args.count)
    return;
  float& scale = args.scales[args.first_block + i];
  const float most = scale;
  if (!(most < INFINITY))
    scale = NAN;
  else if (args.power < 0)
    scale = most / args.largest;
  else
    scale = __uint_as_float(unsigned(max(int(__float_as_uint(most) >> 23) - args.power, 1)) << 23);
}

SPECTRAL_KERNEL_PLAIN(quantize_codes_4_f32, QuantizeArgs, kFlatThreads) { store_codes<4>(args); }
SPECTRAL_KERNEL_PLAIN(quantize_codes_8_f32, QuantizeArgs, kFlatThreads) { store_codes<8>(args); }
