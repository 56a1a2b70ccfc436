// Atomic operations of every type, in global and in shared memory.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

// in: one value per thread; out begins at zero.
extern "C" __global__ void integer_atomics(const int* in, int* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  const int v = in[i];
  atomicAdd(out, v);
  atomicSub(out + 1, v);
  atomicMax(out + 2, v);
  atomicMin(out + 3, -v);
  atomicOr(out + 4, 1 << (v & 31));
  atomicXor(out + 5, v);
  atomicAnd(out + 6, v);
  atomicInc(reinterpret_cast<unsigned*>(out + 7), 10);
  atomicDec(reinterpret_cast<unsigned*>(out + 8), 10);
  if (atomicExch(out + 9, 1) == 0)
    atomicAdd(out + 10, 1);
  for (int seen = out[11], old;; seen = old) {   // a maximum by compare and swap
    old = atomicCAS(out + 11, seen, max(seen, v));
    if (old == seen)
      break;
  }
  atomicMax(reinterpret_cast<unsigned*>(out + 12), unsigned(-v));
}

extern "C" __global__ void wide_atomics(const long long* in, long long* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  const long long v = in[i];
  atomicAdd(reinterpret_cast<unsigned long long*>(out), (unsigned long long)v);
  atomicMax(out + 1, v);
  atomicMin(out + 2, v);
  atomicXor(reinterpret_cast<unsigned long long*>(out + 3), (unsigned long long)v);
  atomicAdd(reinterpret_cast<double*>(out + 4), double(i));
  unsigned long long* cas = reinterpret_cast<unsigned long long*>(out + 5);
  for (unsigned long long seen = *cas, old;; seen = old) {
    old = atomicCAS(cas, seen, seen + 3);
    if (old == seen)
      break;
  }
}

extern "C" __global__ void float_atomics(const float* in, float* out, int n) {
  __shared__ float sum;
  if (threadIdx.x == 0)
    sum = 0;
  __syncthreads();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    atomicAdd(&sum, in[i]);
    atomicAdd(out + 1, in[i]);
    atomicAdd(reinterpret_cast<__half2*>(out + 2), __floats2half2_rn(1, 2));
#if __CUDA_ARCH__ >= 800
    atomicAdd(reinterpret_cast<__nv_bfloat162*>(out + 3), __floats2bfloat162_rn(1, 2));
#endif
  }
  __syncthreads();
  if (threadIdx.x == 0)
    atomicAdd(out, sum);
}

// 64 bins in shared memory, then one addition for each.
extern "C" __global__ void histogram(const int* in, int* out, int n) {
  __shared__ int bins[64];
  if (threadIdx.x < 64)
    bins[threadIdx.x] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    atomicAdd(&bins[in[i] & 63], 1);
  __syncthreads();
  if (threadIdx.x < 64)
    atomicAdd(out + threadIdx.x, bins[threadIdx.x]);
}
