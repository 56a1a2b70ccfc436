// Merging a low-rank update into its weight.
//
// Formula        destination[n,k] = weight[n,k] + scale sum_i left[n,i] c[i] right[i,k]
// Shapes         weight, destination [rows, columns]; left [rows, rank]; c [rank] or null (1); right [rank, columns]
// Layout         row-major, contiguous; destination may be weight itself
// Types          weight and destination: one type, F32 or BF16; left and right: that type, or F32 beside a BF16 weight;
//                c: F32
// Accumulation   F32 over the ranks in ascending order, then the weight; one rounding
// Grid/Block     one thread per 16-byte vector of 4 rows of the destination, 128 threads; x: groups of 4 rows, which
//                may be more than grid y has room for; y: vectors of a row
// Bytes          2 T rows columns + the factors (right once per 4 rows, from cache);  T = size of the weight's type
// Flops          2 rows columns rank
// Deterministic  yes
#include "spectral.cuh"

struct LowRankMergeArgs {
  const void* weight;   // weight [rows, columns], type of the entry; 16-byte aligned for vectors
  const void* left;     // left factor [rows, rank], type of the entry or F32
  const void* middle;   // middle diagonal [rank] F32; null: ones
  const void* right;    // right factor [rank, columns], the type of the left; 16-byte aligned for vectors
  // result [rows, columns], the type of the weight; written; may be the weight; 16-byte aligned for vectors
  void* destination;
  int rows;      // rows of the weight
  int columns;   // columns of the weight
  int rank;      // rank of the update
  float scale;   // factor of the update
};
SPECTRAL_LAYOUT(LowRankMergeArgs, weight, left, middle, right, destination, rows, columns, rank, scale)

namespace {
constexpr int kHeight = 4;

// kCount consecutive elements as floats. Without `vectors` the address may be any, and only `count` elements exist.
// Vector by vector: after one load_piece of them all g++ fuses other products of merge into its sums, and bits change.
template <class T, int kCount>
__device__ __forceinline__ void load_some(const T* p, bool vectors, int count, float (&v)[kCount]) {
  if (vectors) {
#pragma unroll
    for (int part = 0; part < kCount / kVector<T>; ++part) {
      float some[kVector<T>];
      load_piece(p + part * kVector<T>, some);
#pragma unroll
      for (int e = 0; e < kVector<T>; ++e)
        v[part * kVector<T> + e] = some[e];
    }
  } else {
#pragma unroll
    for (int e = 0; e < kCount; ++e)
      v[e] = e < count ? to_float(p[e]) : 0.0f;
  }
}

template <class W, class F>
__device__ __forceinline__ void merge(const LowRankMergeArgs& args) {
  constexpr int kWidth = kVector<W>;
  static_assert(kWidth % kVector<F> == 0, "a vector of the weight is whole vectors of the factor");
  const int column = (blockIdx.y * blockDim.x + threadIdx.x) * kWidth;
  const int row0 = blockIdx.x * kHeight;
  const int count = min(kWidth, args.columns - column);
  const int height = min(kHeight, args.rows - row0);
  if (count <= 0)
    return;
  const W* weight = static_cast<const W*>(args.weight);
  const F* left = static_cast<const F*>(args.left);
  const F* right = static_cast<const F*>(args.right) + column;
  W* destination = static_cast<W*>(args.destination);
  const bool whole = args.columns % kWidth == 0;
  const bool right_vectors = whole && is_aligned16(args.right);
  const bool weight_vectors = whole && is_aligned16(weight) && is_aligned16(destination);

  float sum[kHeight][kWidth] = {};
  for (int i = 0; i < args.rank; ++i) {
    float r[kWidth];
    load_some(right + (long long)i * args.columns, right_vectors, count, r);
    const float factor = args.middle != nullptr ? args.scale * static_cast<const float*>(args.middle)[i] : args.scale;
#pragma unroll
    for (int h = 0; h < kHeight; ++h) {
      const float l = h < height ? factor * to_float(left[(long long)(row0 + h) * args.rank + i]) : 0.0f;
#pragma unroll
      for (int e = 0; e < kWidth; ++e)
        sum[h][e] += l * r[e];
    }
  }
#pragma unroll
  for (int h = 0; h < kHeight; ++h) {
    if (h >= height)
      break;
    const long long at = (long long)(row0 + h) * args.columns + column;
    float w[kWidth];
    load_some(weight + at, weight_vectors, count, w);
#pragma unroll
    for (int e = 0; e < kWidth; ++e)
      w[e] += sum[h][e];
    if (weight_vectors) {
      store_piece(destination + at, w);
    } else {
#pragma unroll
      for (int e = 0; e < kWidth; ++e)
        if (e < count)
          destination[at + e] = from_float<W>(w[e]);
    }
  }
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(low_rank_merge_f32, LowRankMergeArgs, 128) { merge<float, float>(args); }
SPECTRAL_KERNEL_PLAIN(low_rank_merge_bf16, LowRankMergeArgs, 128) { merge<bf16, bf16>(args); }
SPECTRAL_KERNEL_PLAIN(low_rank_merge_f32_into_bf16, LowRankMergeArgs, 128) { merge<bf16, float>(args); }
