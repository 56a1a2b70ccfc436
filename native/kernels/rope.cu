// Rotary position embedding, half-split layout (Su et al.: "RoFormer", 2021). It also moves the heads in front of the
// sequence.
//
// Formula        p = (offsets ? offsets[b] : 0) + s;  for i < half, half = head_dim / 2:
//                y[b,h,s,i]      = x[b,s,h,i] cos[p,i] - x[b,s,h,i+half] sin[p,i]
//                y[b,h,s,i+half] = x[b,s,h,i+half] cos[p,i] + x[b,s,h,i] sin[p,i]
//                backward: the inverse rotation of dy, heads moved back
// Shapes         x, dx [batch length, heads head_dim]; y, dy [batch, heads, length, head_dim]; cos, sin
//                [positions, half]; offsets [batch]
// Layout         row-major; x and dx may be columns of a wider matrix (merged_stride), the others are contiguous; any
//                size, head_dim even
// Types          x, y F32 or BF16; cos, sin F32; offsets I32 or null
// Accumulation   F32
// Grid/Block     one warp per (b, s), 8 a block; a lane takes pieces of the first half of a head with their partners
// Bytes          2 size(T) batch length heads head_dim; the tables stay in the caches
// Flops          3 batch length heads head_dim
// Deterministic  yes
// Out of range   a position outside [0, positions) gives NaN
#include "pieces.cuh"

struct RopeArgs {
  // what is read, type of the entry: x [batch length, heads 2 half] forward, dy [batch, heads, length, 2 half]
  // backward; 16-byte aligned for vectors
  const void* source;
  const float* cosine;   // cosines [positions, half]; 16-byte aligned for vectors
  const float* sine;     // sines [positions, half]; 16-byte aligned for vectors
  const int* offsets;    // position of each sequence's first row [batch]; null: all start at 0
  // what is written, type of the entry: y forward, dx backward, in the other shape; 16-byte aligned for vectors
  void* destination;
  int batch;           // sequences
  int length;          // positions of a sequence
  int heads;           // heads
  int half;            // half the elements per head
  int positions;       // positions that the tables have; others give NaN
  int merged_stride;   // elements from one row of x, or dx, to the next
};
SPECTRAL_LAYOUT(
    RopeArgs, source, cosine, sine, offsets, destination, batch, length, heads, half, positions, merged_stride)

namespace {
template <class T, bool kBackward>
__device__ __forceinline__ void rope(const RopeArgs& args) {
  const int64_t row = warp_row();
  if (row >= int64_t(args.batch) * args.length)
    return;
  const int b = int(row / args.length);
  const int s = int(row % args.length);
  const int half = args.half;
  const int position = (args.offsets ? args.offsets[b] : 0) + s;
  const bool inside = position >= 0 && position < args.positions;
  const float* cosine = args.cosine + int64_t(inside ? position : 0) * half;
  const float* sine = args.sine + int64_t(inside ? position : 0) * half;
  const T* source = static_cast<const T*>(args.source);
  T* destination = static_cast<T*>(args.destination);
  const bool aligned = is_aligned16(args.source, args.cosine, args.sine, args.destination);
  by_width<T>(half | args.merged_stride, aligned, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const int pieces = half / kWidth;
    for (int piece = lane_id(); piece < args.heads * pieces; piece += 32) {
      const int head = piece / pieces;
      const int i = piece % pieces * kWidth;
      const int64_t merged = row * args.merged_stride + head * 2 * half + i;
      const int64_t split = ((int64_t(b) * args.heads + head) * args.length + s) * 2 * half + i;
      const int64_t from = kBackward ? split : merged;
      const int64_t to = kBackward ? merged : split;
      float first[kWidth], second[kWidth], c[kWidth], d[kWidth], a[kWidth], z[kWidth];
      load_piece(source + from, first);
      load_piece(source + from + half, second);
      load_piece(cosine + i, c);
      load_piece(sine + i, d);
      for (int k = 0; k < kWidth; ++k) {
        const float t = kBackward ? -d[k] : d[k];
        a[k] = inside ? first[k] * c[k] - second[k] * t : NAN;
        z[k] = inside ? second[k] * c[k] + first[k] * t : NAN;
      }
      store_piece(destination + to, a);
      store_piece(destination + to + half, z);
    }
  });
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(rope_forward_f32, RopeArgs, kRowThreads) { rope<float, false>(args); }
SPECTRAL_KERNEL_PLAIN(rope_forward_bf16, RopeArgs, kRowThreads) { rope<bf16, false>(args); }
SPECTRAL_KERNEL_PLAIN(rope_backward_f32, RopeArgs, kRowThreads) { rope<float, true>(args); }
SPECTRAL_KERNEL_PLAIN(rope_backward_bf16, RopeArgs, kRowThreads) { rope<bf16, true>(args); }
