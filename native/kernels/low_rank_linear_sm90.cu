// Two-source matrix product for Hopper: the frozen product and the low-rank one in one accumulator, by TMA and wgmma.
//
// Formula        forward:         y[t,n] = sum_k x[t,k] W[n,k] + sum_i z[t,i] L[n,i] + bias[n]
//                input gradient:  y[t,k] = sum_n x[t,n] W[n,k] + sum_i z[t,i] L[i,k]     (x = dy, z = s g c, L = R)
//                accumulate adds what y held before.
// Shapes         x [rows, depth]; z [rows, rank]; y [rows, columns]; bias [columns] or null
//                forward W [columns, depth], L [columns, rank]; input gradient W [depth, columns], L [rank, columns]
// Layout         row-major behind tensor maps (128-byte swizzle): rows may be further apart than they are wide. 16-byte
//                aligned addresses and strides, depth, rank and columns multiples of 8; tails are TMA's zeros and
//                clipping. Boxes of columns x rows: x and z 64 x 128; W and L 64 x 128 forward, 64 x 64 for the input
//                gradient; y 64 x 64.
// Types          BF16; z already carries the middle diagonal and the scale
// Accumulation   F32 in one chain over depth, then over rank; bias and old y join in F32; one rounding
// Grid/Block     persistent: at most one block of 384 threads per SM, a multiple of the cluster; grid x only. One
//                warpgroup loads, two multiply 64 x 256 halves of a 128 x 256 tile. The two blocks of a cluster have
//                neighbouring tile rows and share W: each loads half of it for both (_single: clusters of one, for a
//                single tile row). Tiles go in groups of 2,048 rows, so that a wave's part of x and W stays in L2.
//                Dynamic shared memory 229,632 bytes: 4 stages of 48 KB, 32 KB of y.
// Bytes          2 (rows depth + columns depth + rows columns) + 2 rank (rows + columns)
// Flops          2 rows columns (depth + rank)
// Deterministic  yes
#include "spectral.cuh"

struct LowRankLinearHopperArgs {
  TensorMap x;   // x, or dy, [rows, depth] BF16, in boxes of 128 rows x 64 columns
  // W, BF16: [columns, depth] in boxes of 128 x 64 forward, [depth, columns] in boxes of 64 x 64 for the input
  // gradient
  TensorMap weight;
  // the low-rank activations, scaled and times the middle diagonal, [rows, rank] BF16, in boxes of 128 x 64
  TensorMap z;
  // the outer factor, BF16: L [columns, rank] in boxes of 128 x 64 forward, R [rank, columns] in boxes of 64 x 64 for
  // the input gradient
  TensorMap factor;
  TensorMap y;        // y, or dx, [rows, columns] BF16, in boxes of 64 x 64; written
  const void* bias;   // bias [columns] BF16; null: none
  int rows;           // rows of x and y (tokens)
  int columns;        // columns of y, a multiple of 8
  int depth;          // columns of x, the length of the frozen product's sums, a multiple of 8
  int rank;           // columns of z, the length of the low-rank product's sums, a multiple of 8
  int accumulate;     // 1: add to what y holds; 0: overwrite
};
SPECTRAL_LAYOUT(LowRankLinearHopperArgs, x, weight, z, factor, y, bias, rows, columns, depth, rank, accumulate)

namespace {
constexpr int kTileRows = 128;
constexpr int kTileColumns = 256;
constexpr int kTileDepth = 64;
constexpr int kStages = 4;
constexpr int kGroupRows = 2048;
constexpr int kBlock = 64 * 64 * 2;   // bytes of a 64 x 64 tile, the unit of everything below
constexpr int kXTile = 2 * kBlock;
constexpr int kStage = kXTile + 4 * kBlock;   // a stage: 128 rows of x, then 256 columns of W
constexpr int kOut = kStages * kStage;
constexpr int kBarriers = kOut + 4 * kBlock;
constexpr int kShared = kBarriers + 256;     // dynamic: stages, y, barriers
constexpr int kChunks = kTileColumns / 64;   // y leaves in chunks of 64 columns, through two buffers per consumer

// Bytes of a stage, its barriers and the parity of its current round; producer and consumers walk alike.
struct Stage {
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
template <int kCluster>
struct Tiles {
  static constexpr int kGroup = kGroupRows / (kTileRows * kCluster);
  int rows, columns;
  __device__ __forceinline__ Tiles(const LowRankLinearHopperArgs& args)
      : rows(ceil_div(args.rows, kTileRows * kCluster)), columns(ceil_div(args.columns, kTileColumns)) {}
  __device__ __forceinline__ void place(int t, int rank, int& m0, int& n0) const {
    const int first = t / (kGroup * columns) * kGroup;
    const int in_group = t % (kGroup * columns);
    const int height = min(kGroup, rows - first);
    m0 = ((first + in_group % height) * kCluster + rank) * kTileRows;
    n0 = in_group / height * kTileColumns;
  }
};

// Fills stages: 16 KB of x (or z) for this block and 32 KB of W (or L), of which each block of a pair loads half for
// both.
template <bool kDepthRows, int kCluster>
__device__ __forceinline__ void produce(
    const LowRankLinearHopperArgs& args, unsigned char* shared, uint64_t* full, uint64_t* empty, int rank) {
  constexpr int kPart = kDepthRows ? 1 : 2;
  constexpr int kParts = 4 / kPart / kCluster;   // loads of kPart blocks of 64 columns
  const Tiles<kCluster> tiles(args);
  const int deep = ceil_div(args.depth, kTileDepth);
  const int low = ceil_div(args.rank, kTileDepth);
  Stage at;
  for (int t = int(blockIdx.x) / kCluster; t < tiles.rows * tiles.columns; t += int(gridDim.x) / kCluster) {
    int m0, n0;
    tiles.place(t, rank, m0, n0);
#pragma unroll 1
    for (int step = 0; step < deep + low; ++step, at.next()) {
      const bool base = step < deep;   // first the frozen operands, then the low-rank ones
      const int k0 = (base ? step : step - deep) * kTileDepth;
      unsigned char* stage = shared + at.index * kStage;
      uint64_t* bar = &full[at.index];
      mbar_wait(&empty[at.index], at.parity ^ 1);
      mbar_arrive_expect_tx(bar, kStage);
      tma_load_2d(stage, base ? &args.x : &args.z, bar, k0, m0);
      const TensorMap* right = base ? &args.weight : &args.factor;
#pragma unroll
      for (int i = 0; i < kParts; ++i) {
        const int part = (rank * kParts + i) * kPart;
        const int n = n0 + 64 * part;
        if (kCluster == 1)
          tma_load_2d(stage + kXTile + part * kBlock, right, bar, kDepthRows ? n : k0, kDepthRows ? k0 : n);
        else
          tma_load_2d_multicast(
              stage + kXTile + part * kBlock, right, bar, kDepthRows ? n : k0, kDepthRows ? k0 : n, 3);
      }
    }
  }
}

// d = the 64 x 256 half `half` of a tile. A stage that has been read is handed back to the producers of all blocks that
// write it; one thread arrives at each.
template <bool kDepthRows, int kCluster>
__device__ __forceinline__ void multiply(
    float (&d)[128], const LowRankLinearHopperArgs& args, const unsigned char* shared, uint64_t* full, uint64_t* empty,
    int half, Stage& at) {
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
    const unsigned char* stage = shared + at.index * kStage;
    const uint64_t a = wgmma_descriptor(stage + half * kBlock);
    const uint64_t b =
        kDepthRows ? wgmma_descriptor_depth_rows(stage + kXTile, kBlock) : wgmma_descriptor(stage + kXTile);
    const int left = step < deep ? kTileDepth : args.rank - (step - deep) * kTileDepth;
    wgmma_fence(d);
    if (left > kTileDepth - 16) {   // without a branch in it, the four run back to back
#pragma unroll
      for (int k = 0; k < kTileDepth / 16; ++k)
        wgmma_m64n256k16<kDepthRows>(d, a + kANext * k, b + kBNext * k, k > 0 || step > 0);
      wgmma_commit();
    } else {   // a low rank does not pay for 64 depths
#pragma unroll 1
      for (int k = 0; 16 * k < left; ++k)
        wgmma_m64n256k16<kDepthRows>(d, a + kANext * k, b + kBNext * k, 1);
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
// being stored.
__device__ __forceinline__ void store(
    const float (&d)[128], const LowRankLinearHopperArgs& args, unsigned char* out, uint64_t* old, int half, int m,
    int n0) {
  const int lane = lane_id();
  const int warp = int(threadIdx.x) / 32 % 4;
  const bool elected = threadIdx.x % 128 == 0;
  const bf16* bias = static_cast<const bf16*>(args.bias);
#pragma unroll
  for (int c = 0; c < kChunks; ++c) {
    unsigned char* buffer = out + c % 2 * kBlock;
    if (args.accumulate)
      mbar_wait(&old[c % 2], c / 2);
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

template <bool kDepthRows, int kCluster>
__device__ __forceinline__ void consume(
    const LowRankLinearHopperArgs& args, unsigned char* shared, uint64_t* full, uint64_t* empty, uint64_t* olds,
    int rank) {
  const Tiles<kCluster> tiles(args);
  const int half = __shfl_sync(~0u, int(threadIdx.x) / 128 - 1, 0);   // the compiler sees that a warp agrees on it
  const bool elected = threadIdx.x % 128 == 0;
  unsigned char* out = shared + kOut + half * 2 * kBlock;
  uint64_t* old = olds + 2 * half;
  float d[128];
#pragma unroll
  for (int i = 0; i < 128; ++i)
    d[i] = 0;
  Stage at;
  for (int t = int(blockIdx.x) / kCluster; t < tiles.rows * tiles.columns; t += int(gridDim.x) / kCluster) {
    int m0, n0;
    tiles.place(t, rank, m0, n0);
    if (args.accumulate && elected) {   // the first two chunks of old y arrive behind the products
      bulk_wait_read<0>();
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        mbar_arrive_expect_tx(&old[c], kBlock);
        tma_load_2d(out + c * kBlock, &args.y, &old[c], n0 + 64 * c, m0 + 64 * half);
      }
    }
    __syncwarp();
    multiply<kDepthRows, kCluster>(d, args, shared, full, empty, half, at);
    store(d, args, out, old, half, m0 + 64 * half, n0);
  }
  if (elected)
    bulk_wait_read<0>();   // the block's shared memory lives as long as its stores read it
}

template <bool kDepthRows, int kCluster>
__device__ __forceinline__ void low_rank_linear_hopper(const LowRankLinearHopperArgs& args) {
  DYNAMIC_SHARED(shared);
  uint64_t* full = reinterpret_cast<uint64_t*>(shared + kBarriers);
  uint64_t* empty = full + kStages;
  uint64_t* olds = empty + kStages;
  const int rank = kCluster == 1 ? 0 : int(cluster_rank());
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      mbar_init(&full[i], 1);
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
    setmaxnreg_dec<40>();
    if (threadIdx.x == 0)
      produce<kDepthRows, kCluster>(args, shared, full, empty, rank);
    __syncwarp();
  } else {
    setmaxnreg_inc<232>();
    consume<kDepthRows, kCluster>(args, shared, full, empty, olds, rank);
    __syncwarp();
  }
  if (kCluster > 1) {
    cluster_arrive();
    cluster_wait();   // the other block may still copy into this one, or arrive at its barriers
  }
}
}   // namespace

SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_forward_bf16, LowRankLinearHopperArgs, 384, 2) {
  low_rank_linear_hopper<false, 2>(args);
}
SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_forward_single_bf16, LowRankLinearHopperArgs, 384, 1) {
  low_rank_linear_hopper<false, 1>(args);
}
SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_input_gradient_bf16, LowRankLinearHopperArgs, 384, 2) {
  low_rank_linear_hopper<true, 2>(args);
}
SPECTRAL_KERNEL_CLUSTER(low_rank_linear_hopper_input_gradient_single_bf16, LowRankLinearHopperArgs, 384, 1) {
  low_rank_linear_hopper<true, 1>(args);
}

SPECTRAL_SHARED(low_rank_linear_hopper_forward_bf16, kShared)
SPECTRAL_SHARED(low_rank_linear_hopper_forward_single_bf16, kShared)
SPECTRAL_SHARED(low_rank_linear_hopper_input_gradient_bf16, kShared)
SPECTRAL_SHARED(low_rank_linear_hopper_input_gradient_single_bf16, kShared)
