// The same product for Hopper: TMA loads into 128-byte swizzled tiles, an mbarrier pipeline,
// one producer warp, two consumer warpgroups of wgmma m64n128k16. K and R are multiples of 8 (TMA strides).
#include "spectral.cuh"

namespace {
constexpr int kTileRows = 128;
constexpr int kTileColumns = 128;
constexpr int kTileDepth = 64;
constexpr int kStages = 4;
constexpr int kThreads = 384;
constexpr int kTile = kTileRows * kTileDepth * 2;
constexpr int kStage = 2 * kTile;
}   // namespace

struct TmaProductArgs {
  TensorMap x, w, z, q;
  float* y;
  int rows, columns, depth, rank;
};
SPECTRAL_LAYOUT(TmaProductArgs, x, w, z, q, y, rows, columns, depth, rank)

// kFault breaks one line: 1 never hands a stage back, 2 leaves out the last wgmma wait, 3 hands a stage back too early,
// 4 does not announce the bytes, 5 forgets the barrier behind mbar_init, 6 puts the tiles off their alignment.
template <int kFault>
__device__ __forceinline__ void gemm(const TmaProductArgs& args) {
  const int rows = args.rows;
  const int columns = args.columns;
  const int depth = args.depth;
  const int rank = args.rank;
  float* y = args.y;
  DYNAMIC_SHARED(dynamic);
  unsigned char* smem = dynamic + (kFault == 6 ? 512 : 0);
  __shared__ uint64_t full[kStages], empty[kStages];
  const int m0 = blockIdx.y * kTileRows;
  const int n0 = blockIdx.x * kTileColumns;
  const int nk = ceil_div(depth, kTileDepth);
  const int nr = ceil_div(rank, kTileDepth);
  const int steps = nk + nr;

  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      mbar_init(&full[i], 1);
      mbar_init(&empty[i], 8);   // one arrival per consumer warp
    }
    mbar_init_fence();
  }
  if (kFault != 5)
    __syncthreads();

  if (threadIdx.x < 128) {
    setmaxnreg_dec<40>();
    if (threadIdx.x == 0) {
      for (int s = 0; s < steps; ++s) {
        int i = s % kStages;
        unsigned char* st = smem + i * kStage;
        mbar_wait(&empty[i], (s / kStages & 1) ^ 1);
        if (kFault == 4)
          mbar_arrive(&full[i]);
        else
          mbar_arrive_expect_tx(&full[i], kStage);
        bool low = s >= nk;
        int k0 = (low ? s - nk : s) * kTileDepth;
        tma_load_2d(st, low ? &args.z : &args.x, &full[i], k0, m0);
        tma_load_2d(st + kTile, low ? &args.q : &args.w, &full[i], k0, n0);
      }
    }
  } else {
    setmaxnreg_inc<232>();
    const int wg = threadIdx.x / 128 - 1;
    const int lane = threadIdx.x % 32;
    const int warp = threadIdx.x / 32 % 4;
    float d[64] = {};
#pragma unroll 1
    for (int s = 0; s < steps; ++s) {
      int i = s % kStages;
      mbar_wait(&full[i], s / kStages & 1);
      uint64_t a = wgmma_descriptor(smem + i * kStage + wg * 64 * 128);
      uint64_t b = wgmma_descriptor(smem + i * kStage + kTile);
      wgmma_fence(d);
#pragma unroll
      for (int k = 0; k < kTileDepth / 16; ++k)
        wgmma_m64n128k16<0>(d, a + k * 2, b + k * 2, 1);   // 32 bytes = 2 units
      wgmma_commit();
      wgmma_wait<1>();   // the step before this one is done: hand its stage back
      if (kFault == 3 && lane == 0)
        mbar_arrive(&empty[i]);
      if (kFault != 1 && kFault != 3 && s > 0 && lane == 0)
        mbar_arrive(&empty[(s - 1) % kStages]);
    }
    if (kFault != 2)
      wgmma_wait<0>();
    const int row = m0 + wg * 64 + warp * 16 + lane / 4;
    const int col = n0 + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < 64; ++j) {
      int m = row + j / 2 % 2 * 8;
      int n = col + j / 4 * 8 + j % 2;
      if (m < rows && n < columns)
        y[(size_t)m * columns + n] = d[j];
    }
  }
}
SPECTRAL_KERNEL(gemm_sm90, TmaProductArgs, kThreads) { gemm<0>(args); }
SPECTRAL_KERNEL(gemm_sm90_fault1, TmaProductArgs, kThreads) { gemm<1>(args); }
SPECTRAL_KERNEL(gemm_sm90_fault2, TmaProductArgs, kThreads) { gemm<2>(args); }
SPECTRAL_KERNEL(gemm_sm90_fault3, TmaProductArgs, kThreads) { gemm<3>(args); }
SPECTRAL_KERNEL(gemm_sm90_fault4, TmaProductArgs, kThreads) { gemm<4>(args); }
SPECTRAL_KERNEL(gemm_sm90_fault5, TmaProductArgs, kThreads) { gemm<5>(args); }
SPECTRAL_KERNEL(gemm_sm90_fault6, TmaProductArgs, kThreads) { gemm<6>(args); }
