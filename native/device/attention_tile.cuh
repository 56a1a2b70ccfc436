// What the kernels of flash attention share: heads as matrices, products of tiles with sums in registers, and which
// query sees which key. A warp has 16 kTilesM rows of a product, in blocks of 32 columns.
#pragma once
#include "tile.cuh"

constexpr int kBlockTiles = 4;
constexpr int kBlock = 8 * kBlockTiles;   // columns of what one mma_tile adds up

template <int kBlocks, int kTilesM>
using Accumulator = float[kBlocks][kTilesM][kBlockTiles][4];

// One head of data [.., head, length, head_dim] as a matrix [length, head_dim]. head_dim is a multiple of 8, so rows
// start on 16-byte boundaries, here and below.
__device__ __forceinline__ TileSource<bf16> outer_head(const void* data, int64_t head, int length, int head_dim) {
  return {static_cast<const bf16*>(data) + head * length * head_dim, head_dim, length, head_dim, true};
}
// One head of data [b, length, stride], whose rows begin with [head, head_dim].
__device__ __forceinline__ TileSource<bf16> inner_head(
    const void* data, int b, int head, unsigned stride, int length, int head_dim) {
  return {
      static_cast<const bf16*>(data) + int64_t(b) * length * stride + head * head_dim, stride, length, head_dim, true};
}

// Bytes of a bf16 tile of kRows rows of a head.
template <int kRows, int kHead>
constexpr int kTileBytes = 2 * kRows* kHead;

// Starts the copies of rows row0 to row0 + kRows - 1 of two heads into two tiles, one behind the other.
template <int kRows, int kHead, int kThreads>
__device__ __forceinline__ void load_pair(
    unsigned char* tiles, const TileSource<bf16>& first, const TileSource<bf16>& second, int row0) {
  load_tile<bf16, kRows, kHead, kThreads>(tiles, first, row0, 0);
  load_tile<bf16, kRows, kHead, kThreads>(tiles + kTileBytes<kRows, kHead>, second, row0, 0);
}

// d += A B^T over a depth of kHead: A is rows m ... of one tile, B all rows of another.
template <int kHead, int kBlocks, int kTilesM>
__device__ __forceinline__ void multiply_rows(
    Accumulator<kBlocks, kTilesM>& d, const unsigned char* a_tile, int m, const unsigned char* b_tile) {
#pragma unroll
  for (int k = 0; k < kHead; k += 16) {
    uint32_t a[kTilesM][4];
    TileProduct<bf16>::left<2 * kHead, false>(a, a_tile, m, k);
#pragma unroll
    for (int c = 0; c < kBlocks; ++c) {
      uint32_t b[kBlockTiles][2];
      TileProduct<bf16>::right<2 * kHead, false>(b, b_tile, kBlock * c, k);
      mma_tile(d[c], a, b);
    }
  }
}
// d += P T, T being a tile. P comes as sums, which lie in a lane's registers as the left operand's elements do; they
// are rounded to bf16 on the way.
template <int kHead, int kBlocks, int kTilesM>
__device__ __forceinline__ void multiply_columns(
    Accumulator<kHead / kBlock, kTilesM>& d, const Accumulator<kBlocks, kTilesM>& p, const unsigned char* tile) {
#pragma unroll
  for (int depth = 0; depth < kBlocks * kBlock; depth += 16) {
    const int c = depth / kBlock;
    const int j = depth % kBlock / 8;
    uint32_t a[kTilesM][4];
#pragma unroll
    for (int i = 0; i < kTilesM; ++i)
#pragma unroll
      for (int part = 0; part < 4; ++part)
        a[i][part] = bf16_pair(p[c][i][j + part / 2][part % 2 * 2], p[c][i][j + part / 2][part % 2 * 2 + 1]);
#pragma unroll
    for (int n = 0; n < kHead / kBlock; ++n) {
      uint32_t b[kBlockTiles][2];
      TileProduct<bf16>::right<2 * kHead, true>(b, tile, kBlock * n, depth);
      mma_tile(d[n], a, b);
    }
  }
}
// Calls body(element, which of the lane's 2 kTilesM rows, row in the warp, column) for each of this lane's elements.
// All loops are unrolled, so that the second argument may index registers.
template <int kBlocks, int kTilesM, class Body>
__device__ __forceinline__ void each(Accumulator<kBlocks, kTilesM>& d, Body body) {
  const int g = lane_id() / 4;
  const int q = lane_id() % 4;
#pragma unroll
  for (int c = 0; c < kBlocks; ++c)
#pragma unroll
    for (int i = 0; i < kTilesM; ++i)
#pragma unroll
      for (int j = 0; j < kBlockTiles; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          body(d[c][i][j][e], 2 * i + e / 2, 16 * i + g + e / 2 * 8, kBlock * c + 8 * j + 2 * q + e % 2);
}
// Stores a warp's rows as rows row0 ... of global memory, in 16-byte units: they go through rows m ... of `tile`, which
// only this warp uses.
template <int kHead, int kTilesM>
__device__ __forceinline__ void store_rows(
    Accumulator<kHead / kBlock, kTilesM>& d, unsigned char* tile, int m, const TileSource<bf16>& to, int row0) {
  __syncwarp();   // other lanes may still read what the tile held
  const int g = lane_id() / 4;
  const int q = lane_id() % 4;
#pragma unroll
  for (int c = 0; c < kHead / kBlock; ++c)
#pragma unroll
    for (int i = 0; i < kTilesM; ++i)
#pragma unroll
      for (int j = 0; j < kBlockTiles; ++j)
#pragma unroll
        for (int h = 0; h < 2; ++h)
          *reinterpret_cast<uint32_t*>(
              tile + tile_offset<2 * kHead>(m + 16 * i + g + 8 * h, c * kBlockTiles + j) + 4 * q) =
              bf16_pair(d[c][i][j][2 * h], d[c][i][j][2 * h + 1]);
  __syncwarp();
  bf16* out = const_cast<bf16*>(to.data);
  for (int unit = lane_id(); unit < 16 * kTilesM * kHead / 8; unit += 32) {
    const int r = unit / (kHead / 8);
    const int u = unit % (kHead / 8);
    const int row = row0 + r;
    if (row < to.rows && u * 8 < to.columns)
      *reinterpret_cast<uint4*>(out + row * to.stride + u * 8) =
          *reinterpret_cast<const uint4*>(tile + tile_offset<2 * kHead>(m + r, u));
  }
}
// The keys that the queries of one sequence see: those up to a query's own position, with a window the last `window` of
// them, where several records are joined those of the query's own.
struct SeenKeys {
  // [length, 2]: of each position the first of its record and the one after its last; null: one record
  const int* spans;
  int length;   // positions of the sequence
  int window;   // 0: none

  // The first key that a query sees; it does not decrease from one query to the next.
  __device__ __forceinline__ int first(int query) const {
    const int near = window > 0 ? max(0, query - window + 1) : 0;
    return spans ? max(near, spans[2 * min(query, length - 1)]) : near;
  }
  // The query after the last one that sees a key.
  __device__ __forceinline__ int end(int key) const {
    const int near = window > 0 ? min(length, key + window) : length;
    return spans ? min(near, spans[2 * min(key, length - 1) + 1]) : near;
  }
};
