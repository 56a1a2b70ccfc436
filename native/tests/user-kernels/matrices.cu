// Tensor cores: wmma, and mma.sync in inline PTX.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>
#include <cstdint>

// out[16, 16] = a[16, 16] b[16, 16] of small integers, one warp.
extern "C" __global__ void wmma_product(const float* in, float* out, int) {
  using namespace nvcuda;
  __shared__ __half a[256], b[256];
  for (int i = threadIdx.x; i < 256; i += 32) {
    a[i] = __float2half(in[i]);
    b[i] = __float2half(in[256 + i]);
  }
  __syncwarp();
  wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> left;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::col_major> right;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sums;
  wmma::fill_fragment(sums, 0.5f);
  wmma::load_matrix_sync(left, a, 16);
  wmma::load_matrix_sync(right, b, 16);
  wmma::mma_sync(sums, left, right, sums);
  wmma::store_matrix_sync(out, sums, 16, wmma::mem_row_major);
}

#if __CUDA_ARCH__ >= 800
// out[16, 8] = a[16, 16] b[16, 8], b by columns.
extern "C" __global__ void mma_product(const float* in, float* out, int) {
  const int g = threadIdx.x / 4;
  const int q = threadIdx.x % 4;
  auto pair = [](float low, float high) {
    const __nv_bfloat162 v = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&v);
  };
  uint32_t a[4], b[2];
  for (int i = 0; i < 4; ++i) {
    const float* at = in + (g + i % 2 * 8) * 16 + i / 2 * 8 + 2 * q;
    a[i] = pair(at[0], at[1]);
  }
  for (int i = 0; i < 2; ++i) {
    const float* at = in + 256 + g * 16 + i * 8 + 2 * q;
    b[i] = pair(at[0], at[1]);
  }
  float d[4] = {1, 1, 1, 1};
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  for (int i = 0; i < 4; ++i)
    out[(g + i / 2 * 8) * 8 + 2 * q + i % 2] = d[i];
}
#endif
