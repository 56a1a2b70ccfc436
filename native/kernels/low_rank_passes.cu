// The skinny passes of low-rank linear layers: products of a wide activation with a few columns, bound by reading the
// former. The factors of several layers that read the same x stand below one another in one R, and their g next to one
// another in one h.
//
// Formula        project:           z = factor (keep o x) R^T
//                output gradients:  g = dy L  and  dL[n,i] = sum_t dy[t,n] z[t,i], from one read of dy
//                input gradient:    dR[i,k] = sum_t h[t,i] (keep o x)[t,k]
//                scaled:            g'[t,i] = scale c[i] g[t,i] next to g (c null: 1), likewise for z
//                keep: the mask of device/dropout.cuh over x, and factor = 1 / (1 - p); all ones and 1 without dropout
// Shapes         x [M,K], dy [M,N], R [r,K], L [N,r], z, g, h [M,r], c [r], dL [N,r], dR [r,K]
// Layout         row-major; x, dy, R, z, g, g' and h may each be columns of a wider matrix (strides); any size. A null
//                z or g is not stored.
// Types          x, dy, L, R, z, g, h: BF16; c, dL, dR and partial results: F32
// Accumulation   F32 on tensor cores: in a block along its share, then over the shares in their order
//                (low_rank_reduce.cu)
// Grid/Block     project          x: 128 rows of x, y: shares of K, z: groups of kRanks ranks; 256 threads
//                output gradients x: 128 kChunks rows of dy, y: shares of N, z: groups of kRanks ranks; 256 threads
//                input gradient   x: 128 columns of x, y: shares of M, z: groups of kRanks ranks; 256 threads
//                kRanks is 32, 64 or 128 (output gradients: 32 or 64): one read of the wide operand per kRanks
//                ranks. Dynamic shared memory: kProjectShared, kOutputShared, kInputShared below
// Bytes          project 2 (M K + M r) + 8 M r shares, and 2 r K M / 128 of L2 for R: at kRanks 128 as much as for x;
//                output gradients 2 (M N + N r + 2 M r) + 8 r (N M / (128 kChunks) + M shares): the partial sums of dL
//                weigh as much as dy from r = 64 on, where a separate pass for dL would cost no more;
//                input gradient 2 (M K + M r) + 8 r K shares
// Flops          2 M K r; 4 M N r; 2 M K r; with dropout also about 10 integer operations per element of x and group of
//                kRanks
// Deterministic  yes: no atomics, shares are summed in order
#include "dropout.cuh"
#include "spectral.cuh"
#include "tile.cuh"

struct LowRankProjectArgs {
  const void* x;        // x [rows, columns] BF16, rows x_stride apart; 16-byte aligned for vectors
  const void* right;    // R [rank, columns] BF16, rows right_stride apart; 16-byte aligned for vectors
  const void* middle;   // middle diagonal c [rank] F32; null: ones
  void* z;              // z [rows, rank] BF16, rows result_stride apart; written; null: not wanted
  void* scaled;         // copy scale c ∘ z [rows, rank] BF16, rows scaled_stride apart; written; null: not wanted
  // partial sums [shares, rows, rank] F32; written instead of z and the copy when there is more than one share
  void* partial;
  Dropout dropout;     // the mask over x; no state: x as it is
  int rows;            // rows of x (tokens)
  int columns;         // columns of x
  int rank;            // rows of R
  int x_stride;        // elements from one row of x to the next
  int right_stride;    // elements from one row of R to the next
  int result_stride;   // elements from one row of z to the next
  int scaled_stride;   // elements from one row of the scaled copy to the next
  int shares;          // parts that the columns are divided into; grid y counts them
  float scale;         // factor of the scaled copy
};
SPECTRAL_LAYOUT(
    LowRankProjectArgs, x, right, middle, z, scaled, partial, dropout, rows, columns, rank, x_stride, right_stride,
    result_stride, scaled_stride, shares, scale)

struct LowRankOutputGradientsArgs {
  const void* dy;       // dy [rows, columns] BF16, rows dy_stride apart; 16-byte aligned for vectors
  const void* left;     // L [columns, rank] BF16; 16-byte aligned for vectors
  const void* z;        // z [rows, rank] BF16, rows skinny_stride apart; 16-byte aligned for vectors
  const void* middle;   // middle diagonal c [rank] F32; null: ones
  void* g;              // g [rows, rank] BF16, rows result_stride apart; written; null: not wanted
  void* scaled;         // copy scale c ∘ g [rows, rank] BF16, rows scaled_stride apart; written; null: not wanted
  // partial sums of g [shares, rows, rank] F32; written instead of g and the copy when there is more than one share
  void* partial;
  void* left_partial;   // partial sums of dL [blocks of rows, columns, rank] F32; written; null: dL is not wanted
  int rows;             // rows of dy (tokens)
  int columns;          // columns of dy
  int rank;             // columns of L
  int dy_stride;        // elements from one row of dy to the next
  int skinny_stride;    // elements from one row of z to the next
  int result_stride;    // elements from one row of g to the next
  int scaled_stride;    // elements from one row of the scaled copy to the next
  int shares;           // parts that the columns are divided into; grid y counts them
  float scale;          // factor of the scaled copy
};
SPECTRAL_LAYOUT(
    LowRankOutputGradientsArgs, dy, left, z, middle, g, scaled, partial, left_partial, rows, columns, rank, dy_stride,
    skinny_stride, result_stride, scaled_stride, shares, scale)

struct LowRankInputGradientArgs {
  const void* x;       // x [rows, columns] BF16, rows x_stride apart; 16-byte aligned for vectors
  const void* h;       // h [rows, rank] BF16, rows skinny_stride apart; 16-byte aligned for vectors
  void* partial;       // partial sums of dR [shares, rank, columns] F32; written
  Dropout dropout;     // the mask over x, whose factor is left to the reduction; no state: x as it is
  int rows;            // rows of x (tokens)
  int columns;         // columns of x
  int rank;            // columns of h
  int x_stride;        // elements from one row of x to the next
  int skinny_stride;   // elements from one row of h to the next
  int shares;          // parts that the rows are divided into; grid y counts them
};
SPECTRAL_LAYOUT(LowRankInputGradientArgs, x, h, partial, dropout, rows, columns, rank, x_stride, skinny_stride, shares)

namespace {
constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kSide = 128;
constexpr int kDepth = 64;
static_assert(kSide == 16 * kWarps, "each warp has 16 rows (or columns) of a tile of the wide operand");

// The tiles [first, last) of share number `index`.
struct Share {
  int first, last;
};
__device__ __forceinline__ Share share_of(int tiles, int shares, int index) {
  const int each = ceil_div(tiles, shares);
  return {min(index * each, tiles), min(index * each + each, tiles)};
}

// d += A B over the whole depth of two tiles; the warp's rows of A begin at 16 times its number.
template <int kTileDepth, int kABytes, bool kADepthRows, int kBBytes, bool kBDepthRows, int kTilesN>
__device__ __forceinline__ void multiply(float (&d)[1][kTilesN][4], const unsigned char* a, const unsigned char* b) {
#pragma unroll 4
  for (int k = 0; k < kTileDepth; k += 16)
    TileProduct<bf16>::add<kABytes, kADepthRows, kBBytes, kBDepthRows, false>(d, a, threadIdx.x / 32 * 16, b, 0, k);
}

// Calls body(row, column, v) for the warp's sums that lie within [rows, rank].
template <int kTilesN, class Body>
__device__ __forceinline__ void each_sum(
    const float (&d)[1][kTilesN][4], int row0, int column0, int rows, int rank, Body body) {
  const int row = row0 + threadIdx.x / 32 * 16 + lane_id() / 4;
  const int column = column0 + lane_id() % 4 * 2;
#pragma unroll
  for (int j = 0; j < kTilesN; ++j)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int r = row + e / 2 * 8;
      const int c = column + 8 * j + e % 2;
      if (r < rows && c < rank)
        body(r, c, d[0][j][e]);
    }
}

// Stores rows of z or g: as one share's partial result or, when there is a single share, as the result itself and its
// scaled copy.
template <int kTilesN, class Args>
__device__ __forceinline__ void store_rows(
    const float (&d)[1][kTilesN][4], int row0, int column0, const Args& args, void* result, float factor) {
  each_sum(d, row0, column0, args.rows, args.rank, [&](int r, int c, float v) {
    v *= factor;
    if (args.shares > 1) {
      static_cast<float*>(args.partial)[((long long)blockIdx.y * args.rows + r) * args.rank + c] = v;
      return;
    }
    if (result != nullptr)
      static_cast<bf16*>(result)[(long long)r * args.result_stride + c] = from_float<bf16>(v);
    if (args.scaled != nullptr)
      static_cast<bf16*>(args.scaled)[(long long)r * args.scaled_stride + c] = from_float<bf16>(
          v * (args.middle != nullptr ? args.scale * static_cast<const float*>(args.middle)[c] : args.scale));
  });
}

// Clears what dropout drops in a tile. Each thread visits the 16-byte units that it has copied itself: the loop deals
// them out as load_tile does.
template <int kRows, int kColumns>
__device__ __forceinline__ void drop(
    unsigned char* tile, const DropoutMask& mask, int rows, int columns, int row0, int column0) {
  constexpr int kUnits = kColumns / 8;
#pragma unroll 1
  for (int i = threadIdx.x; i < kRows * kUnits; i += kThreads) {
    const int row = row0 + i / kUnits;
    const int column = column0 + i % kUnits * 8;
    if (row >= rows || column >= columns)
      continue;
    unsigned char* unit = tile + tile_offset<kColumns * 2>(i / kUnits, i % kUnits);
    const uint64_t at = uint64_t(row) * columns + column;
    if (at % 8 == 0) {
      const uint4 bits = mask.bits(at / 8);
      uint4 pairs = *reinterpret_cast<uint4*>(unit);   // at once: single words of neighbouring units share banks
      pairs.x &= mask.pair(bits.x);
      pairs.y &= mask.pair(bits.y);
      pairs.z &= mask.pair(bits.z);
      pairs.w &= mask.pair(bits.w);
      *reinterpret_cast<uint4*>(unit) = pairs;
    } else {   // odd widths: the unit lies across two of the mask's vectors
#pragma unroll 1
      for (int e = 0; e < 8; ++e)
        if (!mask.keeps(at + e))
          reinterpret_cast<uint16_t*>(unit)[e] = 0;
    }
  }
}

template <int kRanks>
constexpr int kProjectShared = 4 * (kSide + kRanks) * kDepth * 2;   // four stages of x and R

template <int kRanks>
__device__ __forceinline__ void project(const LowRankProjectArgs& args) {
  constexpr int kStages = 4;
  constexpr int kTilesN = kRanks / 8;
  constexpr int kRow = kDepth * 2;
  constexpr int kXTile = kSide * kRow;
  constexpr int kStage = kXTile + kRanks * kRow;
  static_assert(kStages * kStage == kProjectShared<kRanks>);
  DYNAMIC_SHARED(shared);
  const int row0 = blockIdx.x * kSide;
  const int rank0 = blockIdx.z * kRanks;
  const Share share = share_of(ceil_div(args.columns, kDepth), args.shares, blockIdx.y);
  const auto x = tile_source<bf16>(args.x, args.rows, args.columns, args.x_stride);
  const auto right = tile_source<bf16>(args.right, args.rank, args.columns, args.right_stride);
  float d[1][kTilesN][4] = {};
  pipeline<kStages, 1>(
      share.last - share.first,
      [&](int step) {
        unsigned char* stage = shared + step % kStages * kStage;
        load_tile<bf16, kSide, kDepth, kThreads>(stage, x, row0, (share.first + step) * kDepth);
        load_tile<bf16, kRanks, kDepth, kThreads>(stage + kXTile, right, rank0, (share.first + step) * kDepth);
      },
      [&](int step, int) {
        const unsigned char* stage = shared + step % kStages * kStage;
        multiply<kDepth, kRow, false, kRow, false>(d, stage, stage + kXTile);
      },
      [&](int step) {
        if (args.dropout.state != nullptr)
          drop<kSide, kDepth>(
              shared + step % kStages * kStage,
              DropoutMask(args.dropout),
              args.rows,
              args.columns,
              row0,
              (share.first + step) * kDepth);
      });
  store_rows(d, row0, rank0, args, args.z, args.dropout.state != nullptr ? args.dropout.factor : 1.0f);
}

// Three stages of dy, two tiles of L and the tiles of z.
template <int kRanks>
constexpr int kOutputShared = (3 * kSide + (2 + 128 / kRanks) * kRanks) * kSide * 2;

// A block owns kChunks tiles of rows and walks over its share of the columns. For each tile of columns it visits the
// row tiles, so that dL is complete for the block's rows after kChunks steps while g stays in registers to the end.
// More row tiles per block mean fewer partial results of dL and more registers for g.
template <int kRanks>
__device__ __forceinline__ void output_gradients(const LowRankOutputGradientsArgs& args) {
  constexpr int kStages = 3;
  constexpr int kChunks = 128 / kRanks;
  constexpr int kTilesN = kRanks / 8;
  constexpr int kRow = kSide * 2;
  constexpr int kTile = kSide * kRow;
  constexpr int kSkinnyRow = kRanks * 2;
  constexpr int kSkinny = kSide * kSkinnyRow;
  static_assert(kStages * kTile + (2 + kChunks) * kSkinny == kOutputShared<kRanks>);
  static_assert(kStages <= kChunks + 1, "a tile of L may be replaced only after its last use");
  DYNAMIC_SHARED(shared);
  unsigned char* left_tiles = shared + kStages * kTile;
  unsigned char* z_tiles = left_tiles + 2 * kSkinny;
  const int chunk = blockIdx.x;
  const int row0 = chunk * kChunks * kSide;
  const int rank0 = blockIdx.z * kRanks;
  const Share share = share_of(ceil_div(args.columns, kSide), args.shares, blockIdx.y);
  const auto dy = tile_source<bf16>(args.dy, args.rows, args.columns, args.dy_stride);
  const auto left = tile_source<bf16>(args.left, args.columns, args.rank, args.rank);
  const auto z = tile_source<bf16>(args.z, args.rows, args.rank, args.skinny_stride);
  const bool wants_left = args.left_partial != nullptr;

  float g[kChunks][1][kTilesN][4] = {};
  float dl[1][kTilesN][4] = {};
  pipeline<kStages, kChunks>(
      share.last - share.first,
      [&](int step) {
        const int tile = step / kChunks;
        const int sub = step % kChunks;
        const int column0 = (share.first + tile) * kSide;
        load_tile<bf16, kSide, kSide, kThreads>(shared + step % kStages * kTile, dy, row0 + sub * kSide, column0);
        if (sub == 0)
          load_tile<bf16, kSide, kRanks, kThreads>(left_tiles + tile % 2 * kSkinny, left, column0, rank0);
        if (tile == 0 && wants_left)
          load_tile<bf16, kSide, kRanks, kThreads>(z_tiles + sub * kSkinny, z, row0 + sub * kSide, rank0);
      },
      [&](int tile, int sub) {
        const unsigned char* stage = shared + (tile * kChunks + sub) % kStages * kTile;
        multiply<kSide, kRow, false, kSkinnyRow, true>(g[sub], stage, left_tiles + tile % 2 * kSkinny);
        if (!wants_left)
          return;
        multiply<kSide, kRow, true, kSkinnyRow, true>(dl, stage, z_tiles + sub * kSkinny);
        if (sub < kChunks - 1)
          return;
        float* partial = static_cast<float*>(args.left_partial) + (long long)chunk * args.columns * args.rank;
        each_sum(dl, (share.first + tile) * kSide, rank0, args.columns, args.rank, [&](int n, int i, float v) {
          partial[(long long)n * args.rank + i] = v;
        });
#pragma unroll
        for (int j = 0; j < kTilesN; ++j)
#pragma unroll
          for (int e = 0; e < 4; ++e)
            dl[0][j][e] = 0;
      });
#pragma unroll
  for (int sub = 0; sub < kChunks; ++sub)
    store_rows(g[sub], row0 + sub * kSide, rank0, args, args.g, 1.0f);
}

template <int kRanks>
constexpr int kInputShared = 4 * (kSide + kRanks) * kDepth * 2;   // four stages of x and h

template <int kRanks>
__device__ __forceinline__ void input_gradient(const LowRankInputGradientArgs& args) {
  constexpr int kStages = 4;
  constexpr int kTilesN = kRanks / 8;
  constexpr int kRow = kSide * 2;
  constexpr int kSkinnyRow = kRanks * 2;
  constexpr int kXTile = kDepth * kRow;
  constexpr int kStage = kXTile + kDepth * kSkinnyRow;
  static_assert(kStages * kStage == kInputShared<kRanks>);
  DYNAMIC_SHARED(shared);
  const int column0 = blockIdx.x * kSide;
  const int rank0 = blockIdx.z * kRanks;
  const Share share = share_of(ceil_div(args.rows, kDepth), args.shares, blockIdx.y);
  const auto x = tile_source<bf16>(args.x, args.rows, args.columns, args.x_stride);
  const auto h = tile_source<bf16>(args.h, args.rows, args.rank, args.skinny_stride);
  float d[1][kTilesN][4] = {};
  pipeline<kStages, 1>(
      share.last - share.first,
      [&](int step) {
        unsigned char* stage = shared + step % kStages * kStage;
        load_tile<bf16, kDepth, kSide, kThreads>(stage, x, (share.first + step) * kDepth, column0);
        load_tile<bf16, kDepth, kRanks, kThreads>(stage + kXTile, h, (share.first + step) * kDepth, rank0);
      },
      [&](int step, int) {
        const unsigned char* stage = shared + step % kStages * kStage;
        multiply<kDepth, kRow, true, kSkinnyRow, true>(d, stage, stage + kXTile);
      },
      [&](int step) {
        if (args.dropout.state != nullptr)
          drop<kDepth, kSide>(
              shared + step % kStages * kStage,
              DropoutMask(args.dropout),
              args.rows,
              args.columns,
              (share.first + step) * kDepth,
              column0);
      });
  float* partial = static_cast<float*>(args.partial) + (long long)blockIdx.y * args.rank * args.columns;
  each_sum(d, column0, rank0, args.columns, args.rank, [&](int k, int i, float v) {
    partial[(long long)i * args.columns + k] = v;
  });
}
}   // namespace

SPECTRAL_KERNEL(low_rank_project_32_bf16, LowRankProjectArgs, 256) { project<32>(args); }
SPECTRAL_KERNEL(low_rank_project_64_bf16, LowRankProjectArgs, 256) { project<64>(args); }
SPECTRAL_KERNEL(low_rank_project_128_bf16, LowRankProjectArgs, 256) { project<128>(args); }
SPECTRAL_KERNEL(low_rank_output_gradients_32_bf16, LowRankOutputGradientsArgs, 256) { output_gradients<32>(args); }
SPECTRAL_KERNEL(low_rank_output_gradients_64_bf16, LowRankOutputGradientsArgs, 256) { output_gradients<64>(args); }
SPECTRAL_KERNEL(low_rank_input_gradient_32_bf16, LowRankInputGradientArgs, 256) { input_gradient<32>(args); }
SPECTRAL_KERNEL(low_rank_input_gradient_64_bf16, LowRankInputGradientArgs, 256) { input_gradient<64>(args); }
SPECTRAL_KERNEL(low_rank_input_gradient_128_bf16, LowRankInputGradientArgs, 256) { input_gradient<128>(args); }

SPECTRAL_SHARED(low_rank_project_32_bf16, kProjectShared<32>)
SPECTRAL_SHARED(low_rank_project_64_bf16, kProjectShared<64>)
SPECTRAL_SHARED(low_rank_project_128_bf16, kProjectShared<128>)
SPECTRAL_SHARED(low_rank_output_gradients_32_bf16, kOutputShared<32>)
SPECTRAL_SHARED(low_rank_output_gradients_64_bf16, kOutputShared<64>)
SPECTRAL_SHARED(low_rank_input_gradient_32_bf16, kInputShared<32>)
SPECTRAL_SHARED(low_rank_input_gradient_64_bf16, kInputShared<64>)
SPECTRAL_SHARED(low_rank_input_gradient_128_bf16, kInputShared<128>)
