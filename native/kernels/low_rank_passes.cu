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
// Grid/Block     project          x: 128 rows of x, y: shares of K, z: groups of RANKS ranks; 256 threads
//                output gradients x: 128 CHUNKS rows of dy, y: shares of N, z: groups of RANKS ranks; 256 threads
//                input gradient   x: 128 columns of x, y: shares of M, z: groups of RANKS ranks; 256 threads
//                RANKS is 32, 64 or 128 (output gradients: 32 or 64): one read of the wide operand for every RANKS of
//                r.
// Bytes          project 2 (M K + M r) + 8 M r shares, and 2 r K M / 128 of L2 for R: at RANKS 128 as much as for x;
//                output gradients 2 (M N + N r + 2 M r) + 8 r (N M / (128 CHUNKS) + M shares): the partial sums of dL
//                weigh as much as dy from r = 64 on, where a separate pass for dL would cost no more;
//                input gradient 2 (M K + M r) + 8 r K shares
// Flops          2 M K r; 4 M N r; 2 M K r; with dropout also about 10 integer operations per element of x and group of
//                RANKS
// Deterministic  yes: no atomics, shares are summed in order
#include "dropout.cuh"
#include "spectral.cuh"
#include "tile.cuh"

struct LowRankProjectArgs {
  const void* x;
  const void* right;
  const void* middle;
  void* z;
  void* scaled;
  void* partial;
  Dropout dropout;
  int rows;
  int columns;
  int rank;
  int x_stride;
  int right_stride;
  int result_stride;   // of z
  int scaled_stride;
  int shares;
  float scale;
};
SPECTRAL_LAYOUT(
    LowRankProjectArgs, x, right, middle, z, scaled, partial, dropout, rows, columns, rank, x_stride, right_stride,
    result_stride, scaled_stride, shares, scale)

struct LowRankOutputGradientsArgs {
  const void* dy;
  const void* left;
  const void* z;
  const void* middle;
  void* g;
  void* scaled;
  void* partial;
  void* left_partial;   // null: dL is not wanted
  int rows;
  int columns;
  int rank;
  int dy_stride;
  int skinny_stride;   // of z
  int result_stride;   // of g
  int scaled_stride;   // of g'
  int shares;
  float scale;
};
SPECTRAL_LAYOUT(
    LowRankOutputGradientsArgs, dy, left, z, middle, g, scaled, partial, left_partial, rows, columns, rank, dy_stride,
    skinny_stride, result_stride, scaled_stride, shares, scale)

struct LowRankInputGradientArgs {
  const void* x;
  const void* h;
  void* partial;
  Dropout dropout;   // its factor is left to the reduction
  int rows;
  int columns;
  int rank;
  int x_stride;
  int skinny_stride;   // of h
  int shares;
};
SPECTRAL_LAYOUT(LowRankInputGradientArgs, x, h, partial, dropout, rows, columns, rank, x_stride, skinny_stride, shares)

namespace {
constexpr int THREADS = 256;
constexpr int WARPS = THREADS / 32;
constexpr int SIDE = 128;
constexpr int DEPTH = 64;
static_assert(SIDE == 16 * WARPS, "each warp has 16 rows (or columns) of a tile of the wide operand");

// The range [first, last) of `tiles` that share `index` of `shares` has.
struct Share {
  int first, last;
};
__device__ __forceinline__ Share share_of(int tiles, int shares, int index) {
  const int each = (tiles + shares - 1) / shares;
  return {min(index * each, tiles), min(index * each + each, tiles)};
}
__device__ __forceinline__ int tiles_of(int length, int side) { return (length + side - 1) / side; }

// d += A B over the whole depth of two tiles; the warp's rows of A begin at 16 times its number.
template <int DEPTH_OF, int A_BYTES, bool A_DEPTH_ROWS, int B_BYTES, bool B_DEPTH_ROWS, int NT>
__device__ __forceinline__ void multiply(float (&d)[1][NT][4], const unsigned char* a, const unsigned char* b) {
#pragma unroll 4
  for (int k = 0; k < DEPTH_OF; k += 16)
    TileProduct<bf16>::add<A_BYTES, A_DEPTH_ROWS, B_BYTES, B_DEPTH_ROWS, false>(d, a, threadIdx.x / 32 * 16, b, 0, k);
}

// Calls body(row, column, v) for the warp's sums that lie within [rows, rank].
template <int NT, class Body>
__device__ __forceinline__ void each_sum(
    const float (&d)[1][NT][4], int row0, int column0, int rows, int rank, Body body) {
  const int row = row0 + threadIdx.x / 32 * 16 + lane_id() / 4;
  const int column = column0 + lane_id() % 4 * 2;
#pragma unroll
  for (int j = 0; j < NT; ++j)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int r = row + e / 2 * 8;
      const int c = column + 8 * j + e % 2;
      if (r < rows && c < rank)
        body(r, c, d[0][j][e]);
    }
}

// Rows of z or g: as one share's partial result, or, when there is a single share, as the result itself and its scaled
// twin.
template <int NT, class Args>
__device__ __forceinline__ void store_rows(
    const float (&d)[1][NT][4], int row0, int column0, const Args& args, void* result, float factor) {
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

// Clears what dropout drops in the units of a tile that this thread has copied itself (load_tile deals them out alike).
template <int ROWS, int COLUMNS>
__device__ __forceinline__ void drop(
    unsigned char* tile, const DropoutMask& mask, int rows, int columns, int row0, int column0) {
  constexpr int UNITS = COLUMNS / 8;
#pragma unroll 1
  for (int i = threadIdx.x; i < ROWS * UNITS; i += THREADS) {
    const int row = row0 + i / UNITS;
    const int column = column0 + i % UNITS * 8;
    if (row >= rows || column >= columns)
      continue;
    unsigned char* unit = tile + tile_offset<COLUMNS * 2>(i / UNITS, i % UNITS);
    const uint64_t at = uint64_t(row) * columns + column;
    if (at % 8 == 0) {
      uint32_t* pairs = reinterpret_cast<uint32_t*>(unit);
      const uint4 bits = mask.bits(at / 8);
      pairs[0] &= mask.pair(bits.x), pairs[1] &= mask.pair(bits.y), pairs[2] &= mask.pair(bits.z),
          pairs[3] &= mask.pair(bits.w);
    } else {   // odd widths: the unit lies across two of the mask's vectors
#pragma unroll 1
      for (int e = 0; e < 8; ++e)
        if (!mask.keeps(at + e))
          reinterpret_cast<uint16_t*>(unit)[e] = 0;
    }
  }
}

template <int RANKS>
constexpr int kProjectShared = 4 * (SIDE + RANKS) * DEPTH * 2;   // four stages of x and R

template <int RANKS>
__device__ __forceinline__ void project(const LowRankProjectArgs& args) {
  constexpr int STAGES = 4;
  constexpr int NT = RANKS / 8;
  constexpr int ROW = DEPTH * 2;
  constexpr int X_TILE = SIDE * ROW;
  constexpr int STAGE = X_TILE + RANKS * ROW;
  static_assert(STAGES * STAGE == kProjectShared<RANKS>);
  DYNAMIC_SHARED(shared);
  const int row0 = blockIdx.x * SIDE;
  const int rank0 = blockIdx.z * RANKS;
  const Share share = share_of(tiles_of(args.columns, DEPTH), args.shares, blockIdx.y);
  const auto x = tile_source<bf16>(args.x, args.rows, args.columns, args.x_stride);
  const auto right = tile_source<bf16>(args.right, args.rank, args.columns, args.right_stride);
  float d[1][NT][4] = {};
  pipeline<STAGES, 1>(
      share.last - share.first,
      [&](int step) {
        unsigned char* stage = shared + step % STAGES * STAGE;
        load_tile<bf16, SIDE, DEPTH, THREADS>(stage, x, row0, (share.first + step) * DEPTH);
        load_tile<bf16, RANKS, DEPTH, THREADS>(stage + X_TILE, right, rank0, (share.first + step) * DEPTH);
      },
      [&](int step, int) {
        const unsigned char* stage = shared + step % STAGES * STAGE;
        multiply<DEPTH, ROW, false, ROW, false>(d, stage, stage + X_TILE);
      },
      [&](int step) {
        if (args.dropout.state != nullptr)
          drop<SIDE, DEPTH>(
              shared + step % STAGES * STAGE,
              DropoutMask(args.dropout),
              args.rows,
              args.columns,
              row0,
              (share.first + step) * DEPTH);
      });
  store_rows(d, row0, rank0, args, args.z, args.dropout.state != nullptr ? args.dropout.factor : 1.0f);
}

// Three stages of dy, two tiles of L and the tiles of z.
template <int RANKS>
constexpr int kOutputShared = (3 * SIDE + (2 + 128 / RANKS) * RANKS) * SIDE * 2;

// A block owns CHUNKS tiles of rows and walks over its share of the columns; for each tile of columns it visits the row
// tiles, so that dL is complete for the block's rows after CHUNKS steps while g stays in registers to the end. More row
// tiles per block mean fewer partial results of dL and more registers for g.
template <int RANKS>
__device__ __forceinline__ void output_gradients(const LowRankOutputGradientsArgs& args) {
  constexpr int STAGES = 3;
  constexpr int CHUNKS = 128 / RANKS;
  constexpr int NT = RANKS / 8;
  constexpr int ROW = SIDE * 2;
  constexpr int TILE = SIDE * ROW;
  constexpr int SKINNY_ROW = RANKS * 2;
  constexpr int SKINNY = SIDE * SKINNY_ROW;
  static_assert(STAGES * TILE + (2 + CHUNKS) * SKINNY == kOutputShared<RANKS>);
  static_assert(STAGES <= CHUNKS + 1, "a tile of L may be replaced only after its last use");
  DYNAMIC_SHARED(shared);
  unsigned char* left_tiles = shared + STAGES * TILE;
  unsigned char* z_tiles = left_tiles + 2 * SKINNY;
  const int chunk = blockIdx.x;
  const int row0 = chunk * CHUNKS * SIDE;
  const int rank0 = blockIdx.z * RANKS;
  const Share share = share_of(tiles_of(args.columns, SIDE), args.shares, blockIdx.y);
  const auto dy = tile_source<bf16>(args.dy, args.rows, args.columns, args.dy_stride);
  const auto left = tile_source<bf16>(args.left, args.columns, args.rank, args.rank);
  const auto z = tile_source<bf16>(args.z, args.rows, args.rank, args.skinny_stride);
  const bool wants_left = args.left_partial != nullptr;

  float g[CHUNKS][1][NT][4] = {};
  float dl[1][NT][4] = {};
  pipeline<STAGES, CHUNKS>(
      share.last - share.first,
      [&](int step) {
        const int tile = step / CHUNKS;
        const int sub = step % CHUNKS;
        const int column0 = (share.first + tile) * SIDE;
        load_tile<bf16, SIDE, SIDE, THREADS>(shared + step % STAGES * TILE, dy, row0 + sub * SIDE, column0);
        if (sub == 0)
          load_tile<bf16, SIDE, RANKS, THREADS>(left_tiles + tile % 2 * SKINNY, left, column0, rank0);
        if (tile == 0 && wants_left)
          load_tile<bf16, SIDE, RANKS, THREADS>(z_tiles + sub * SKINNY, z, row0 + sub * SIDE, rank0);
      },
      [&](int tile, int sub) {
        const unsigned char* stage = shared + (tile * CHUNKS + sub) % STAGES * TILE;
        multiply<SIDE, ROW, false, SKINNY_ROW, true>(g[sub], stage, left_tiles + tile % 2 * SKINNY);
        if (!wants_left)
          return;
        multiply<SIDE, ROW, true, SKINNY_ROW, true>(dl, stage, z_tiles + sub * SKINNY);
        if (sub < CHUNKS - 1)
          return;
        float* partial = static_cast<float*>(args.left_partial) + (long long)chunk * args.columns * args.rank;
        each_sum(dl, (share.first + tile) * SIDE, rank0, args.columns, args.rank, [&](int n, int i, float v) {
          partial[(long long)n * args.rank + i] = v;
        });
#pragma unroll
        for (int j = 0; j < NT; ++j)
#pragma unroll
          for (int e = 0; e < 4; ++e)
            dl[0][j][e] = 0;
      });
#pragma unroll
  for (int sub = 0; sub < CHUNKS; ++sub)
    store_rows(g[sub], row0 + sub * SIDE, rank0, args, args.g, 1.0f);
}

template <int RANKS>
constexpr int kInputShared = 4 * (SIDE + RANKS) * DEPTH * 2;   // four stages of x and h

template <int RANKS>
__device__ __forceinline__ void input_gradient(const LowRankInputGradientArgs& args) {
  constexpr int STAGES = 4;
  constexpr int NT = RANKS / 8;
  constexpr int ROW = SIDE * 2;
  constexpr int SKINNY_ROW = RANKS * 2;
  constexpr int X_TILE = DEPTH * ROW;
  constexpr int STAGE = X_TILE + DEPTH * SKINNY_ROW;
  static_assert(STAGES * STAGE == kInputShared<RANKS>);
  DYNAMIC_SHARED(shared);
  const int column0 = blockIdx.x * SIDE;
  const int rank0 = blockIdx.z * RANKS;
  const Share share = share_of(tiles_of(args.rows, DEPTH), args.shares, blockIdx.y);
  const auto x = tile_source<bf16>(args.x, args.rows, args.columns, args.x_stride);
  const auto h = tile_source<bf16>(args.h, args.rows, args.rank, args.skinny_stride);
  float d[1][NT][4] = {};
  pipeline<STAGES, 1>(
      share.last - share.first,
      [&](int step) {
        unsigned char* stage = shared + step % STAGES * STAGE;
        load_tile<bf16, DEPTH, SIDE, THREADS>(stage, x, (share.first + step) * DEPTH, column0);
        load_tile<bf16, DEPTH, RANKS, THREADS>(stage + X_TILE, h, (share.first + step) * DEPTH, rank0);
      },
      [&](int step, int) {
        const unsigned char* stage = shared + step % STAGES * STAGE;
        multiply<DEPTH, ROW, true, SKINNY_ROW, true>(d, stage, stage + X_TILE);
      },
      [&](int step) {
        if (args.dropout.state != nullptr)
          drop<DEPTH, SIDE>(
              shared + step % STAGES * STAGE,
              DropoutMask(args.dropout),
              args.rows,
              args.columns,
              (share.first + step) * DEPTH,
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
