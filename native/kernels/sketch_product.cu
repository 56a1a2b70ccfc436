// Small F32 products of the randomized SVD, batched: triangular factors, cores and singular vectors times a few long
// rows.
//
// Formula        C_b = alpha op(A_b) op(B_b) + D_b (D null: nothing added); nn: A B, nt: A B^T, tn: A^T B; and C split
//                into bf16 parts where wanted
// Shapes         op(A) [m, k], op(B) [k, n], C and D [m, n], each with its row and matrix stride; parts
//                [batch, 3, m, n] or null. shares > 1: C is partial [shares, batch, m, n] over shares of k, to be
//                summed by sketch_reduce
// Types          f32; parts bf16 (device/split.cuh)
// Accumulation   f32
// Grid/Block     x = tiles of 64 columns, y = tiles of 64 rows times shares, z = matrix; 128 threads, 2 x 2 warps of
//                32 x 32. Tiles and shares follow from the shape of one matrix, so it gives the same bits in any
//                batch. Dynamic shared memory: kShared below
// Bytes          4 (m k n / 64 + k n m / 64) from cache, 4 m n written, 6 m n more for parts
// Flops          2 m n k
// Deterministic  yes
#include "split.cuh"
#include "tile.cuh"

struct SketchProductArgs {
  const float* a;           // A, op(A) [m, k], rows as stored a_row apart; 16-byte aligned for vectors
  const float* b;           // B, op(B) [k, n], rows as stored b_row apart; 16-byte aligned for vectors
  float* c;                 // C [m, n], rows c_row apart; written; with more than one share the partial sums
  const float* d;           // D, the layout of C; null: none
  bf16* parts;              // C split into three BF16 parts [batch, 3, m, n]; written; null: not wanted
  long long a_stride;       // elements from one A to the next
  long long b_stride;       // elements from one B to the next
  long long c_stride;       // elements from one C to the next
  long long d_stride;       // elements from one D to the next
  long long share_stride;   // elements from one share of C to the next
  int a_row;                // elements from one stored row of A to the next
  int b_row;                // elements from one stored row of B to the next
  int c_row;                // elements from one row of C, and of D, to the next
  int m;                    // rows of C
  int n;                    // columns of C
  int k;                    // length of the sums
  int shares;               // parts that the sums are divided into; grid y counts them times the tiles of rows
  float alpha;              // factor of the product
};
SPECTRAL_LAYOUT(
    SketchProductArgs, a, b, c, d, parts, a_stride, b_stride, c_stride, d_stride, share_stride, a_row, b_row, c_row, m,
    n, k, shares, alpha)

namespace {
constexpr int kThreads = 128;
constexpr int kSide = 64;
constexpr int kDepth = 32;
constexpr int kStages = 3;
constexpr int kTile = kSide * kDepth * 4;
constexpr int kShared = kStages * 2 * kTile;   // stages of A and B

template <bool kADepthRows, bool kBDepthRows>
__device__ __forceinline__ void sketch_product(const SketchProductArgs& args) {
  constexpr int kARow = (kADepthRows ? kSide : kDepth) * 4;
  constexpr int kBRow = (kBDepthRows ? kSide : kDepth) * 4;
  DYNAMIC_SHARED(shared);
  const int column0 = blockIdx.x * kSide;
  const int row0 = blockIdx.y / args.shares * kSide;
  const int share = blockIdx.y % args.shares;
  const int matrix = blockIdx.z;
  const int steps = ceil_div(args.k, kDepth);
  const int each = ceil_div(steps, args.shares);
  const int first = min(share * each, steps);
  const auto a = tile_source<float>(
      args.a + matrix * args.a_stride, kADepthRows ? args.k : args.m, kADepthRows ? args.m : args.k, args.a_row);
  const auto b = tile_source<float>(
      args.b + matrix * args.b_stride, kBDepthRows ? args.k : args.n, kBDepthRows ? args.n : args.k, args.b_row);

  float d[2][4][4] = {};
  const int warp = threadIdx.x / 32;
  const int m = warp / 2 * 32;
  const int n = warp % 2 * 32;
  pipeline<kStages, 1>(
      min(each, steps - first),
      [&](int step) {
        unsigned char* stage = shared + step % kStages * 2 * kTile;
        const int k0 = (first + step) * kDepth;
        if (kADepthRows)
          load_tile<float, kDepth, kSide, kThreads>(stage, a, k0, row0);
        else
          load_tile<float, kSide, kDepth, kThreads>(stage, a, row0, k0);
        if (kBDepthRows)
          load_tile<float, kDepth, kSide, kThreads>(stage + kTile, b, k0, column0);
        else
          load_tile<float, kSide, kDepth, kThreads>(stage + kTile, b, column0, k0);
      },
      [&](int step, int) {
        const unsigned char* stage = shared + step % kStages * 2 * kTile;
#pragma unroll
        for (int k = 0; k < kDepth; k += 16)
          TileProduct<float>::template add<kARow, kADepthRows, kBRow, kBDepthRows>(d, stage, m, stage + kTile, n, k);
      });

  float* c = args.c + share * args.share_stride + matrix * args.c_stride;
  const long long plane = (long long)args.m * args.n;
  const int lane = lane_id();
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = row0 + m + 16 * i + lane / 4 + e / 2 * 8;
        const int column = column0 + n + 8 * j + lane % 4 * 2 + e % 2;
        if (row >= args.m || column >= args.n)
          continue;
        const long long at = (long long)row * args.c_row + column;
        float value = args.alpha * d[i][j][e];
        if (args.d != nullptr)
          value += args.d[matrix * args.d_stride + at];
        c[at] = value;
        if (args.parts == nullptr)
          continue;
        bf16 part[kSplitParts];
        split_bf16(value, part);
#pragma unroll
        for (int p = 0; p < kSplitParts; ++p)
          args.parts[(matrix * (long long)kSplitParts + p) * plane + (long long)row * args.n + column] = part[p];
      }
}
}   // namespace

SPECTRAL_KERNEL(sketch_product_nn, SketchProductArgs, 128) { sketch_product<false, true>(args); }
SPECTRAL_KERNEL(sketch_product_nt, SketchProductArgs, 128) { sketch_product<false, false>(args); }
SPECTRAL_KERNEL(sketch_product_tn, SketchProductArgs, 128) { sketch_product<true, true>(args); }

SPECTRAL_SHARED(sketch_product_nn, kShared)
SPECTRAL_SHARED(sketch_product_nt, kShared)
SPECTRAL_SHARED(sketch_product_tn, kShared)
