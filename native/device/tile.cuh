// Tiles in shared memory, the copies that fill them, and the product a warp makes of two of them.
//
// One source serves both types: BF16 multiplies with ldmatrix and mma.sync, F32 with plain fused multiply-adds on the
// same tiles and in the same accumulator layout (that of m16n8k16), so that a kernel's structure is tested once for
// both. Rows of a tile are 64, 128 or more bytes; 16-byte units are exchanged by an XOR with the row so that the eight
// rows an ldmatrix reads lie in different banks (for 128-byte rows this is the hardware's own 128-byte swizzle).
#pragma once
#include "spectral.cuh"

// A row-major matrix in device memory. `vectors`: rows are whole 16-byte units at 16-byte addresses, so copies may be
// asynchronous.
template <class T>
struct TileSource {
  const T* data;
  long long stride;   // elements from row to row
  int rows, columns;
  bool vectors;
};
template <class T>
__device__ __forceinline__ TileSource<T> tile_source(const void* data, int rows, int columns, long long stride) {
  const bool vectors = is_aligned16(data) && stride % kVector<T> == 0 && columns % kVector<T> == 0;
  return {static_cast<const T*>(data), stride, rows, columns, vectors};
}

// Byte offset of 16-byte unit `unit` of row `row`.
template <int kRowBytes>
__device__ __forceinline__ unsigned tile_offset(int row, int unit) {
  if (kRowBytes >= 128)
    return row * kRowBytes + ((unit ^ (row & 7)) << 4);
  return swizzle128(row * kRowBytes + (unit << 4));
}

// The 16-byte unit `units` beyond the one at p, p being in an even unit's pair and `units` even: units differ in
// address bits 4 to 7 alone, whose exclusive or with the row commutes with this one, so a constant step is one
// instruction on one register.
__device__ __forceinline__ const unsigned char* step_units(const unsigned char* p, int units) {
  return reinterpret_cast<const unsigned char*>(reinterpret_cast<uintptr_t>(p) ^ uintptr_t(units << 4));
}

// kRows x kColumns elements starting at (row0, column0); what lies outside the matrix becomes zero. Matrices whose rows
// are not 16-byte aligned (odd widths) take element loads: slower, same result.
template <class T, int kRows, int kColumns, int kThreads>
__device__ __forceinline__ void load_tile(unsigned char* tile, const TileSource<T>& source, int row0, int column0) {
  constexpr int kWidth = kVector<T>;
  constexpr int kUnits = kColumns / kWidth;
  constexpr int kRowBytes = kColumns * int(sizeof(T));
  if (!source.vectors) {
#pragma unroll 1   // rare: kept small, for it is part of every copy in an unrolled loop
    for (int i = threadIdx.x; i < kRows * kUnits; i += kThreads) {
      const int row = row0 + i / kUnits;
      const int column = column0 + i % kUnits * kWidth;
      const int left = row < source.rows ? source.columns - column : 0;
      const T* from = source.data + row * source.stride + column;
      T* to = reinterpret_cast<T*>(tile + tile_offset<kRowBytes>(i / kUnits, i % kUnits));
#pragma unroll 1
      for (int e = 0; e < kWidth; ++e)
        to[e] = e < left ? from[e] : from_float<T>(0.0f);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < ceil_div(kRows * kUnits, kThreads); ++i) {
    if constexpr (kRows * kUnits % kThreads != 0) {   // the last turn of a tile that does not divide evenly
      if (i * kThreads + int(threadIdx.x) >= kRows * kUnits)
        break;
    }
    const int unit = (i * kThreads + threadIdx.x) % kUnits;
    const int r = (i * kThreads + threadIdx.x) / kUnits;
    const int row = row0 + r;
    const int column = column0 + unit * kWidth;
    const bool inside = row < source.rows && column < source.columns;
    cp_async16(
        tile + tile_offset<kRowBytes>(r, unit),
        inside ? source.data + row * source.stride + column : source.data,
        inside ? 16 : 0);
  }
}

// Runs load(0), load(1), ... kStages - 1 ahead of compute(outer, inner), step = outer * kInner + inner, one barrier per
// step. `inner` is a constant in the unrolled body, so that it may index registers. A stage is free again once every
// thread has passed the barrier of the step after the one that read it. arrived(step) runs in each thread when the
// copies that it has made itself for that step are there, before other threads see them. On return no copy is under
// way, but other warps may still read the last step's stage: what writes there, or into anything else that compute
// reads across warps, needs a barrier first.
template <int kStages, int kInner, class Load, class Compute, class Arrived>
__device__ __forceinline__ void pipeline(int outer_steps, Load load, Compute compute, Arrived arrived) {
  const int steps = outer_steps * kInner;
#pragma unroll 1
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < steps)
      load(s);
    cp_async_commit();
  }
#pragma unroll 1
  for (int outer = 0; outer < outer_steps; ++outer)
#pragma unroll
    for (int inner = 0; inner < kInner; ++inner) {
      const int step = outer * kInner + inner;
      const int ahead = step + kStages - 1;
      cp_async_wait<kStages - 2>();
      arrived(step);
      __syncthreads();
      if (ahead < steps)
        load(ahead);
      cp_async_commit();
      compute(outer, inner);
    }
}
template <int kStages, int kInner, class Load, class Compute>
__device__ __forceinline__ void pipeline(int outer_steps, Load load, Compute compute) {
  pipeline<kStages, kInner>(outer_steps, load, compute, [](int) {});
}

// d += A B over a depth of 16 from depth `k` on; A is 16 * kTilesM rows of its tile from `m` on, B 8 * kTilesN columns
// of its tile from `n` on. A's tile is [m][k], or [k][m] when kADepthRows; B's is [n][k], or [k][n] when kBDepthRows.
// Thread (g, q) = (lane / 4, lane % 4) holds d[i][j][2h + e] of row 16i + g + 8h and column 8j + 2q + e.
template <class T>
struct TileProduct;

template <>
struct TileProduct<bf16> {
  // The left operand of kTilesM tiles of 16 x 16 at (m, k), and the right one of kTilesN tiles of 16 x 8 at (k, n).
  // kStepped: addresses by step_units from that of unit 0; else each is computed on its own. Which of the two avoids
  // register spills differs by kernel; ptxas -v shows it.
  template <int kBytes, bool kStepped>
  static __device__ __forceinline__ const unsigned char* unit_at(
      const unsigned char* tile, int row, int units, int unit) {
    return kStepped ? step_units(tile + tile_offset<kBytes>(row, unit), units)
                    : tile + tile_offset<kBytes>(row, units + unit);
  }
  template <int kBytes, bool kDepthRows, bool kStepped = true, int kTilesM>
  static __device__ __forceinline__ void left(uint32_t (&a)[kTilesM][4], const unsigned char* tile, int m, int k) {
#pragma unroll
    for (int i = 0; i < kTilesM; ++i) {
      if (kDepthRows)
        ldmatrix_x4_transposed(a[i], [&](int l) {
          return unit_at<kBytes, kStepped>(tile, k + l / 16 * 8 + l % 8, (m + 16 * i) / 8, l / 8 % 2);
        });
      else
        ldmatrix_x4(a[i], [&](int l) { return unit_at<kBytes, kStepped>(tile, m + 16 * i + l % 16, k / 8, l / 16); });
    }
  }
  template <int kBytes, bool kDepthRows, bool kStepped = true, int kTilesN>
  static __device__ __forceinline__ void right(uint32_t (&b)[kTilesN][2], const unsigned char* tile, int n, int k) {
#pragma unroll
    for (int j = 0; j < kTilesN; j += 2) {
      uint32_t r[4];
      if (kDepthRows)
        ldmatrix_x4_transposed(
            r, [&](int l) { return unit_at<kBytes, kStepped>(tile, k + l / 8 % 2 * 8 + l % 8, n / 8 + j, l / 16); });
      else
        ldmatrix_x4(r, [&](int l) {
          return unit_at<kBytes, kStepped>(tile, n + 8 * j + l / 16 * 8 + l % 8, k / 8, l / 8 % 2);
        });
      b[j][0] = r[0];
      b[j][1] = r[1];
      b[j + 1][0] = r[2];
      b[j + 1][1] = r[3];
    }
  }
  template <
      int kABytes, bool kADepthRows, int kBBytes, bool kBDepthRows, bool kStepped = true, int kTilesM, int kTilesN>
  static __device__ __forceinline__ void add(
      float (&d)[kTilesM][kTilesN][4], const unsigned char* a_tile, int m, const unsigned char* b_tile, int n, int k) {
    uint32_t a[kTilesM][4], b[kTilesN][2];
    left<kABytes, kADepthRows, kStepped>(a, a_tile, m, k);
    right<kBBytes, kBDepthRows, kStepped>(b, b_tile, n, k);
    mma_tile(d, a, b);
  }
};

template <>
struct TileProduct<float> {
  template <int kBytes, bool kDepthRows>
  static __device__ __forceinline__ float at(const unsigned char* tile, int position, int depth) {
    const int row = kDepthRows ? depth : position;
    const int column = kDepthRows ? position : depth;
    return reinterpret_cast<const float*>(tile + tile_offset<kBytes>(row, column / 4))[column % 4];
  }
  template <int kABytes, bool kADepthRows, int kBBytes, bool kBDepthRows, int kTilesM, int kTilesN>
  static __device__ __forceinline__ void add(
      float (&d)[kTilesM][kTilesN][4], const unsigned char* a_tile, int m, const unsigned char* b_tile, int n, int k) {
    const int g = lane_id() / 4;
    const int q = lane_id() % 4;
#pragma unroll 4
    for (int depth = k; depth < k + 16; ++depth) {
      float a[kTilesM][2];
#pragma unroll
      for (int i = 0; i < kTilesM; ++i)
#pragma unroll
        for (int h = 0; h < 2; ++h)
          a[i][h] = at<kABytes, kADepthRows>(a_tile, m + 16 * i + g + 8 * h, depth);
#pragma unroll
      for (int j = 0; j < kTilesN; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const float b = at<kBBytes, kBDepthRows>(b_tile, n + 8 * j + 2 * q + e, depth);
#pragma unroll
          for (int i = 0; i < kTilesM; ++i)
#pragma unroll
            for (int h = 0; h < 2; ++h)
              d[i][j][2 * h + e] += a[i][h] * b;
        }
    }
  }
};
