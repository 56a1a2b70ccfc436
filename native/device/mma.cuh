// Tensor-core products of a warp (sm_80 and later): ldmatrix and mma.sync m16n8k16, bf16 in, f32 sums.
// Shaped for few rendezvous on the CPU: ldmatrix takes a function lane -> row address (each lane reads
// what it needs, no rendezvous), and mma_tile is one rendezvous for a whole warp tile.
#pragma once
#include "async_copy.cuh"
#include "warp.cuh"

#ifdef __CUDACC__
// Four 8x8 matrices of 16-bit values; row_of_lane(l) is the address of row l % 8 of matrix l / 8.
template <class F>
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], F row_of_lane) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row_of_lane(lane_id()))));
}
// The same, each matrix transposed.
template <class F>
__device__ __forceinline__ void ldmatrix_x4_transposed(uint32_t (&r)[4], F row_of_lane) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row_of_lane(lane_id()))));
}
// d[i][j] += a[i] b[j]: kTilesM x kTilesN tiles of 16 x 8, depth 16. Lane (g, q) = (lane / 4, lane % 4) holds
// D[g + 8h][2q + e] in d[2h + e].
template <int kTilesM, int kTilesN>
__device__ __forceinline__ void mma_tile(
    float (&d)[kTilesM][kTilesN][4], const uint32_t (&a)[kTilesM][4], const uint32_t (&b)[kTilesN][2]) {
#pragma unroll
  for (int i = 0; i < kTilesM; ++i)
#pragma unroll
    for (int j = 0; j < kTilesN; ++j)
      asm volatile(
          "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
          : "+f"(d[i][j][0]), "+f"(d[i][j][1]), "+f"(d[i][j][2]), "+f"(d[i][j][3])
          : "r"(a[i][0]), "r"(a[i][1]), "r"(a[i][2]), "r"(a[i][3]), "r"(b[j][0]), "r"(b[j][1]));
}

#else
namespace spectral::cpu {
struct MmaArgument {
  float* d;
  const uint32_t *a, *b;
  int row_tiles, column_tiles;
};
void mma_all(void* const arg[32], unsigned mask);
}   // namespace spectral::cpu

template <class F>
__forceinline__ void ldmatrix_x4(uint32_t (&r)[4], F row_of_lane, SPECTRAL_WHERE) {
  spectral::cpu::took_aligned(where);
  const int l = lane_id();
  for (int i = 0; i < 4; ++i)
    std::memcpy(&r[i], reinterpret_cast<const char*>(row_of_lane(8 * i + l / 4)) + l % 4 * 4, 4);
}
template <class F>
__forceinline__ void ldmatrix_x4_transposed(uint32_t (&r)[4], F row_of_lane, SPECTRAL_WHERE) {
  spectral::cpu::took_aligned(where);
  const int row = lane_id() % 4 * 2;
  const int column = lane_id() / 4;
  for (int i = 0; i < 4; ++i) {
    uint16_t pair[2];
    for (int e = 0; e < 2; ++e)
      std::memcpy(&pair[e], reinterpret_cast<const char*>(row_of_lane(8 * i + row + e)) + column * 2, 2);
    std::memcpy(&r[i], pair, 4);
  }
}
template <int kTilesM, int kTilesN>
__forceinline__ void mma_tile(
    float (&d)[kTilesM][kTilesN][4], const uint32_t (&a)[kTilesM][4], const uint32_t (&b)[kTilesN][2], SPECTRAL_WHERE) {
  spectral::cpu::MmaArgument argument{&d[0][0][0], &a[0][0], &b[0][0], kTilesM, kTilesN};
  spectral::cpu::warp_op(~0u, "mma_tile", &argument, where, spectral::cpu::mma_all);
}
#endif
