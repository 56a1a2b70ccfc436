// What the products of the Hopper kernels share (sm_90a): y = x W + z L in tiles of 128 rows and 256, 128 or 64
// columns, by a persistent block of three warpgroups. One fills a ring of stages, with W and then L as the right
// operand; the other two multiply halves of 64 rows by wgmma from shared memory and store them by TMA. Who fills a
// stage, and with what, is the kernel's. Narrow tiles are for results with fewer wide ones than the GPU has
// multiprocessors; all give the same bits.
#pragma once
#include "spectral.cuh"

constexpr int kTileRows = 128;
constexpr int kTileDepth = 64;
constexpr int kGroupRows = 2048;
constexpr int kBlock = 64 * 64 * 2;   // bytes of a 64 x 64 tile, the unit of everything below
constexpr int kXTile = 2 * kBlock;
constexpr int kRing = 24 * kBlock;   // all stages
constexpr int kBarriers = kRing + 4 * kBlock;
constexpr int kShared = kBarriers + 256;   // dynamic: stages, y, barriers

// The columns of a tile, and the stages that hold 128 rows of x and then as many columns of W.
template <int kColumns>
struct Ring {
  static constexpr int kStage = kXTile + kColumns / 64 * kBlock;
  static constexpr int kStages = kRing / kStage;
  // A stage and the parity of its current round; producer and consumers walk alike.
  int index = 0;
  int parity = 0;
  __device__ __forceinline__ void next() {
    if (++index == kStages) {
      index = 0;
      parity ^= 1;
    }
  }
};

// The cluster's tile number t: groups of kGroupRows rows, columns within a group, rows within a column.
template <int kColumns, int kCluster>
struct Tiles {
  static constexpr int kGroup = kGroupRows / (kTileRows * kCluster);
  int rows, columns;
  template <class Args>
  __device__ __forceinline__ Tiles(const Args& args)
      : rows(ceil_div(args.rows, kTileRows * kCluster)), columns(ceil_div(args.columns, kColumns)) {}
  __device__ __forceinline__ void place(int t, int rank, int& m0, int& n0) const {
    const int first = t / (kGroup * columns) * kGroup;
    const int in_group = t % (kGroup * columns);
    const int height = min(kGroup, rows - first);
    m0 = ((first + in_group % height) * kCluster + rank) * kTileRows;
    n0 = in_group / height * kColumns;
  }
};

// The product of 16 depths with as many columns as the sums have.
template <bool kDepthRows>
__device__ __forceinline__ void wgmma_k16(float (&d)[32], uint64_t a, uint64_t b, int scale_d) {
  wgmma_m64n64k16<kDepthRows>(d, a, b, scale_d);
}
template <bool kDepthRows>
__device__ __forceinline__ void wgmma_k16(float (&d)[64], uint64_t a, uint64_t b, int scale_d) {
  wgmma_m64n128k16<kDepthRows>(d, a, b, scale_d);
}
template <bool kDepthRows>
__device__ __forceinline__ void wgmma_k16(float (&d)[128], uint64_t a, uint64_t b, int scale_d) {
  wgmma_m64n256k16<kDepthRows>(d, a, b, scale_d);
}

// d = the half `half` of a tile, 64 rows. A stage that has been read is handed back to the producers of all blocks that
// write it; one thread arrives at each.
template <bool kDepthRows, int kColumns, int kCluster, class Args>
__device__ __forceinline__ void multiply(
    float (&d)[kColumns / 2], const Args& args, const unsigned char* shared, uint64_t* full, uint64_t* empty, int half,
    Ring<kColumns>& at) {
  constexpr int kANext = 2;
  constexpr int kBNext = kDepthRows ? 128 : 2;   // a descriptor's next 16 depths
  const int thread = int(threadIdx.x) % 128;
  const int deep = ceil_div(args.depth, kTileDepth);
  const int low = ceil_div(args.rank, kTileDepth);
  auto hand_back = [&](int stage) {
    if (kCluster == 1) {
      if (thread == 0)
        mbar_arrive(&empty[stage]);
    } else if (thread < kCluster) {
      mbar_arrive_at(&empty[stage], thread);
    }
  };
  int previous = 0;
#pragma unroll 1
  for (int step = 0; step < deep + low; ++step, at.next()) {
    mbar_wait(&full[at.index], at.parity);
    const unsigned char* stage = shared + at.index * at.kStage;
    const uint64_t a = wgmma_descriptor(stage + half * kBlock);
    const uint64_t b =
        kDepthRows ? wgmma_descriptor_depth_rows(stage + kXTile, kBlock) : wgmma_descriptor(stage + kXTile);
    const int left = step < deep ? kTileDepth : args.rank - (step - deep) * kTileDepth;
    wgmma_fence(d);
    if (left > kTileDepth - 16) {   // without a branch in it, the four run back to back
#pragma unroll
      for (int k = 0; k < kTileDepth / 16; ++k)
        wgmma_k16<kDepthRows>(d, a + kANext * k, b + kBNext * k, k > 0 || step > 0);
      wgmma_commit();
    } else {   // a low rank does not pay for 64 depths
#pragma unroll 1
      for (int k = 0; 16 * k < left; ++k)
        wgmma_k16<kDepthRows>(d, a + kANext * k, b + kBNext * k, 1);
      wgmma_commit();
    }
    wgmma_wait<1>();   // the step before this one is done
    if (step > 0)
      hand_back(previous);
    previous = at.index;
  }
  wgmma_wait<0>();
  hand_back(previous);
}

// y = d + bias + old y, 64 columns at a time: registers, stmatrix, TMA. While a chunk is written, the one before it is
// being stored. The chunks of all tiles, of which this one's first is `chunk`, take turns in two buffers and in the
// barriers of old y.
template <int kSums, class Args>
__device__ __forceinline__ void store(
    const float (&d)[kSums], const Args& args, unsigned char* out, uint64_t* old, int chunk, int half, int m, int n0) {
  const int lane = lane_id();
  const int warp = int(threadIdx.x) / 32 % 4;
  const bool elected = threadIdx.x % 128 == 0;
  const bf16* bias = static_cast<const bf16*>(args.bias);
  constexpr int kChunks = kSums / 32;
  const int turn = kChunks % 2 == 0 ? 0 : chunk % 2;
#pragma unroll
  for (int c = 0; c < kChunks; ++c) {
    unsigned char* buffer = out + (turn + c) % 2 * kBlock;
    if (args.accumulate)
      mbar_wait(&old[(turn + c) % 2], (chunk + c) / 2 & 1);
#pragma unroll
    for (int p = 0; p < 4; ++p) {   // 16 columns: the four 8 x 8 matrices of a warp's 16 rows
      auto row_of_lane = [&](int l) { return buffer + swizzle128((warp * 16 + l % 16) * 128 + p * 32 + l / 16 * 16); };
      uint32_t r[4];
      uint32_t before[4] = {};
      if (args.accumulate)
        ldmatrix_x4(before, row_of_lane);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int j = 8 * c + 2 * p + i / 2;
        const int n = n0 + 8 * j + lane % 4 * 2;
        float v0 = d[4 * j + 2 * (i % 2)];
        float v1 = d[4 * j + 2 * (i % 2) + 1];
        if (bias != nullptr && n < args.columns) {
          v0 += to_float(bias[n]);
          v1 += to_float(bias[n + 1]);
        }
        if (args.accumulate) {
          v0 += bf16_low(before[i]);
          v1 += bf16_high(before[i]);
        }
        r[i] = bf16_pair(v0, v1);
      }
      stmatrix_x4(r, row_of_lane);
    }
    fence_proxy_async();
    if (elected) {
      bulk_wait_read<0>();   // the chunk before this one has left its buffer, which is the next one's
      if (args.accumulate && c > 0 && c + 1 < kChunks) {
        mbar_arrive_expect_tx(&old[(c + 1) % 2], kBlock);
        tma_load_2d(out + (c + 1) % 2 * kBlock, &args.y, &old[(c + 1) % 2], n0 + 64 * (c + 1), m);
      }
    }
    __syncwarp();
    bar_sync(1 + half, 128);
    if (elected) {
      if (m < args.rows && n0 + 64 * c < args.columns)
        tma_store_2d(&args.y, buffer, n0 + 64 * c, m);
      bulk_commit();
    }
    __syncwarp();
  }
}

template <bool kDepthRows, int kColumns, int kCluster, class Args>
__device__ __forceinline__ void consume(
    const Args& args, unsigned char* shared, uint64_t* full, uint64_t* empty, uint64_t* olds, int rank) {
  const Tiles<kColumns, kCluster> tiles(args);
  const int half = __shfl_sync(~0u, int(threadIdx.x) / 128 - 1, 0);   // the compiler sees that a warp agrees on it
  const bool elected = threadIdx.x % 128 == 0;
  unsigned char* out = shared + kRing + half * 2 * kBlock;
  uint64_t* old = olds + 2 * half;
  float d[kColumns / 2];
#pragma unroll
  for (int i = 0; i < kColumns / 2; ++i)
    d[i] = 0;
  Ring<kColumns> at;
  constexpr int kChunks = kColumns / 64;
  int chunk = 0;
  for (int t = int(blockIdx.x) / kCluster; t < tiles.rows * tiles.columns; t += int(gridDim.x) / kCluster) {
    int m0, n0;
    tiles.place(t, rank, m0, n0);
    if (args.accumulate && elected) {   // the first two chunks of old y arrive behind the products
      bulk_wait_read<0>();
#pragma unroll
      for (int c = 0; c < min(2, kChunks); ++c) {
        const int at = (chunk + c) % 2;
        mbar_arrive_expect_tx(&old[at], kBlock);
        tma_load_2d(out + at * kBlock, &args.y, &old[at], n0 + 64 * c, m0 + 64 * half);
      }
    }
    __syncwarp();
    multiply<kDepthRows, kColumns, kCluster>(d, args, shared, full, empty, half, at);
    store(d, args, out, old, chunk, half, m0 + 64 * half, n0);
    chunk += kChunks;
  }
  if (elected)
    bulk_wait_read<0>();   // the block's shared memory lives as long as its stores read it
}

// The whole block. `produce(full, empty, rank)` is what the first warpgroup does: it fills the stages of the block's
// tiles, waits for `empty` before and arrives kFull times at `full` of each. Registers are those of a thread that fills
// and of one that multiplies.
template <
    bool kDepthRows, int kColumns, int kCluster, int kFull, int kFillRegisters, int kMultiplyRegisters, class Args,
    class F>
__device__ __forceinline__ void hopper_product(const Args& args, unsigned char* shared, F produce) {
  constexpr int kStages = Ring<kColumns>::kStages;
  uint64_t* full = reinterpret_cast<uint64_t*>(shared + kBarriers);
  uint64_t* empty = full + kStages;
  uint64_t* olds = empty + kStages;
  const int rank = kCluster == 1 ? 0 : int(cluster_rank());
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      mbar_init(&full[i], kFull);
      mbar_init(&empty[i], 2 * kCluster);   // from each consumer of each block that reads what this block loads
    }
    for (int i = 0; i < 4; ++i)
      mbar_init(&olds[i], 1);
    mbar_init_fence();
  }
  if (kCluster > 1) {   // the cluster's barrier is one of its blocks' too
    cluster_arrive();
    cluster_wait();
  } else {
    __syncthreads();
  }

  if (threadIdx.x < 128) {
    setmaxnreg_dec<kFillRegisters>();
    produce(full, empty, rank);
    __syncwarp();
  } else {
    setmaxnreg_inc<kMultiplyRegisters>();
    consume<kDepthRows, kColumns, kCluster>(args, shared, full, empty, olds, rank);
    __syncwarp();
  }
  if (kCluster > 1) {
    cluster_arrive();
    cluster_wait();   // the other block may still copy into this one, or arrive at its barriers
  }
}
