// y[M,N] = x[M,K] w[N,K]^T + z[M,R] q[N,R]^T, bf16 in, f32 out: one accumulator, two K loops in a row.
// cp.async double buffering, ldmatrix, mma.sync. K and R are multiples of 8; M and N are free.
#include "spectral.cuh"

namespace {
constexpr int kTileRows = 128;
constexpr int kTileColumns = 128;
constexpr int kTileDepth = 64;
constexpr int kThreads = 256;   // 8 warps, 2 x 4, each 64 x 32
constexpr int kTilesM = 4;
constexpr int kTilesN = 4;
constexpr int kTile = kTileRows * kTileDepth * 2;
constexpr int kStage = 2 * kTile;

// 128 rows of 64 bf16 into a swizzled tile; rows and columns outside are zero
__device__ __forceinline__ void load_tile(unsigned char* dst, const bf16* src, int row0, int rows, int k0, int k) {
#pragma unroll
  for (int i = 0; i < kTileRows * 8 / kThreads; ++i) {
    int c = i * kThreads + threadIdx.x;
    int r = c / 8;
    int col = c % 8;
    bool in = row0 + r < rows && k0 + col * 8 < k;
    cp_async16(
        dst + swizzle128(r * 128 + col * 16), in ? src + (size_t)(row0 + r) * k + k0 + col * 8 : src, in ? 16 : 0);
  }
}
}   // namespace

struct ProductArgs {
  const bf16 *x, *w, *z, *q;
  float* y;
  int rows, columns, depth, rank;
};
SPECTRAL_LAYOUT(ProductArgs, x, w, z, q, y, rows, columns, depth, rank)

// kFault breaks one line: 1 waits for one group too few, 2 and 3 leave out a barrier.
template <int kFault>
__device__ __forceinline__ void gemm(const ProductArgs& args) {
  DYNAMIC_SHARED(smem);
  const bf16* x = args.x;
  const bf16* w = args.w;
  const bf16* z = args.z;
  const bf16* q = args.q;
  const int rows = args.rows;
  const int columns = args.columns;
  const int depth = args.depth;
  const int rank = args.rank;
  float* y = args.y;
  const int lane = lane_id();
  const int warp = threadIdx.x / 32;
  const int wm = warp / 4 * 64;
  const int wn = warp % 4 * 32;
  const int m0 = blockIdx.y * kTileRows;
  const int n0 = blockIdx.x * kTileColumns;
  const int nk = ceil_div(depth, kTileDepth);
  const int nr = ceil_div(rank, kTileDepth);
  const int steps = nk + nr;

  auto load = [&](int s) {
    unsigned char* st = smem + s % 2 * kStage;
    bool low = s >= nk;
    int k0 = (low ? s - nk : s) * kTileDepth;
    int k = low ? rank : depth;
    load_tile(st, low ? z : x, m0, rows, k0, k);
    load_tile(st + kTile, low ? q : w, n0, columns, k0, k);
  };

  float d[kTilesM][kTilesN][4] = {};
  load(0);
  cp_async_commit();
  for (int s = 0; s < steps; ++s) {
    if (s + 1 < steps)
      load(s + 1);
    cp_async_commit();
    cp_async_wait<kFault == 1 ? 2 : 1>();
    if (kFault != 2)
      __syncthreads();
    const unsigned char* a_tile = smem + s % 2 * kStage;
    const unsigned char* b_tile = a_tile + kTile;
#pragma unroll
    for (int ks = 0; ks < kTileDepth / 16; ++ks) {
      uint32_t a[kTilesM][4], b[kTilesN][2];
#pragma unroll
      for (int i = 0; i < kTilesM; ++i)
        ldmatrix_x4(
            a[i], [&](int l) { return a_tile + swizzle128((wm + i * 16 + l % 16) * 128 + ks * 32 + l / 16 * 16); });
#pragma unroll
      for (int j = 0; j < kTilesN; j += 2) {
        uint32_t r[4];
        ldmatrix_x4(r, [&](int l) {
          return b_tile + swizzle128((wn + j * 8 + l / 16 * 8 + l % 8) * 128 + ks * 32 + l / 8 % 2 * 16);
        });
        b[j][0] = r[0];
        b[j][1] = r[1];
        b[j + 1][0] = r[2];
        b[j + 1][1] = r[3];
      }
      mma_tile(d, a, b);
    }
    if (kFault != 3)
      __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kTilesM; ++i)
#pragma unroll
    for (int j = 0; j < kTilesN; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        int m = m0 + wm + i * 16 + lane / 4 + e / 2 * 8;
        int n = n0 + wn + j * 8 + lane % 4 * 2 + e % 2;
        if (m < rows && n < columns)
          y[(size_t)m * columns + n] = d[i][j][e];
      }
}
SPECTRAL_KERNEL(gemm_sm80, ProductArgs, kThreads) { gemm<0>(args); }
SPECTRAL_KERNEL(gemm_sm80_fault1, ProductArgs, kThreads) { gemm<1>(args); }
SPECTRAL_KERNEL(gemm_sm80_fault2, ProductArgs, kThreads) { gemm<2>(args); }
SPECTRAL_KERNEL(gemm_sm80_fault3, ProductArgs, kThreads) { gemm<3>(args); }
