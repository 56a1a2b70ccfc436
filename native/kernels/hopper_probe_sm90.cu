// Hopper's layouts, one instruction at a time: each kernel does one thing to integers and dumps what came of it, so
// that a first run on a GPU says at once which swizzle, descriptor or fragment bit differs from the CPU device's
// (and from the formula).
//
// Formula        load        out = the 8,192 bytes that TMA lays down for the box of a at column x, row y
//                stmatrix    out = the 8,192 bytes of a 64 x 64 tile;
//                            word i of thread t of register pair p holds t * 64 + ...
//                store       the box of a at column x, row y = what a 64 x 64 tile holds at offset o: bf16 bits
//                            swizzle128(o) / 2
//                product     out[t][i] = accumulator i of thread t of A B^T (K-major) or A B (depth rows), depth 64
//                multicast   out[rank] = the 16,384 bytes of both blocks' halves, each loaded once by one block for
//                            both
// Shapes         a [>= 1, >= 8]; b [256, 64] or [64, 256]; out bytes 8,192, 8,192, none, 65,536 (F32 [128][128]),
//                2 x 16,384
// Layout         row-major behind tensor maps: BF16, boxes of 64 x 64, 128-byte swizzle
// Types          BF16 in, F32 sums
// Accumulation   F32; exact for small integers
// Grid/Block     one block of 128 threads; multicast a cluster of two. Dynamic shared memory 40,960 bytes
//                (+ 1,024 for the barrier).
// Bytes          what is dumped
// Flops          2 * 64 * 256 * 64 in product
// Deterministic  yes
#include "spectral.cuh"

struct HopperProbeArgs {
  TensorMap a;   // the matrix that is loaded or stored; A of a product
  TensorMap b;   // B of a product
  void* out;     // where the dump goes
  int x;         // the box's first column
  int y;         // the box's first row
};
SPECTRAL_LAYOUT(HopperProbeArgs, a, b, out, x, y)

namespace {
constexpr int kTile = 64 * 64 * 2;
constexpr int kBarrier = 5 * kTile;
constexpr int kProbeThreads = 128;

template <int kCluster = 1>
__device__ __forceinline__ uint64_t* probe_barrier(unsigned char* shared) {
  uint64_t* barrier = reinterpret_cast<uint64_t*>(shared + kBarrier);
  if (threadIdx.x == 0) {
    mbar_init(barrier, 1);
    mbar_init_fence();
  }
  if (kCluster > 1) {   // the cluster's barrier is one of its blocks' too
    cluster_arrive();
    cluster_wait();
  } else {
    __syncthreads();
  }
  return barrier;
}
__device__ __forceinline__ void dump(const unsigned char* shared, void* out, int bytes) {
  for (int i = threadIdx.x; i < bytes / 16; i += kProbeThreads)
    static_cast<uint4*>(out)[i] = reinterpret_cast<const uint4*>(shared)[i];
}

template <int kBDepthRows>
__device__ __forceinline__ void product(const HopperProbeArgs& args) {
  DYNAMIC_SHARED(shared);
  uint64_t* barrier = probe_barrier(shared);
  if (threadIdx.x == 0) {
    mbar_arrive_expect_tx(barrier, 5 * kTile);
    tma_load_2d(shared, &args.a, barrier, args.x, args.y);
    for (int i = 0; i < 4; ++i)
      tma_load_2d(shared + (1 + i) * kTile, &args.b, barrier, kBDepthRows ? 64 * i : 0, kBDepthRows ? 0 : 64 * i);
  }
  mbar_wait(barrier, 0);
  const uint64_t a = wgmma_descriptor(shared);
  const uint64_t b =
      kBDepthRows ? wgmma_descriptor_depth_rows(shared + kTile, kTile) : wgmma_descriptor(shared + kTile);
  float d[128];
#pragma unroll
  for (int i = 0; i < 128; ++i)
    d[i] = 0;
  wgmma_fence(d);
#pragma unroll
  for (int k = 0; k < 4; ++k)
    wgmma_m64n256k16<kBDepthRows>(d, a + 2 * k, b + (kBDepthRows ? 128 : 2) * k, k > 0);
  wgmma_commit();
  wgmma_wait<0>();
  float* out = static_cast<float*>(args.out) + threadIdx.x * 128;
#pragma unroll
  for (int i = 0; i < 128; ++i)
    out[i] = d[i];
}
}   // namespace

SPECTRAL_KERNEL_CLUSTER(hopper_probe_load, HopperProbeArgs, 128, 1) {
  DYNAMIC_SHARED(shared);
  uint64_t* barrier = probe_barrier(shared);
  if (threadIdx.x == 0) {
    mbar_arrive_expect_tx(barrier, kTile);
    tma_load_2d(shared, &args.a, barrier, args.x, args.y);
  }
  mbar_wait(barrier, 0);
  dump(shared, args.out, kTile);
}
// Lane l's register i of 8 columns from 8p holds the pair of bf16 bit patterns 2w, 2w + 1 with w = ((warp * 4 + p) *
// 4 + i) * 32 + l.
SPECTRAL_KERNEL_CLUSTER(hopper_probe_stmatrix, HopperProbeArgs, 128, 1) {
  DYNAMIC_SHARED(shared);
  const int warp = threadIdx.x / 32;
#pragma unroll
  for (int p = 0; p < 4; ++p) {
    uint32_t r[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint32_t word = ((warp * 4 + p) * 4 + i) * 32 + lane_id();
      r[i] = 2 * word | (2 * word + 1) << 16;
    }
    stmatrix_x4(r, [&](int l) { return shared + swizzle128((warp * 16 + l % 16) * 128 + p * 32 + l / 16 * 16); });
  }
  __syncthreads();
  dump(shared, args.out, kTile);
}
SPECTRAL_KERNEL_CLUSTER(hopper_probe_store, HopperProbeArgs, 128, 1) {
  DYNAMIC_SHARED(shared);
  for (int i = threadIdx.x; i < kTile / 2; i += kProbeThreads)
    reinterpret_cast<uint16_t*>(shared)[i] = uint16_t(i);
  fence_proxy_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    tma_store_2d(&args.a, shared, args.x, args.y);
    bulk_commit();
    bulk_wait<0>();
  }
}
SPECTRAL_KERNEL_CLUSTER(hopper_probe_product, HopperProbeArgs, 128, 1) { product<0>(args); }
SPECTRAL_KERNEL_CLUSTER(hopper_probe_product_depth_rows, HopperProbeArgs, 128, 1) { product<1>(args); }
SPECTRAL_KERNEL_CLUSTER(hopper_probe_multicast, HopperProbeArgs, 128, 2) {
  DYNAMIC_SHARED(shared);
  const int rank = int(cluster_rank());
  uint64_t* barrier = probe_barrier<2>(shared);
  if (threadIdx.x == 0) {
    mbar_arrive_expect_tx(barrier, 2 * kTile);
    tma_load_2d_multicast(shared + rank * kTile, &args.a, barrier, args.x, args.y + 64 * rank, 3);
  }
  mbar_wait(barrier, 0);   // for both halves: no copy into this block is under way when it ends
  dump(shared, static_cast<unsigned char*>(args.out) + rank * 2 * kTile, 2 * kTile);
}

SPECTRAL_SHARED(hopper_probe_load, kBarrier + 1024)
SPECTRAL_SHARED(hopper_probe_stmatrix, kBarrier + 1024)
SPECTRAL_SHARED(hopper_probe_store, kBarrier + 1024)
SPECTRAL_SHARED(hopper_probe_product, kBarrier + 1024)
SPECTRAL_SHARED(hopper_probe_product_depth_rows, kBarrier + 1024)
SPECTRAL_SHARED(hopper_probe_multicast, kBarrier + 1024)
