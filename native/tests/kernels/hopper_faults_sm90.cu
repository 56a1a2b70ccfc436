// A bulk store through stmatrix, and a product whose B is multicast to the two blocks of a cluster, each right and with
// one line wrong.
#include "spectral.cuh"

struct StoreArgs {
  TensorMap y;
  int tiles;
};
SPECTRAL_LAYOUT(StoreArgs, y, tiles)
struct PairArgs {
  TensorMap x, w;
  float* y;
  int steps;
};
SPECTRAL_LAYOUT(PairArgs, x, w, y, steps)

namespace {
constexpr int kTile = 64 * 128;

// Tile s of y, 64 columns each, holds 1 + s + row + column. 1 forgets the fence, 2 has one thread fence for all, 3
// fences after the barrier, 4 does not wait before it writes the buffer again, 5 leaves without waiting, 6 writes
// unswizzled, 7 loads over the buffer.
template <int kFault>
__device__ __forceinline__ void store(const StoreArgs& args) {
  DYNAMIC_SHARED(shared);
  const int lane = lane_id();
  const int warp = threadIdx.x / 32;
  uint64_t* barrier = reinterpret_cast<uint64_t*>(shared + kTile);
  if (threadIdx.x == 0) {
    mbar_init(barrier, 1);
    mbar_init_fence();
  }
  for (int s = 0; s < args.tiles; ++s) {
    if (threadIdx.x == 0 && kFault != 4)
      bulk_wait_read<0>();
    __syncthreads();
    for (int p = 0; p < 4; ++p) {
      uint32_t r[4];
      for (int i = 0; i < 4; ++i) {
        const int row = warp * 16 + lane / 4 + i % 2 * 8;
        const int column = p * 16 + i / 2 * 8 + lane % 4 * 2;
        const int v = 1 + s + row + column;
        r[i] = uint32_t(__float_as_uint(float(v)) >> 16 | (__float_as_uint(float(v + 1)) & 0xffff0000u));
      }
      stmatrix_x4(r, [&](int l) {
        const uint32_t offset = (warp * 16 + l % 16) * 128 + p * 32 + l / 16 * 16;
        return shared + (kFault == 6 ? offset : swizzle128(offset));
      });
    }
    if (kFault == 2 ? threadIdx.x == 0 : kFault != 1 && kFault != 3)
      fence_proxy_async();
    __syncthreads();
    if (kFault == 3)
      fence_proxy_async();
    if (threadIdx.x == 0) {
      tma_store_2d(&args.y, shared, 64 * s, 0);
      bulk_commit();
      if (kFault == 7)
        tma_load_2d(shared, &args.y, barrier, 0, 0);
    }
  }
  if (threadIdx.x == 0 && kFault != 5)
    bulk_wait_read<0>();
}

// y[128 rank + 64 r ..., 128 columns] = x w^T over `steps` slices of 64: each block has 64 rows of x of its own and
// loads half of w's 128 rows for both. 1 multicasts to itself only, 2 to a third block, 3 leaves out the barrier before
// the first copy, 4 the one at the end, 5 hands stages back to itself only, 6 waits for the wrong parity, 7 announces
// only its own half, 8 arrives twice at the cluster barrier, 9 waits there without arriving, 10 has its mbarriers in a
// __shared__ variable, 11 omits wgmma.fence, 12 uses a base offset, 13 the leading offset of the other
// layout, 14 does not fence what it has initialised, 15 changes its sums after the products of its only fence, 16 sets
// a bit of a descriptor that must be zero, 17 expects more bytes than an mbarrier counts, 18 prefetches what is no
// tensor map.
template <int kFault>
__device__ __forceinline__ void pair(const PairArgs& args) {
  DYNAMIC_SHARED(shared);
  __shared__ uint64_t elsewhere[4];
  constexpr int kStages = 2;
  constexpr int kStage = 3 * kTile;
  uint64_t* full = kFault == 10 ? elsewhere : reinterpret_cast<uint64_t*>(shared + kStages * kStage);
  uint64_t* empty = full + kStages;
  const int rank = int(cluster_rank());
  if (threadIdx.x == 0)
    for (int i = 0; i < kStages; ++i) {
      mbar_init(&full[i], 1);
      mbar_init(&empty[i], 2);
    }
  if (kFault != 14)
    mbar_init_fence();
  if (kFault == 18)
    tensor_map_prefetch(reinterpret_cast<const TensorMap*>(shared));
  __syncthreads();
  if (kFault != 3) {
    if (kFault != 9)
      cluster_arrive();
    if (kFault == 8)
      cluster_arrive();
    cluster_wait();
  }
  constexpr int kExpected = kFault == 7 ? 2 * kTile : 3 * kTile;
  constexpr int kBytes = kFault == 17 ? 1 << 20 : kExpected;
  float d[64] = {};
  if (threadIdx.x >= 128) {
    if (threadIdx.x == 128)
      for (int s = 0; s < args.steps; ++s) {
        const int i = s % kStages;
        unsigned char* stage = shared + i * kStage;
        mbar_wait(&empty[i], (s / kStages & 1) ^ (kFault == 6 ? 0 : 1));
        mbar_arrive_expect_tx(&full[i], kBytes);
        tma_load_2d(stage, &args.x, &full[i], 64 * s, 64 * rank);
        unsigned blocks = 3;   // a bit for each
        if (kFault == 1)
          blocks = 1 << rank;
        if (kFault == 2)
          blocks = 7;
        tma_load_2d_multicast(stage + (1 + rank) * kTile, &args.w, &full[i], 64 * s, 64 * rank, blocks);
      }
  } else {
    for (int s = 0; s < args.steps; ++s) {
      const int i = s % kStages;
      mbar_wait(&full[i], s / kStages & 1);
      uint64_t a = wgmma_descriptor(shared + i * kStage);
      uint64_t b = wgmma_descriptor(shared + i * kStage + kTile);
      if (kFault == 12)
        b |= uint64_t(1) << 49;
      if (kFault == 16)
        b |= uint64_t(1) << 46;
      if (kFault != 11 && (kFault != 15 || s == 0))
        wgmma_fence(d);
      for (int k = 0; k < 4; ++k)
        wgmma_m64n128k16<kFault == 13>(d, a + 2 * k, b + 2 * k, 1);
      wgmma_commit();
      wgmma_wait<0>();
      if (kFault == 15)
        d[0] += 1.0f;
      if (threadIdx.x < 2)
        mbar_arrive_at(&empty[i], kFault == 5 ? rank : threadIdx.x);
    }
    const int row = 64 * rank + threadIdx.x / 32 * 16 + lane_id() / 4;
    for (int i = 0; i < 64; ++i)
      args.y[(row + i / 2 % 2 * 8) * 128 + i / 4 * 8 + lane_id() % 4 * 2 + i % 2] = d[i];
  }
  if (kFault == 4)
    return;
  cluster_arrive();
  cluster_wait();
}
}   // namespace

#define STORE(fault) \
  SPECTRAL_KERNEL_CLUSTER(store_sm90_fault##fault, StoreArgs, 128, 1) { store<fault>(args); }
#define PAIR(fault) \
  SPECTRAL_KERNEL_CLUSTER(pair_sm90_fault##fault, PairArgs, 256, 2) { pair<fault>(args); }
STORE(0)
STORE(1)
STORE(2)
STORE(3)
STORE(4)
STORE(5)
STORE(6)
STORE(7)
PAIR(0)
PAIR(1)
PAIR(2)
PAIR(3)
PAIR(4)
PAIR(5)
PAIR(6)
PAIR(7)
PAIR(8)
PAIR(9)
PAIR(10)
PAIR(11)
PAIR(12)
PAIR(13)
PAIR(14)
PAIR(15)
PAIR(16)
PAIR(17)
PAIR(18)

struct StaticArgs {
  int* out;
};
SPECTRAL_LAYOUT(StaticArgs, out)
SPECTRAL_KERNEL_CLUSTER(fault_static_in_cluster, StaticArgs, 32, 2) {
  __shared__ int mine;
  if (threadIdx.x == 0)
    mine = int(cluster_rank());
  __syncthreads();
  args.out[blockIdx.x] = mine;
}
// A cluster of as many threads as there can be: each waits for all of them, twice.
SPECTRAL_KERNEL_CLUSTER(cluster_of_8192, StaticArgs, 1024, 8) {
  DYNAMIC_SHARED(shared);
  int* sum = reinterpret_cast<int*>(shared);
  if (threadIdx.x == 0)
    *sum = 0;
  cluster_arrive();
  cluster_wait();
  atomicAdd(sum, 1);
  cluster_arrive();
  cluster_wait();
  if (threadIdx.x == 0)
    args.out[blockIdx.x] = *sum;
}
// Which blocks make a cluster, and that all of them run together.
SPECTRAL_KERNEL_CLUSTER(cluster_ranks, StaticArgs, 32, 4) {
  cluster_arrive();
  cluster_wait();
  if (threadIdx.x == 0)
    args.out[(blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x] = int(cluster_rank());
}
