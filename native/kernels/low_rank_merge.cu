// Merging a low-rank update into its weight.
//
// Formula        destination[n,k] = weight[n,k] + scale sum_i left[n,i] c[i] right[i,k]
// Shapes         weight, destination [rows, columns]; left [rows, rank]; c [rank] or null (1); right [rank, columns]
// Layout         row-major, contiguous; destination may be weight itself
// Types          weight and destination: one type, F32 or BF16; left and right: that type, or F32 beside a BF16 weight;
//                c: F32
// Accumulation   F32 over the ranks, then the weight; one rounding. Beside a BF16 weight scale c left is split into
//                three bf16 parts, F32 right factors too (device/split.cuh), and the tensor cores multiply the parts
// Grid/Block     F32 weight: one thread per vector of 4 columns and 4 rows, 128 threads; x: groups of 4 rows, which
//                may be more than grid y has room for; y: vectors of a row. BF16 weight: 128 threads, 4 warps of 32
//                rows x 64 columns below one another; x: groups of 128 rows; y: groups of 64 columns
// Bytes          2 T rows columns + the factors (right once per 4 or 32 rows, from cache);  T = size of the weight's
//                type
// Flops          2 rows columns rank; on tensor cores 3 times as many, or 6 with F32 factors
// Deterministic  yes
#include "split.cuh"

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

// ---- F32: each thread sums its vectors

constexpr int kHeight = 4;

__device__ __forceinline__ void merge_f32(const LowRankMergeArgs& args) {
  constexpr int kWidth = kVector<float>;
  const int column = (blockIdx.y * blockDim.x + threadIdx.x) * kWidth;
  const int row0 = blockIdx.x * kHeight;
  const int count = min(kWidth, args.columns - column);
  const int height = min(kHeight, args.rows - row0);
  if (count <= 0)
    return;
  const float* weight = static_cast<const float*>(args.weight);
  const float* left = static_cast<const float*>(args.left);
  const float* right = static_cast<const float*>(args.right) + column;
  float* destination = static_cast<float*>(args.destination);
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
      const float l = h < height ? factor * left[(long long)(row0 + h) * args.rank + i] : 0.0f;
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
          destination[at + e] = w[e];
    }
  }
}

// ---- BF16: tensor cores

constexpr int kWarps = 4;
constexpr int kTilesM = 2;   // 16 rows each
constexpr int kTilesN = 8;   // 8 columns each, not next to one another: own_column
constexpr int kRows = 16 * kTilesM;
constexpr int kColumns = 8 * kTilesN;
constexpr int kDepth = 16;   // ranks of a product

// Parts of scale c left for 16 ranks from k on: a[p][i] is part p of the 16 rows from row + 16 i on.
template <class F>
__device__ __forceinline__ void load_left(
    const LowRankMergeArgs& args, int row, int k, bool pairs, uint32_t (&a)[kSplitParts][kTilesM][4]) {
  const int g = lane_id() / 4;
  const int q = lane_id() % 4;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int rank = k + 8 * half + 2 * q;
    const int count = min(2, args.rank - rank);
    float factor[2];
#pragma unroll
    for (int e = 0; e < 2; ++e)
      factor[e] = e >= count               ? 0.0f
                  : args.middle != nullptr ? args.scale * static_cast<const float*>(args.middle)[rank + e]
                                           : args.scale;
#pragma unroll
    for (int i = 0; i < kTilesM; ++i)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int at = row + 16 * i + 8 * h + g;
        const F* p = static_cast<const F*>(args.left) + (long long)at * args.rank + rank;
        float v[2] = {};
        if (at < args.rows) {
          if (pairs && count == 2)
            load_piece(p, v);
          else
            load_some(p, false, count, v);
        }
        uint32_t part[kSplitParts];
        split_pair(factor[0] * v[0], factor[1] * v[1], part);
#pragma unroll
        for (int s = 0; s < kSplitParts; ++s)
          a[s][i][2 * half + h] = part[s];
      }
  }
}

// Column c of tile j is this column of a warp's 64, and j on: a lane then holds whole vectors of the factor and of the
// weight, and four lanes next to one another those of whole sectors.
__device__ __forceinline__ int own_column(int c) { return c / 2 * 8 + c % 2 * 32; }

// Parts of right for 16 ranks from k on: b[p][j] is part p of this lane's column of tile j.
template <class F, int kParts>
__device__ __forceinline__ void load_right(
    const LowRankMergeArgs& args, int column, int k, bool vectors, uint32_t (&b)[kParts][kTilesN][2]) {
  const int q = lane_id() % 4;
  const int own = column + own_column(lane_id() / 4);
  const int count = min(kTilesN, args.columns - own);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float v[2][kTilesN];
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int rank = k + 8 * half + 2 * q + e;
      const bool some = rank < args.rank && count > 0;
      const F* p = static_cast<const F*>(args.right) + (some ? (long long)rank * args.columns + own : 0);
      load_some(p, vectors && some, some ? count : 0, v[e]);
    }
#pragma unroll
    for (int j = 0; j < kTilesN; ++j) {
      uint32_t part[kParts];
      split_pair(v[0][j], v[1][j], part);
#pragma unroll
      for (int s = 0; s < kParts; ++s)
        b[s][j][half] = part[s];
    }
  }
}

// A warp's 32 x 64 of the result.
template <class F>
__device__ __forceinline__ void merge_bf16(const LowRankMergeArgs& args) {
  // BF16 is its own first part; of products of F32 parts those below 2^-24 of the largest are left out.
  constexpr int kRightParts = sizeof(F) == sizeof(bf16) ? 1 : kSplitParts;
  const int row = (blockIdx.x * kWarps + threadIdx.x / 32) * kRows;
  const int column = blockIdx.y * kColumns;
  if (row >= args.rows)
    return;
  const bf16* weight = static_cast<const bf16*>(args.weight);
  bf16* destination = static_cast<bf16*>(args.destination);
  const bool whole = args.columns % kVector<bf16> == 0;
  const bool pairs = args.rank % 2 == 0 && reinterpret_cast<uintptr_t>(args.left) % (2 * sizeof(F)) == 0;
  const bool right_vectors = whole && is_aligned16(args.right);
  const bool weight_vectors = whole && is_aligned16(weight, destination);

  float d[kTilesM][kTilesN][4] = {};
  for (int k = 0; k < args.rank; k += kDepth) {
    uint32_t a[kSplitParts][kTilesM][4];
    uint32_t b[kRightParts][kTilesN][2];
    load_left<F>(args, row, k, pairs, a);
    load_right<F>(args, column, k, right_vectors, b);
#pragma unroll
    for (int p = 0; p < kSplitParts; ++p)
#pragma unroll
      for (int s = 0; s < kRightParts && p + s < kSplitParts; ++s)
        mma_tile(d, a[p], b[s]);
  }
#pragma unroll
  for (int i = 0; i < kTilesM; ++i)
#pragma unroll
    for (int h = 0; h < 2; ++h)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int to = row + 16 * i + 8 * h + lane_id() / 4;
        const int own = column + own_column(lane_id() % 4 * 2 + e);
        const int count = min(kTilesN, args.columns - own);
        if (to >= args.rows || count <= 0)
          continue;
        const long long at = (long long)to * args.columns + own;
        float w[kTilesN];
        load_some(weight + at, weight_vectors, count, w);
#pragma unroll
        for (int j = 0; j < kTilesN; ++j)
          w[j] += d[i][j][2 * h + e];
        if (weight_vectors) {
          store_global(destination + at, w);
        } else {
#pragma unroll
          for (int j = 0; j < kTilesN; ++j)
            if (j < count)
              destination[at + j] = from_float<bf16>(w[j]);
        }
      }
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(low_rank_merge_f32, LowRankMergeArgs, 128) { merge_f32(args); }
SPECTRAL_KERNEL(low_rank_merge_bf16, LowRankMergeArgs, 128) { merge_bf16<bf16>(args); }
SPECTRAL_KERNEL(low_rank_merge_f32_into_bf16, LowRankMergeArgs, 128) { merge_bf16<float>(args); }
