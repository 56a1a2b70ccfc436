// Kernels whose counts follow from the contract of spectral-bench count by pencil (OwnKernelCountTests has them).
// counted_kernels.ptx is made of this file: nvcc -std=c++17 -arch=compute_80 -ptx counted_kernels.cu
#include <cstdint>
#include <cuda_pipeline.h>

__device__ float device_table[256];
__constant__ float constant_table[256];

__device__ unsigned thread_index() { return blockIdx.x * blockDim.x + threadIdx.x; }

extern "C" {
__global__ void strided(const double* x, double* y, int stride, int n) {
  const int i = int(thread_index());
  if (i < n)
    y[i] = x[size_t(i) * stride];
}

__global__ void bytes(const uint8_t* x, uint8_t* y, int n) {
  const int i = int(thread_index());
  if (i < n)
    y[i] = uint8_t(x[i] + 1);
}

__global__ void vectors(const float4* x, float4* y, int n) {
  const int i = int(thread_index());
  if (i < n)
    y[i] = x[i];
}

__global__ void tables(float* y) { y[threadIdx.x] = device_table[threadIdx.x * 4] + constant_table[threadIdx.x]; }

__global__ void transpose(const float* x, float* y) {
  __shared__ float tile[32][32];
  tile[threadIdx.y][threadIdx.x] = x[threadIdx.y * 32 + threadIdx.x];
  __syncthreads();
  y[threadIdx.y * 32 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
}

__global__ void atomics(int* sum, int* histogram) {
  __shared__ int counts[32];
  if (threadIdx.x < 32)
    counts[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(&counts[threadIdx.x % 32], 1);
  __syncthreads();
  atomicAdd(sum, 1);
  if (threadIdx.x < 32)
    atomicAdd(&histogram[threadIdx.x], counts[threadIdx.x]);
}

__global__ void reduce(const float* x, float* y) {
  extern __shared__ float sums[];
  sums[threadIdx.x] = x[thread_index()];
  __syncthreads();
  for (unsigned width = blockDim.x / 2; width > 0; width /= 2) {
    if (threadIdx.x < width)
      sums[threadIdx.x] += sums[threadIdx.x + width];
    __syncthreads();
  }
  if (threadIdx.x == 0)
    y[blockIdx.x] = sums[0];
}

__global__ void pipeline(const float4* x, float4* y) {
  __shared__ float4 stage[128];
  __pipeline_memcpy_async(&stage[threadIdx.x], &x[threadIdx.x], 16);
  __pipeline_commit();
  __pipeline_wait_prior(0);
  __syncthreads();
  y[threadIdx.x] = stage[threadIdx.x];
}

__global__ void diverge(const float* x, float* y) {
  float v;
  if (threadIdx.x % 2)
    v = x[threadIdx.x * 8] * 2;
  else
    v = x[threadIdx.x] + 1;
  y[threadIdx.x] = v;
}

__global__ void shifted(const float* x, float* y, int by) { y[threadIdx.x] = x[threadIdx.x + by]; }

__global__ void wide_shared(const double* x, double* y) {
  __shared__ double words[64];
  words[threadIdx.x * 2] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = words[threadIdx.x * 2];
}

__global__ void same(const float* x, float* y) { y[thread_index()] = x[0]; }

__global__ void in_place(int* x) { x[threadIdx.x] += x[threadIdx.x + 1]; }

__global__ void local(const int* x, int* y, int from) {
  int copy[16];
  for (int i = 0; i < 16; ++i)
    copy[i] = x[i];
  y[threadIdx.x] = copy[(threadIdx.x + from) & 15];
}

__global__ void grid3(int* y) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  y[(block * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x] = int(block);
}
}
