// The skinny passes of a low-rank linear layer: products of a wide activation with a few columns, bound by reading the former.
//
// Formula        project:           z = x R^T
//                output gradients:  g = dy L  and  dL[n,i] = sum_t dy[t,n] z[t,i], from one read of dy
//                input gradient:    dR[i,k] = sum_t h[t,i] x[t,k]
//                scaled:            g'[t,i] = scale c[i] g[t,i] next to g (c null: 1), likewise for z
//                middle gradient:   dc[i] = scale sum_t g[t,i] z[t,i]
//                reductions:        dL, dR (+)= factor_i times the sum of the partial results of the blocks
// Shapes         x [M,K], dy [M,N], R [r,K], L [N,r], z, g, h [M,r], c [r], dL [N, r - from], dR [r,K], dc [count]
// Layout         row-major; z and h may be columns of a wider matrix (skinny_stride); any size
// Types          x, dy, L, R, z, g, h: F32 or BF16; c, dL, dR, dc and partial results: F32
// Accumulation   F32: in a block along its share, then over the shares in their order; BF16 on tensor cores, F32 as plain multiply-adds
// Grid/Block     project          x: 64 rows of x, y: shares of K, z: groups of RANKS ranks; 128 threads
//                output gradients x: 64 * CHUNKS rows of dy, y: shares of N, z: groups of RANKS ranks; 128 threads
//                input gradient   x: 64 columns of x, y: shares of M, z: groups of RANKS ranks; 128 threads
//                RANKS is 32 or 64: one read of the wide operand up to rank 64, another for every further 64.
// Bytes          project T (M K + r K + M r); output gradients T (M N + N r + 2 M r) + 8 r (N M / (64 CHUNKS) + M shares);
//                input gradient T (M K + M r) + 8 r K shares;  T = size of the type
// Flops          2 M K r; 4 M N r; 2 M K r
// Deterministic  yes: no atomics, shares are summed in order
#include "spectral.cuh"
#include "tile.cuh"

struct LowRankProjectArgs {
  const void* x;
  const void* right;
  const void* middle;
  void* z;
  void* scaled;
  void* partial;
  int rows;
  int columns;
  int rank;
  int shares;
  float scale;
};
SPECTRAL_LAYOUT(LowRankProjectArgs, x, right, middle, z, scaled, partial, rows, columns, rank, shares, scale)

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
  int shares;
  float scale;
};
SPECTRAL_LAYOUT(LowRankOutputGradientsArgs, dy, left, z, middle, g, scaled, partial, left_partial, rows, columns, rank, shares, scale)

struct LowRankInputGradientArgs {
  const void* x;
  const void* h;
  void* partial;
  int rows;
  int columns;
  int rank;
  int skinny_stride;
  int shares;
};
SPECTRAL_LAYOUT(LowRankInputGradientArgs, x, h, partial, rows, columns, rank, skinny_stride, shares)

namespace {
constexpr int THREADS = 128, WARPS = THREADS / 32, SIDE = 64;   // tiles of the wide operand are SIDE x SIDE, 16 rows (or columns) a warp
static_assert(SIDE == 16 * WARPS, "a tile's rows are dealt to the warps");
template <class T> constexpr int kTile = SIDE * SIDE * int(sizeof(T));

// The range [first, last) of `tiles` that share `index` of `shares` has.
struct Share { int first, last; };
__device__ __forceinline__ Share share_of(int tiles, int shares, int index) {
  const int each = (tiles + shares - 1) / shares;
  return {min(index * each, tiles), min(index * each + each, tiles)};
}
__device__ __forceinline__ int tiles_of(int length) { return (length + SIDE - 1) / SIDE; }

// A warp's 16 x (8 NT) sums, rows from `row`, columns from `column` of an [rows, rank] matrix: as one share's partial result, or,
// when there is a single share, as the result itself and its scaled twin.
template <class T, int NT>
__device__ __forceinline__ void store_rows(const float (&d)[1][NT][4], int row, int column, int rows, int rank, int shares, int share,
                                           void* partial, void* result, void* scaled, const void* middle, float scale) {
  const int lane = lane_id();
#pragma unroll
  for (int j = 0; j < NT; ++j)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int r = row + lane / 4 + e / 2 * 8, c = column + 8 * j + lane % 4 * 2 + e % 2;
      if (r >= rows || c >= rank) continue;
      const long long at = (long long)r * rank + c;
      const float v = d[0][j][e];
      if (shares > 1) {
        static_cast<float*>(partial)[(long long)share * rows * rank + at] = v;
      } else {
        static_cast<T*>(result)[at] = from_float<T>(v);
        if (scaled != nullptr)
          static_cast<T*>(scaled)[at] = from_float<T>(v * (middle != nullptr ? scale * static_cast<const float*>(middle)[c] : scale));
      }
    }
}

template <class T, int RANKS> __device__ __forceinline__ void project(const LowRankProjectArgs& args) {
  constexpr int STAGES = sizeof(T) == 2 ? 4 : 3, NT = RANKS / 8, ROW = SIDE * int(sizeof(T)), STAGE = kTile<T> + RANKS * ROW;
  DYNAMIC_SHARED(shared);
  const int row0 = blockIdx.x * SIDE, rank0 = blockIdx.z * RANKS, warp = threadIdx.x / 32;
  const Share share = share_of(tiles_of(args.columns), args.shares, blockIdx.y);
  const auto x = tile_source<T>(args.x, args.rows, args.columns, args.columns);
  const auto right = tile_source<T>(args.right, args.rank, args.columns, args.columns);
  float d[1][NT][4] = {};
  pipeline<STAGES, 1>(
      share.last - share.first,
      [&](int step) {
        unsigned char* stage = shared + step % STAGES * STAGE;
        load_tile<T, SIDE, SIDE, THREADS>(stage, x, row0, (share.first + step) * SIDE);
        load_tile<T, RANKS, SIDE, THREADS>(stage + kTile<T>, right, rank0, (share.first + step) * SIDE);
      },
      [&](int step, int) {
        const unsigned char* stage = shared + step % STAGES * STAGE;
#pragma unroll
        for (int k = 0; k < SIDE; k += 16)
          TileProduct<T>::template add<ROW, false, ROW, false>(d, stage, warp * 16, stage + kTile<T>, 0, k);
      });
  store_rows<T>(d, row0 + warp * 16, rank0, args.rows, args.rank, args.shares, blockIdx.y, args.partial, args.z, args.scaled,
                args.middle, args.scale);
}

// A block owns CHUNKS tiles of rows and walks over its share of the columns; for each tile of columns it visits the row tiles, so
// that dL is complete for the block's rows after CHUNKS steps while g stays in registers to the end. More row tiles per block mean
// fewer partial results of dL and more registers for g.
template <class T, int RANKS> __device__ __forceinline__ void output_gradients(const LowRankOutputGradientsArgs& args) {
  constexpr int STAGES = sizeof(T) == 2 ? 3 : 2, CHUNKS = (sizeof(T) == 2 ? 256 : 128) / RANKS, NT = RANKS / 8;
  constexpr int ROW = SIDE * int(sizeof(T)), SKINNY_ROW = RANKS * int(sizeof(T)), SKINNY = SIDE * SKINNY_ROW;
  static_assert(STAGES <= CHUNKS, "a tile of L may be replaced only after its last use");
  DYNAMIC_SHARED(shared);
  unsigned char *left_tiles = shared + STAGES * kTile<T>, *z_tiles = left_tiles + 2 * SKINNY;
  const int chunk = blockIdx.x, row0 = chunk * CHUNKS * SIDE, rank0 = blockIdx.z * RANKS, warp = threadIdx.x / 32, lane = lane_id();
  const Share share = share_of(tiles_of(args.columns), args.shares, blockIdx.y);
  const auto dy = tile_source<T>(args.dy, args.rows, args.columns, args.columns);
  const auto left = tile_source<T>(args.left, args.columns, args.rank, args.rank);
  const auto z = tile_source<T>(args.z, args.rows, args.rank, args.rank);
  const bool wants_left = args.left_partial != nullptr;

  float g[CHUNKS][1][NT][4] = {}, dl[1][NT][4] = {};
  pipeline<STAGES, CHUNKS>(
      share.last - share.first,
      [&](int step) {
        const int tile = step / CHUNKS, sub = step % CHUNKS, column0 = (share.first + tile) * SIDE;
        load_tile<T, SIDE, SIDE, THREADS>(shared + step % STAGES * kTile<T>, dy, row0 + sub * SIDE, column0);
        if (sub == 0) load_tile<T, SIDE, RANKS, THREADS>(left_tiles + tile % 2 * SKINNY, left, column0, rank0);
        if (tile == 0 && wants_left) load_tile<T, SIDE, RANKS, THREADS>(z_tiles + sub * SKINNY, z, row0 + sub * SIDE, rank0);
      },
      [&](int tile, int sub) {
        const unsigned char* stage = shared + (tile * CHUNKS + sub) % STAGES * kTile<T>;
#pragma unroll
        for (int k = 0; k < SIDE; k += 16)
          TileProduct<T>::template add<ROW, false, SKINNY_ROW, true>(g[sub], stage, warp * 16, left_tiles + tile % 2 * SKINNY, 0, k);
        if (!wants_left) return;
#pragma unroll
        for (int k = 0; k < SIDE; k += 16)
          TileProduct<T>::template add<ROW, true, SKINNY_ROW, true>(dl, stage, warp * 16, z_tiles + sub * SKINNY, 0, k);
        if (sub < CHUNKS - 1) return;
        float* partial = static_cast<float*>(args.left_partial) + (long long)chunk * args.columns * args.rank;
#pragma unroll
        for (int j = 0; j < NT; ++j)
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            const int n = (share.first + tile) * SIDE + warp * 16 + lane / 4 + e / 2 * 8, i = rank0 + 8 * j + lane % 4 * 2 + e % 2;
            if (n < args.columns && i < args.rank) partial[(long long)n * args.rank + i] = dl[0][j][e];
            dl[0][j][e] = 0;
          }
      });
#pragma unroll
  for (int sub = 0; sub < CHUNKS; ++sub)
    store_rows<T>(g[sub], row0 + sub * SIDE + warp * 16, rank0, args.rows, args.rank, args.shares, blockIdx.y, args.partial, args.g,
                  args.scaled, args.middle, args.scale);
}

template <class T, int RANKS> __device__ __forceinline__ void input_gradient(const LowRankInputGradientArgs& args) {
  constexpr int STAGES = sizeof(T) == 2 ? 4 : 3, NT = RANKS / 8, ROW = SIDE * int(sizeof(T)), SKINNY_ROW = RANKS * int(sizeof(T));
  constexpr int STAGE = kTile<T> + SIDE * SKINNY_ROW;
  DYNAMIC_SHARED(shared);
  const int column0 = blockIdx.x * SIDE, rank0 = blockIdx.z * RANKS, warp = threadIdx.x / 32, lane = lane_id();
  const Share share = share_of(tiles_of(args.rows), args.shares, blockIdx.y);
  const auto x = tile_source<T>(args.x, args.rows, args.columns, args.columns);
  const auto h = tile_source<T>(args.h, args.rows, args.rank, args.skinny_stride);
  float d[1][NT][4] = {};
  pipeline<STAGES, 1>(
      share.last - share.first,
      [&](int step) {
        unsigned char* stage = shared + step % STAGES * STAGE;
        load_tile<T, SIDE, SIDE, THREADS>(stage, x, (share.first + step) * SIDE, column0);
        load_tile<T, SIDE, RANKS, THREADS>(stage + kTile<T>, h, (share.first + step) * SIDE, rank0);
      },
      [&](int step, int) {
        const unsigned char* stage = shared + step % STAGES * STAGE;
#pragma unroll
        for (int k = 0; k < SIDE; k += 16)
          TileProduct<T>::template add<ROW, true, SKINNY_ROW, true>(d, stage, warp * 16, stage + kTile<T>, 0, k);
      });
  float* partial = static_cast<float*>(args.partial) + (long long)blockIdx.y * args.rank * args.columns;
#pragma unroll
  for (int j = 0; j < NT; ++j)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int k = column0 + warp * 16 + lane / 4 + e / 2 * 8, i = rank0 + 8 * j + lane % 4 * 2 + e % 2;
      if (k < args.columns && i < args.rank) partial[(long long)i * args.columns + k] = d[0][j][e];
    }
}
}  // namespace

SPECTRAL_KERNEL(low_rank_project_32_f32, LowRankProjectArgs, 128) { project<float, 32>(args); }
SPECTRAL_KERNEL(low_rank_project_32_bf16, LowRankProjectArgs, 128) { project<bf16, 32>(args); }
SPECTRAL_KERNEL(low_rank_project_64_f32, LowRankProjectArgs, 128) { project<float, 64>(args); }
SPECTRAL_KERNEL(low_rank_project_64_bf16, LowRankProjectArgs, 128) { project<bf16, 64>(args); }
SPECTRAL_KERNEL(low_rank_output_gradients_32_f32, LowRankOutputGradientsArgs, 128) { output_gradients<float, 32>(args); }
SPECTRAL_KERNEL(low_rank_output_gradients_32_bf16, LowRankOutputGradientsArgs, 128) { output_gradients<bf16, 32>(args); }
SPECTRAL_KERNEL(low_rank_output_gradients_64_f32, LowRankOutputGradientsArgs, 128) { output_gradients<float, 64>(args); }
SPECTRAL_KERNEL(low_rank_output_gradients_64_bf16, LowRankOutputGradientsArgs, 128) { output_gradients<bf16, 64>(args); }
SPECTRAL_KERNEL(low_rank_input_gradient_32_f32, LowRankInputGradientArgs, 128) { input_gradient<float, 32>(args); }
SPECTRAL_KERNEL(low_rank_input_gradient_32_bf16, LowRankInputGradientArgs, 128) { input_gradient<bf16, 32>(args); }
SPECTRAL_KERNEL(low_rank_input_gradient_64_f32, LowRankInputGradientArgs, 128) { input_gradient<float, 64>(args); }
SPECTRAL_KERNEL(low_rank_input_gradient_64_bf16, LowRankInputGradientArgs, 128) { input_gradient<bf16, 64>(args); }
