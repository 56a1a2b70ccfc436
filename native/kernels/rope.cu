// Rotary position embedding (Su et al.: "RoFormer", 2021) of the first elements of each head, in pairs of neighbours or
// of halves. It also moves the heads in front of the sequence.
//
// Formula        p = (offsets ? offsets[b] : 0) + s - (spans ? spans[b,s,0] : 0);
//                for i < pairs, elements (j, k) = interleaved ? (2i, 2i + 1) : (i, i + pairs):
//                y[b,h,s,j] = x[b,s,h,j] cos[p,i] - x[b,s,h,k] sin[p,i]
//                y[b,h,s,k] = x[b,s,h,k] cos[p,i] + x[b,s,h,j] sin[p,i]
//                for i >= 2 pairs: y[b,h,s,i] = rest x[b,s,h,i]
//                backward: the inverse rotation of dy, and rest dy, heads moved back
// Shapes         x, dx [batch length, heads head_dim]; y, dy [batch, heads, length, head_dim]; cos, sin
//                [positions, pairs]; offsets [batch]; spans [batch, length, 2]
// Layout         row-major; x and dx may be columns of a wider matrix (merged_stride), the others are contiguous; any
//                size, 2 pairs <= head_dim
// Types          x, y F32 or BF16; cos, sin F32; offsets, spans I32 or null
// Accumulation   F32
// Grid/Block     one warp per (b, s), 8 a block; a lane takes pieces of pairs, then of the elements that do not turn
// Bytes          2 size(T) batch length heads head_dim; the tables stay in the caches
// Flops          batch length heads (3 * 2 pairs + head_dim - 2 pairs)
// Deterministic  yes
// Out of range   a position outside [0, positions) gives NaN
#include "pieces.cuh"

struct RopeArgs {
  // what is read, type of the entry: x [batch length, heads head_dim] forward, dy [batch, heads, length, head_dim]
  // backward; 16-byte aligned for vectors
  const void* source;
  const float* cosine;   // cosines [positions, pairs]; 16-byte aligned for vectors
  const float* sine;     // sines [positions, pairs]; 16-byte aligned for vectors
  const int* offsets;    // position of each sequence's first row [batch]; null: all start at 0
  // of each row the first of its record, where positions start again, and the one after its last [batch, length, 2];
  // null: a sequence is one record
  const int* spans;
  // what is written, type of the entry: y forward, dx backward, in the other shape; 16-byte aligned for vectors
  void* destination;
  int batch;           // sequences
  int length;          // positions of a sequence
  int heads;           // heads
  int head_dim;        // elements per head
  int pairs;           // pairs per head that turn: its first 2 pairs elements
  int interleaved;     // 1: the elements of a pair are neighbours; 0: they are pairs elements apart
  int positions;       // positions that the tables have; others give NaN
  int merged_stride;   // elements from one row of x, or dx, to the next
  float rest;          // factor on the elements that do not turn
};
SPECTRAL_LAYOUT(
    RopeArgs, source, cosine, sine, offsets, spans, destination, batch, length, heads, head_dim, pairs, interleaved,
    positions, merged_stride, rest)

namespace {
// 2 kWidth elements in a row; with a width of 1 they need no more alignment than one of them.
template <class T, int kWidth>
__device__ __forceinline__ void load_neighbours(const T* p, float (&v)[2 * kWidth]) {
  if constexpr (kWidth > 1) {
    load_piece(p, v);
  } else {
    v[0] = to_float<T>(p[0]);
    v[1] = to_float<T>(p[1]);
  }
}
template <class T, int kWidth>
__device__ __forceinline__ void store_neighbours(T* p, const float (&v)[2 * kWidth]) {
  if constexpr (kWidth > 1) {
    store_piece(p, v);
  } else {
    p[0] = from_float<T>(v[0]);
    p[1] = from_float<T>(v[1]);
  }
}

// Turns kWidth pairs, from pair i on, of a head.
template <class T, bool kBackward, bool kInterleaved, int kWidth>
__device__ __forceinline__ void turn(
    const T* from, T* to, const float* cosine, const float* sine, int i, int pairs, bool inside) {
  float v[2 * kWidth], c[kWidth], d[kWidth];
  load_piece(cosine + i, c);
  load_piece(sine + i, d);
  for (int k = 0; k < kWidth; ++k)
    d[k] = kBackward ? -d[k] : d[k];
  if constexpr (kInterleaved) {
    load_neighbours<T, kWidth>(from + 2 * i, v);
    for (int k = 0; k < kWidth; ++k) {
      const float first = v[2 * k];
      const float second = v[2 * k + 1];
      v[2 * k] = inside ? first * c[k] - second * d[k] : NAN;
      v[2 * k + 1] = inside ? second * c[k] + first * d[k] : NAN;
    }
    store_neighbours<T, kWidth>(to + 2 * i, v);
  } else {
    float first[kWidth], second[kWidth], a[kWidth], z[kWidth];
    load_piece(from + i, first);
    load_piece(from + i + pairs, second);
    for (int k = 0; k < kWidth; ++k) {
      a[k] = inside ? first[k] * c[k] - second[k] * d[k] : NAN;
      z[k] = inside ? second[k] * c[k] + first[k] * d[k] : NAN;
    }
    store_piece(to + i, a);
    store_piece(to + i + pairs, z);
  }
}

template <class T, bool kBackward, bool kInterleaved>
__device__ __forceinline__ void rope(const RopeArgs& args) {
  const int64_t row = warp_row();
  if (row >= int64_t(args.batch) * args.length)
    return;
  const int b = int(row / args.length);
  const int s = int(row % args.length);
  const int pairs = args.pairs;
  const int position = (args.offsets ? args.offsets[b] : 0) + s - (args.spans ? args.spans[2 * row] : 0);
  const bool inside = position >= 0 && position < args.positions;
  const float* cosine = args.cosine + int64_t(inside ? position : 0) * pairs;
  const float* sine = args.sine + int64_t(inside ? position : 0) * pairs;
  const T* source = static_cast<const T*>(args.source);
  T* destination = static_cast<T*>(args.destination);
  const bool aligned = is_aligned16(args.source, args.cosine, args.sine, args.destination);
  by_width<T>(pairs | args.head_dim | args.merged_stride, aligned, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const int turning = pairs / kWidth;
    const int pieces = turning + (args.head_dim - 2 * pairs) / kWidth;
    for (int piece = lane_id(); piece < args.heads * pieces; piece += 32) {
      const int head = piece / pieces;
      const int i = piece % pieces;
      const int64_t merged = row * args.merged_stride + int64_t(head) * args.head_dim;
      const int64_t split = ((int64_t(b) * args.heads + head) * args.length + s) * args.head_dim;
      const T* from = source + (kBackward ? split : merged);
      T* to = destination + (kBackward ? merged : split);
      if (i < turning) {
        turn<T, kBackward, kInterleaved, kWidth>(from, to, cosine, sine, i * kWidth, pairs, inside);
      } else {
        const int at = 2 * pairs + (i - turning) * kWidth;
        float v[kWidth];
        load_piece(from + at, v);
        for (int k = 0; k < kWidth; ++k)
          v[k] = inside ? args.rest * v[k] : NAN;
        store_piece(to + at, v);
      }
    }
  });
}

template <class T, bool kBackward>
__device__ __forceinline__ void rope(const RopeArgs& args) {
  if (args.interleaved)
    rope<T, kBackward, true>(args);
  else
    rope<T, kBackward, false>(args);
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(rope_forward_f32, RopeArgs, kRowThreads) { rope<float, false>(args); }
SPECTRAL_KERNEL_PLAIN(rope_forward_bf16, RopeArgs, kRowThreads) { rope<bf16, false>(args); }
SPECTRAL_KERNEL_PLAIN(rope_backward_f32, RopeArgs, kRowThreads) { rope<float, true>(args); }
SPECTRAL_KERNEL_PLAIN(rope_backward_bf16, RopeArgs, kRowThreads) { rope<bf16, true>(args); }
