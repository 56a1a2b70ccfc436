// 16-bit and 8-bit floating point through the intrinsics of cuda_fp16.h, cuda_bf16.h and cuda_fp8.h.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

extern "C" __global__ void half_arithmetic(const float* in, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n / 2)
    return;
  const __half a = __float2half(in[2 * i]);
  const __half b = __float2half(in[2 * i + 1]);
  const __half2 both = __halves2half2(a, b);
  float* row = out + 8 * i;
  row[0] = __half2float(__hadd(a, b));
  row[1] = __half2float(__hmul(a, b));
  row[2] = __half2float(__hfma(a, b, a));
  row[3] = __half2float(__hdiv(a, b));
  row[4] = __low2float(__hadd2(both, __lowhigh2highlow(both)));
  row[5] = __high2float(__hfma2(both, both, both));
  row[6] = float(__hlt(a, b)) + 2.0f * float(__heq(a, a)) + 4.0f * float(__hgt(a, b));
  row[7] = __half2float(__hmax(a, b)) - __half2float(__habs(a));
}

#if __CUDA_ARCH__ >= 800
extern "C" __global__ void bfloat_arithmetic(const float* in, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n / 2)
    return;
  const __nv_bfloat16 a = __float2bfloat16(in[2 * i]);
  const __nv_bfloat16 b = __float2bfloat16(in[2 * i + 1]);
  const __nv_bfloat162 both = __halves2bfloat162(a, b);
  float* row = out + 6 * i;
  row[0] = __bfloat162float(__hadd(a, b));
  row[1] = __bfloat162float(__hmul(a, b));
  row[2] = __bfloat162float(__hfma(a, b, b));
  row[3] = __high2float(__hmul2(both, both));
  row[4] = __bfloat162float(__float2bfloat16_rz(in[2 * i]));
  row[5] = float(__hge(a, b)) + 2.0f * float(__bfloat162int_rn(a));
}
#endif

// To 8 bits and back.
extern "C" __global__ void fp8_conversions(const float* in, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  out[2 * i] = float(__nv_fp8_e4m3(in[i]));
  out[2 * i + 1] = float(__nv_fp8_e5m2(in[i]));
}
