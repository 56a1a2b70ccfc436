// Dropout over an array, where no kernel that reads the array anyway can apply it (device/dropout.cuh has the mask).
//
// Formula        y[i] = keep(i) factor x[i]  (+ y[i] when accumulate)
// Shapes         x, y [count]; i counts in the array the mask belongs to
// Layout         contiguous; y may be x
// Types          F32 or BF16
// Accumulation   F32
// Grid/Block     one thread per 8 elements, 256 a block
// Bytes          T count (2, or 3 when accumulate);  T = size of the type
// Flops          2 count, and about 8 integer operations each
// Deterministic  yes, and the same mask on every device
#include "pieces.cuh"
#include "dropout.cuh"

struct DropoutArgs {
  const void* x;     // x [count], type of the entry; 16-byte aligned for vectors
  void* y;           // y [count], type of the entry; written; may be x; 16-byte aligned for vectors
  int64_t count;     // elements of x
  Dropout dropout;   // the mask and the factor of what it keeps
  int accumulate;    // 1: add to what y holds; 0: overwrite
};
SPECTRAL_LAYOUT(DropoutArgs, x, y, count, dropout, accumulate)

namespace {
template <class T>
__device__ __forceinline__ void dropout(const DropoutArgs& args) {
  const int64_t vector = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t at = vector * 8;
  if (at >= args.count)
    return;
  const DropoutMask mask(args.dropout);
  const uint4 words = mask.bits(uint64_t(vector));
  const unsigned word[4] = {words.x, words.y, words.z, words.w};
  const T* x = static_cast<const T*>(args.x) + at;
  T* y = static_cast<T*>(args.y) + at;
  const int width = int(min(int64_t(8), args.count - at));
  const bool vectors = width == 8 && is_aligned16(x) && is_aligned16(y);
  float v[8] = {};
  float old[8] = {};
  if (vectors) {
    load_piece(x, v);
    if (args.accumulate)
      load_piece(y, old);
  } else {
#pragma unroll
    for (int e = 0; e < 8; ++e)
      if (e < width) {
        v[e] = to_float(x[e]);
        old[e] = args.accumulate ? to_float(y[e]) : 0.0f;
      }
  }
#pragma unroll
  for (int e = 0; e < 8; ++e) {
    const bool keeps = e % 2 ? mask.keeps_high(word[e / 2]) : mask.keeps_low(word[e / 2]);
    v[e] = keeps ? old[e] + args.dropout.factor * v[e] : old[e];
  }
  if (vectors) {
    store_piece(y, v);
  } else {
#pragma unroll
    for (int e = 0; e < 8; ++e)
      if (e < width)
        y[e] = from_float<T>(v[e]);
  }
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(dropout_f32, DropoutArgs, kFlatThreads) { dropout<float>(args); }
SPECTRAL_KERNEL_PLAIN(dropout_bf16, DropoutArgs, kFlatThreads) { dropout<bf16>(args); }
