// Gradient of the embedding table. (The lookup itself is rows.cu's gather.)
//
// Formula        dTable[ids[u], :] (+)= sum over j in [segments[u], segments[u+1]) of dy[order[j], :]
// Shapes         dy [positions, columns]; order [positions] I32: positions sorted by id, ties in order; segments
//                [unique + 1] I32; ids [unique] I32, each once; dTable [vocabulary, columns]
// Layout         row-major, contiguous; any size
// Types          dy F32 or BF16; dTable F32
// Accumulation   F32, along `order`; rows of ids that do not occur are left as they are
// Grid/Block     one warp per unique id, 8 warps a block
// Bytes          size(T) positions columns + (4 or 8) unique columns + 4 (positions + 2 unique)
// Flops          positions columns
// Deterministic  yes: the sort replaces atomic additions
// Out of range   ids outside [0, vocabulary) and positions outside [0, positions) are left out
#include "pieces.cuh"

struct EmbeddingBackwardArgs {
  // gradient of the looked-up rows [positions, columns], type of the entry; 16-byte aligned for vectors
  const void* dy;
  const int* order;      // positions sorted by id, ties in order, [positions]
  const int* segments;   // where each id begins in order [unique + 1]
  const int* ids;        // ids that occur, each once, [unique]
  // gradient of the table [vocabulary, columns]; rows of other ids are left as they are; 16-byte aligned for vectors
  float* d_table;
  int positions;    // rows of dy
  int unique;       // different ids
  int columns;      // elements of a row
  int vocabulary;   // rows of the table
  int accumulate;   // 1: add to what the gradient holds; 0: overwrite
};
SPECTRAL_LAYOUT(
    EmbeddingBackwardArgs, dy, order, segments, ids, d_table, positions, unique, columns, vocabulary, accumulate)

namespace {
template <class T>
__device__ __forceinline__ void embedding_backward(const EmbeddingBackwardArgs& args) {
  const int64_t u = warp_row();
  if (u >= args.unique)
    return;
  const int id = args.ids[u];
  const int columns = args.columns;
  if (id < 0 || id >= args.vocabulary)
    return;
  const int begin = max(args.segments[u], 0);
  const int end = min(args.segments[u + 1], args.positions);
  const T* dy = static_cast<const T*>(args.dy);
  float* row = args.d_table + int64_t(id) * columns;
  by_width<T>(columns, is_aligned16(args.dy, args.d_table), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    for (int c = lane_id() * kWidth; c < columns; c += 32 * kWidth) {
      float sum[kWidth] = {};
      if (args.accumulate)
        load_piece(row + c, sum);
      for (int j = begin; j < end; ++j) {
        const int position = args.order[j];
        if (position < 0 || position >= args.positions)
          continue;
        float v[kWidth];
        load_piece(dy + int64_t(position) * columns + c, v);
        for (int i = 0; i < kWidth; ++i)
          sum[i] += v[i];
      }
      store_piece(row + c, sum);
    }
  });
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(embedding_backward_f32, EmbeddingBackwardArgs, kRowThreads) { embedding_backward<float>(args); }
SPECTRAL_KERNEL_PLAIN(embedding_backward_bf16, EmbeddingBackwardArgs, kRowThreads) { embedding_backward<bf16>(args); }
