// Moves the heads in front of the sequence, for the batched products of attention, and back.
//
// Formula        split  y[b,h,s,:] = x[b,s,h,:];  merge  x[b,s,h,:] = y[b,h,s,:]
// Shapes         x [batch length, heads head_dim]; y [batch, heads, length, head_dim]
// Layout         row-major; x may be columns of a wider matrix (merged_stride), y is contiguous; any size
// Types          F32, BF16
// Accumulation   none
// Grid/Block     one warp per (b, s), 8 a block
// Bytes          2 size(T) batch length heads head_dim
// Flops          0
// Deterministic  yes
#include "pieces.cuh"

struct HeadsArgs {
  // what is read, type of the entry: [batch length, heads head_dim] to split, [batch, heads, length, head_dim] to
  // merge; 16-byte aligned for vectors
  const void* source;
  void* destination;   // what is written, type of the entry, in the other shape; 16-byte aligned for vectors
  int batch;           // sequences
  int length;          // positions of a sequence
  int heads;           // heads
  int head_dim;        // elements per head
  int merged_stride;   // elements from one row to the next of the side that has a row per position
};
SPECTRAL_LAYOUT(HeadsArgs, source, destination, batch, length, heads, head_dim, merged_stride)

namespace {
template <class T, bool kMerge>
__device__ __forceinline__ void move_heads(const HeadsArgs& args) {
  const int64_t row = warp_row();
  if (row >= int64_t(args.batch) * args.length)
    return;
  const int b = int(row / args.length);
  const int s = int(row % args.length);
  const int head_dim = args.head_dim;
  const T* source = static_cast<const T*>(args.source);
  T* destination = static_cast<T*>(args.destination);
  by_width<T>(head_dim | args.merged_stride, is_aligned16(args.source, args.destination), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const int pieces = head_dim / kWidth;
    for (int piece = lane_id(); piece < args.heads * pieces; piece += 32) {
      const int head = piece / pieces;
      const int i = piece % pieces * kWidth;
      const int64_t merged = row * args.merged_stride + head * head_dim + i;
      const int64_t split = ((int64_t(b) * args.heads + head) * args.length + s) * head_dim + i;
      float v[kWidth];
      load_piece(source + (kMerge ? split : merged), v);
      store_piece(destination + (kMerge ? merged : split), v);
    }
  });
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(heads_split_f32, HeadsArgs, kRowThreads) { move_heads<float, false>(args); }
SPECTRAL_KERNEL_PLAIN(heads_split_bf16, HeadsArgs, kRowThreads) { move_heads<bf16, false>(args); }
SPECTRAL_KERNEL_PLAIN(heads_merge_f32, HeadsArgs, kRowThreads) { move_heads<float, true>(args); }
SPECTRAL_KERNEL_PLAIN(heads_merge_bf16, HeadsArgs, kRowThreads) { move_heads<bf16, true>(args); }
