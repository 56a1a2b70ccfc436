// What GPUs may let pass in kernels of Hopper, each right (0) and wrong: plain stores and copies of single threads that
// the asynchronous proxy reads or overwrites, sums of wgmma before the wait, mbarriers.
#include "spectral.cuh"

struct TileArgs {
  TensorMap y;
  const void* source;   // [64, 64] of 16 bits
};
SPECTRAL_LAYOUT(TileArgs, y, source)
struct SumArgs {
  float* sums;   // [128 threads, 64]
};
SPECTRAL_LAYOUT(SumArgs, sums)

namespace {
constexpr int kTile = 64 * 128;

__device__ __forceinline__ void write_tile(unsigned char* tile, uint32_t value) {
  for (uint32_t i = threadIdx.x; i < kTile / 4; i += 128)
    *reinterpret_cast<uint32_t*>(tile + swizzle128(4 * i)) = value + i;
}

// Word i of the tile is stored as i. 1: nobody fences, 2: one warp does, 3: after the barrier, 4: a load goes over
// words that nobody has fenced, 5: words are written again while the store may still read them.
template <int kFault>
__device__ __forceinline__ void store_tile(const TileArgs& args) {
  DYNAMIC_SHARED(shared);
  uint64_t* barrier = reinterpret_cast<uint64_t*>(shared + kTile);
  if (threadIdx.x == 0) {
    mbar_init(barrier, 1);
    mbar_init_fence();
  }
  write_tile(shared, 0);
  if (kFault == 0 || kFault == 5 || (kFault == 2 && threadIdx.x < 32))
    fence_proxy_async();
  __syncthreads();
  if (kFault == 3)
    fence_proxy_async();
  if (threadIdx.x == 0 && kFault == 4) {
    mbar_arrive_expect_tx(barrier, kTile);
    tma_load_2d(shared, &args.y, barrier, 0, 0);
    mbar_wait(barrier, 0);
  } else if (threadIdx.x == 0) {
    tma_store_2d(&args.y, shared, 0, 0);
    bulk_commit();
  }
  if (kFault == 5) {
    __syncthreads();
    write_tile(shared, 1);
    __syncthreads();
  }
  if (threadIdx.x == 0)
    bulk_wait_read<0>();
}

// The tile comes from `source` by copies of single threads, which are no part of the asynchronous proxy. 1: no fence.
template <int kFault>
__device__ __forceinline__ void store_copied(const TileArgs& args) {
  DYNAMIC_SHARED(shared);
  for (uint32_t at = threadIdx.x * 16; at < kTile; at += 128 * 16)
    cp_async16(shared + swizzle128(at), static_cast<const char*>(args.source) + at);
  cp_async_commit();
  cp_async_wait<0>();
  if (kFault == 0)
    fence_proxy_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    tma_store_2d(&args.y, shared, 0, 0);
    bulk_commit();
    bulk_wait_read<0>();
  }
}

// A product of ones by plain stores: 16 in each sum. 1: no fence of the proxy, 2: reads a sum before the wait,
// 3: writes one, 4: a sum of a group under way is read where only the group before it is waited for, 5: the same sums
// go on in a product of another shape.
template <int kFault>
__device__ __forceinline__ void product(const SumArgs& args) {
  DYNAMIC_SHARED(shared);
  constexpr uint32_t kOnes = 0x3f803f80;
  for (uint32_t i = threadIdx.x; i < 3 * kTile / 4; i += 128)
    reinterpret_cast<uint32_t*>(shared)[i] = kOnes;
  if (kFault != 1)
    fence_proxy_async();
  __syncthreads();
  const uint64_t a = wgmma_descriptor(shared);
  const uint64_t b = wgmma_descriptor(shared + kTile);
  float both[128] = {};
  float(&d)[64] = *reinterpret_cast<float(*)[64]>(both);
  float early = 0;
  wgmma_fence(d);
  wgmma_m64n128k16<0>(d, a, b, 1);
  if (kFault == 3)
    d[5] = 1;
  wgmma_commit();
  if (kFault == 2)
    early = d[5] * 0;
  if (kFault == 4) {
    wgmma_m64n128k16<0>(d, a, b, 0);
    wgmma_commit();
    wgmma_wait<1>();
    early = d[5] * 0;
  }
  if (kFault == 5)
    wgmma_m64n256k16<0>(both, a, b, 1);
  wgmma_wait<0>();
  for (int i = 0; i < 64; ++i)
    args.sums[threadIdx.x * 64 + i] = d[i] + early;
}

// Thread 0 waits for a phase. 1: the next one completes as well before it goes on.
template <int kFault>
__device__ __forceinline__ void phases() {
  DYNAMIC_SHARED(shared);
  uint64_t* barrier = reinterpret_cast<uint64_t*>(shared);
  if (threadIdx.x == 0)
    mbar_init(barrier, 1);
  __syncthreads();
  if (threadIdx.x == 0)
    mbar_wait(barrier, 0);
  else if (threadIdx.x == 32)
    for (int i = 0; i <= kFault; ++i)
      mbar_arrive(barrier);
}

// Each block arrives at the other one's mbarrier. 1: which has not been fenced.
template <int kFault>
__device__ __forceinline__ void remote() {
  DYNAMIC_SHARED(shared);
  uint64_t* barrier = reinterpret_cast<uint64_t*>(shared);
  if (threadIdx.x == 0) {
    mbar_init(barrier, 1);
    if (kFault == 0)
      mbar_init_fence();
  }
  cluster_arrive();
  cluster_wait();
  if (threadIdx.x == 0) {
    mbar_arrive_at(barrier, cluster_rank() ^ 1);
    mbar_wait(barrier, 0);
  }
  cluster_arrive();
  cluster_wait();
}

// Half of a warp takes an instruction that all of it must take: 1: stmatrix, 2: setmaxnreg.
template <int kFault>
__device__ __forceinline__ void half() {
  DYNAMIC_SHARED(shared);
  const uint32_t r[4] = {};
  if (threadIdx.x < 16 || kFault != 1)
    stmatrix_x4(r, [&](int l) { return shared + 16 * l; });
  if (threadIdx.x < 16 || kFault != 2)
    setmaxnreg_dec<40>();
  __syncwarp();
}
}   // namespace

#define KERNEL(name, Args, threads, blocks, body) \
  SPECTRAL_KERNEL_CLUSTER(name, Args, threads, blocks) { body; }
KERNEL(strict_store_0, TileArgs, 128, 1, store_tile<0>(args))
KERNEL(strict_store_1, TileArgs, 128, 1, store_tile<1>(args))
KERNEL(strict_store_2, TileArgs, 128, 1, store_tile<2>(args))
KERNEL(strict_store_3, TileArgs, 128, 1, store_tile<3>(args))
KERNEL(strict_store_4, TileArgs, 128, 1, store_tile<4>(args))
KERNEL(strict_store_5, TileArgs, 128, 1, store_tile<5>(args))
KERNEL(strict_copied_0, TileArgs, 128, 1, store_copied<0>(args))
KERNEL(strict_copied_1, TileArgs, 128, 1, store_copied<1>(args))
KERNEL(strict_product_0, SumArgs, 128, 1, product<0>(args))
KERNEL(strict_product_1, SumArgs, 128, 1, product<1>(args))
KERNEL(strict_product_2, SumArgs, 128, 1, product<2>(args))
KERNEL(strict_product_3, SumArgs, 128, 1, product<3>(args))
KERNEL(strict_product_4, SumArgs, 128, 1, product<4>(args))
KERNEL(strict_product_5, SumArgs, 128, 1, product<5>(args))
KERNEL(strict_phases_0, SumArgs, 64, 1, phases<0>())
KERNEL(strict_phases_1, SumArgs, 64, 1, phases<1>())
KERNEL(strict_remote_0, SumArgs, 32, 2, remote<0>())
KERNEL(strict_remote_1, SumArgs, 32, 2, remote<1>())
KERNEL(strict_half_0, SumArgs, 32, 1, half<0>())
KERNEL(strict_half_1, SumArgs, 32, 1, half<1>())
KERNEL(strict_half_2, SumArgs, 32, 1, half<2>())
