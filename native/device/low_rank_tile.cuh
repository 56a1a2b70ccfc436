// The blocks of the two-source products on mma.sync (low_rank_linear.cu, low_rank_quantized.cu): a tile of
// y = x W^T + z L^T, where a source of its own fills the tiles of W.
#pragma once
#include "spectral.cuh"
#include "tile.cuh"

// Four warps, 2 x 2, of 64 x 64: half the shared-memory reads per product of eight warps of 64 x 32. Three stages 32
// deep are 48 KB, so that two blocks fit into the 100 KB of an Ada or GA10x SM. Deeper stages leave room for one block,
// and then nothing runs there while it waits.
constexpr int kTileRows = 128;
constexpr int kTileColumns = 128;
constexpr int kTileDepth = 32;
constexpr int kThreads = 128;
constexpr int kStages = 3;
constexpr int kTilesM = 4;
constexpr int kTilesN = 8;
constexpr int kTile = kTileRows * kTileDepth * 2;
constexpr int kStage = 2 * kTile;
constexpr int kShared = kStages * kStage;   // dynamic
constexpr int kSteps = kTileDepth / 16;
constexpr int kGroup = 8;

// Offset of an element in the F32 half tile through which accumulators become whole rows. Units of four floats change
// places so that no bank conflicts arise: a store of fragments has two neighbouring units of four rows at a time, and
// a load every second unit of one row.
__device__ __forceinline__ int staged(int row, int column) {
  const int unit = column / 4;
  return row * kTileColumns + (unit ^ (row & 3) * 2 ^ (unit >> 3 & 1)) * 4 + column % 4;
}

// This thread's part of the copies of one operand's tiles, which are [positions][depth], or [depth][positions] with
// kDepthRows. Each tile of a source lies a fixed distance from the one before it, so most of the address arithmetic is
// done once, outside the loop.
template <int kRows, int kColumns, bool kDepthRows>
struct Copies {
  static constexpr int kUnits = kColumns / 8;
  static constexpr int kEach = kRows * kUnits / kThreads;
  static constexpr int kApart = kThreads / kUnits;   // rows from one to the next
  TileSource<bf16> source;
  int row, column;

  __device__ __forceinline__ Copies(const void* data, int positions, int depth, int position)
      : source(
            kDepthRows ? tile_source<bf16>(data, depth, positions, positions)
                       : tile_source<bf16>(data, positions, depth, depth)),
        row(kDepthRows ? 0 : position),
        column(kDepthRows ? position : 0) {}
  // Copies the tile at (row, column) and moves on to the next.
  __device__ __forceinline__ void next(unsigned char* tile) {
    if (source.vectors) {
      const int unit = threadIdx.x % kUnits;
      const int r = threadIdx.x / kUnits;
      const int at_row = row + r;
      const int at_column = column + 8 * unit;
      const bf16* from = source.data + at_row * source.stride + at_column;
      unsigned char* to = tile + tile_offset<kColumns * 2>(r, unit);   // the swizzle is the same kApart rows on
      static_assert(kApart % 8 == 0, "rows of a thread agree modulo 8");
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        const bool inside = at_row + i * kApart < source.rows && at_column < source.columns;
        cp_async16(to + i * kApart * kColumns * 2, inside ? from : source.data, inside ? 16 : 0);
        from += kApart * source.stride;
      }
    } else {
      load_tile<bf16, kRows, kColumns, kThreads>(tile, source, row, column);
    }
    if (kDepthRows)
      row += kTileDepth;
    else
      column += kTileDepth;
  }
};

template <bool kDepthRows>
using RightCopies = Copies<kDepthRows ? kTileDepth : kTileColumns, kDepthRows ? kTileColumns : kTileDepth, kDepthRows>;

// The right operand's tiles from a weight that is stored as it is: W, and after it the factor.
template <bool kDepthRows>
struct PlainTiles {
  RightCopies<kDepthRows> copies;

  // Queues the copies of the tile of a step; of W's steps there are `deep`.
  __device__ __forceinline__ void next(unsigned char* tile, int, int) { copies.next(tile); }
  // Goes on with the factor, whose tiles are at `position` too.
  __device__ __forceinline__ void turn(const void* factor, int positions, int depth, int position) {
    copies = RightCopies<kDepthRows>(factor, positions, depth, position);
  }
  // What a thread does to its own copies for a step once they are there, before others see them.
  __device__ __forceinline__ void arrived(unsigned char*, int, int) {}
};

// d = a tile of the product. Fragments are read one k16 step ahead of the products that use them, across stages too:
// the barrier of the last step is behind all reads, so on return the stages are free.
template <bool kDepthRows, class Args, class Tiles>
__device__ __forceinline__ void multiply(
    float (&d)[kTilesM][kTilesN][4], const Args& args, Tiles right, unsigned char* shared, int m0, int n0) {
  const int warp = threadIdx.x / 32;
  const int wm = warp / 2 * 64;
  const int wn = warp % 2 * 64;
  const int deep = ceil_div(args.depth, kTileDepth);
  const int steps = deep + ceil_div(args.rank, kTileDepth);
  using Left = Copies<kTileRows, kTileDepth, false>;
  Left left(args.x, args.rows, args.depth, m0);
  auto fill = [&](int step) {
    if (step == deep) {
      left = Left(args.z, args.rows, args.rank, m0);
      right.turn(args.factor, args.columns, args.rank, n0);
    }
    if (step < steps) {
      unsigned char* stage = shared + step % kStages * kStage;
      left.next(stage);
      right.next(stage + kTile, step, deep);
    }
    cp_async_commit();
  };
  uint32_t a[2][kTilesM][4], b[2][kTilesN][2];
  auto fragments = [&](int buffer, int step, int k) {
    const unsigned char* stage = shared + step % kStages * kStage;
    TileProduct<bf16>::left<kTileDepth * 2, false>(a[buffer], stage, wm, 16 * k);
    TileProduct<bf16>::right<kDepthRows ? kTileColumns * 2 : kTileDepth * 2, kDepthRows>(
        b[buffer], stage + kTile, wn, 16 * k);
  };
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s)
    fill(s);
  cp_async_wait<kStages - 2>();
  right.arrived(shared + kTile, 0, deep);
  __syncthreads();
  fragments(0, 0, 0);
#pragma unroll 1
  for (int step = 0; step < steps; ++step)
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      if (k == kSteps - 1) {   // every thread has this stage in registers, and the next one has arrived
        cp_async_wait<kStages - 2>();
        right.arrived(shared + (step + 1) % kStages * kStage + kTile, step + 1, deep);
        __syncthreads();
      }
      if (k < kSteps - 1 || step + 1 < steps)
        fragments((k + 1) % 2, k < kSteps - 1 ? step : step + 1, (k + 1) % kSteps);
      if (k == 0)
        fill(step + kStages - 1);   // into the stage that the barrier of the step before has freed
      mma_tile(d, a[k % 2], b[k % 2]);
    }
}

// y = d + bias + old y through shared memory, 64 rows at a time, so that rows of y are read and written in whole
// 16-byte vectors.
template <class Args>
__device__ __forceinline__ void store(
    const float (&d)[kTilesM][kTilesN][4], const Args& args, float* out, int m0, int n0) {
  const int warp = threadIdx.x / 32;
  const int lane = lane_id();
  const int wn = warp % 2 * 64;
  bf16* y = static_cast<bf16*>(args.y);
  const bf16* bias = static_cast<const bf16*>(args.bias);
  const bool vectors = args.columns % 8 == 0 && is_aligned16(y) && is_aligned16(bias);
#pragma unroll 1
  for (int half = 0; half < 2; ++half) {
    if (warp / 2 == half)
#pragma unroll
      for (int i = 0; i < kTilesM; ++i)
#pragma unroll
        for (int j = 0; j < kTilesN; ++j)
#pragma unroll
          for (int h = 0; h < 2; ++h)
            *reinterpret_cast<float2*>(out + staged(16 * i + lane / 4 + 8 * h, wn + 8 * j + lane % 4 * 2)) =
                make_float2(d[i][j][2 * h], d[i][j][2 * h + 1]);
    __syncthreads();
    for (int i = threadIdx.x; i < kTileRows / 2 * kTileColumns / 8; i += kThreads) {
      const int r = i / (kTileColumns / 8);
      const int c = i % (kTileColumns / 8) * 8;
      const int row = m0 + 64 * half + r;
      const int left = min(8, args.columns - n0 - c);
      if (row >= args.rows || left <= 0)
        continue;
      bf16* to = y + (long long)row * args.columns + n0 + c;
      alignas(16) float v[8];
      float more[8];
      *reinterpret_cast<float4*>(v) = *reinterpret_cast<const float4*>(out + staged(r, c));
      *reinterpret_cast<float4*>(v + 4) = *reinterpret_cast<const float4*>(out + staged(r, c + 4));
      if (vectors) {
        if (bias != nullptr) {
          load_piece(bias + n0 + c, more);
#pragma unroll
          for (int e = 0; e < 8; ++e)
            v[e] += more[e];
        }
        if (args.accumulate) {
          load_piece(to, more);
#pragma unroll
          for (int e = 0; e < 8; ++e)
            v[e] += more[e];
        }
        store_piece(to, v);
      } else {
#pragma unroll
        for (int e = 0; e < 8; ++e) {
          if (e >= left)
            continue;
          if (bias != nullptr)
            v[e] += to_float(bias[n0 + c + e]);
          to[e] = from_float<bf16>(args.accumulate ? v[e] + to_float(to[e]) : v[e]);
        }
      }
    }
    __syncthreads();
  }
}

// One tile of y for each block, in groups of kGroup tile rows. tiles(n0) makes the source of the right operand's tiles.
template <bool kDepthRows, class Args, class MakeTiles>
__device__ __forceinline__ void low_rank_product(const Args& args, unsigned char* shared, MakeTiles tiles) {
  const int tile_rows = ceil_div(args.rows, kTileRows);
  const int tile_columns = ceil_div(args.columns, kTileColumns);
  const int first = int(blockIdx.x) / (kGroup * tile_columns) * kGroup;
  const int in_group = int(blockIdx.x) % (kGroup * tile_columns);
  const int height = min(kGroup, tile_rows - first);
  const int m0 = (first + in_group % height) * kTileRows;
  const int n0 = in_group / height * kTileColumns;
  float d[kTilesM][kTilesN][4] = {};
  multiply<kDepthRows>(d, args, tiles(n0), shared, m0, n0);
  store(d, args, reinterpret_cast<float*>(shared), m0, n0);
}
