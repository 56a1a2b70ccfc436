// Reductions over a warp and a block. Every lane (thread) gets the same bits. A warp reduction is shuffles on the
// GPU and one rendezvous on the CPU, which adds in the same order: lane l and lane l + 16, then + 8 and so on.
// With kLanes below 32 every aligned group of kLanes lanes is reduced on its own; all lanes of the warp take part at
// once.
#pragma once
#include "exponential.cuh"

// The running pair of an online softmax: sum of exp(x - max). A lane that has seen nothing has max = -inf and
// sum = 0; a lane that has seen NaN has it in sum, whatever its max, and so has the result.
struct MaxSum {
  float max, sum;
};

#ifdef __CUDACC__
__device__ __forceinline__ int lane_id() { return threadIdx.x & 31; }

template <int kLanes = 32>
__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
  for (int m = kLanes / 2; m; m >>= 1)
    v += __shfl_xor_sync(~0u, v, m);
  return v;
}
template <int kLanes = 32>
__device__ __forceinline__ double warp_sum(double v) {
#pragma unroll
  for (int m = kLanes / 2; m; m >>= 1)
    v += __shfl_xor_sync(~0u, v, m);
  return v;
}
template <int kLanes = 32>
__device__ __forceinline__ float warp_max(float v) {
#pragma unroll
  for (int m = kLanes / 2; m; m >>= 1)
    v = fmaxf(v, __shfl_xor_sync(~0u, v, m));
  return v;
}
template <int kLanes = 32>
__device__ __forceinline__ MaxSum warp_max_sum(float max, float sum) {
  const float most = warp_max<kLanes>(max);
  return {most, warp_sum<kLanes>(sum * (max == -INFINITY ? 0.0f : exp_f32(max - most)))};
}
// Several sums or maxima at once: on the CPU still one rendezvous.
template <int kLanes, int kCount>
__device__ __forceinline__ void warp_max(float (&v)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    v[i] = warp_max<kLanes>(v[i]);
}
template <int kLanes = 32, class T, int kCount>
__device__ __forceinline__ void warp_sum(T (&v)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    v[i] = warp_sum<kLanes>(v[i]);
}

#else
inline int lane_id() { return spectral::cpu::lane(); }

namespace spectral::cpu {
void require_full_warp(unsigned mask, const char* name);   // reports the fault if a lane has left

// In each group of kLanes lanes: v[l] and v[l + m] for m = kLanes / 2 … 1, which is what xor shuffles leave in every
// lane.
template <int kLanes, class T, class Combine>
__forceinline__ void reduce_lanes(T (&v)[32], Combine combine) {
  for (int group = 0; group < 32; group += kLanes) {
    for (int m = kLanes / 2; m; m >>= 1)
      for (int l = group; l < group + m; ++l)
        v[l] = combine(v[l], v[l + m]);
    for (int l = group + 1; l < group + kLanes; ++l)
      v[l] = v[group];
  }
}
template <class T, int kCount, int kLanes = 32, class Combine>
SPECTRAL_NO_TSAN void reduce_warp(void* const arg[32], unsigned mask, const char* name, Combine combine) {
  require_full_warp(mask, name);
  T v[32];
  for (int i = 0; i < kCount; ++i) {
    for (int l = 0; l < 32; ++l)
      v[l] = static_cast<const T*>(arg[l])[i];
    reduce_lanes<kLanes>(v, combine);
    for (int l = 0; l < 32; ++l)
      static_cast<T*>(arg[l])[i] = v[l];
  }
}
template <int kLanes>
SPECTRAL_NO_TSAN void max_sum_warp(void* const arg[32], unsigned mask) {
  require_full_warp(mask, "warp_max_sum");
  float maxima[32], terms[32], v[32];
  for (int l = 0; l < 32; ++l) {
    maxima[l] = v[l] = static_cast<const MaxSum*>(arg[l])->max;
    terms[l] = static_cast<const MaxSum*>(arg[l])->sum;
  }
  reduce_lanes<kLanes>(v, [](float a, float b) { return std::fmax(a, b); });
  for (int l = 0; l < 32; ++l) {
    const float scale = exp_f32(maxima[l] - v[l]);
    terms[l] *= maxima[l] == -INFINITY ? 0.0f : scale;
  }
  reduce_lanes<kLanes>(terms, [](float a, float b) { return a + b; });
  for (int l = 0; l < 32; ++l)
    *static_cast<MaxSum*>(arg[l]) = {v[l], terms[l]};
}
}   // namespace spectral::cpu

template <int kLanes = 32>
float warp_sum(float v, SPECTRAL_WHERE) {
  spectral::cpu::warp_op(~0u, "warp_sum", &v, where, [](void* const arg[32], unsigned mask) {
    spectral::cpu::reduce_warp<float, 1, kLanes>(arg, mask, "warp_sum", [](float a, float b) { return a + b; });
  });
  return v;
}
template <int kLanes = 32>
double warp_sum(double v, SPECTRAL_WHERE) {
  spectral::cpu::warp_op(~0u, "warp_sum", &v, where, [](void* const arg[32], unsigned mask) {
    spectral::cpu::reduce_warp<double, 1, kLanes>(arg, mask, "warp_sum", [](double a, double b) { return a + b; });
  });
  return v;
}
template <int kLanes = 32>
float warp_max(float v, SPECTRAL_WHERE) {
  spectral::cpu::warp_op(~0u, "warp_max", &v, where, [](void* const arg[32], unsigned mask) {
    spectral::cpu::reduce_warp<float, 1, kLanes>(
        arg, mask, "warp_max", [](float a, float b) { return std::fmax(a, b); });
  });
  return v;
}
template <int kLanes = 32>
MaxSum warp_max_sum(float max, float sum, SPECTRAL_WHERE) {
  MaxSum v{max, sum};
  spectral::cpu::warp_op(~0u, "warp_max_sum", &v, where, spectral::cpu::max_sum_warp<kLanes>);
  return v;
}
template <int kLanes, int kCount>
void warp_max(float (&v)[kCount], SPECTRAL_WHERE) {
  spectral::cpu::warp_op(~0u, "warp_max", v, where, [](void* const arg[32], unsigned mask) {
    spectral::cpu::reduce_warp<float, kCount, kLanes>(
        arg, mask, "warp_max", [](float a, float b) { return std::fmax(a, b); });
  });
}
template <int kLanes = 32, class T, int kCount>
void warp_sum(T (&v)[kCount], SPECTRAL_WHERE) {
  spectral::cpu::warp_op(~0u, "warp_sum", v, where, [](void* const arg[32], unsigned mask) {
    spectral::cpu::reduce_warp<T, kCount, kLanes>(arg, mask, "warp_sum", [](T a, T b) { return a + b; });
  });
}
#endif

// What the reductions of a block take of static shared memory, in bytes, for SPECTRAL_STATIC_SHARED.
template <class T>
constexpr int kBlockSumShared = 32 * int(sizeof(T));
constexpr int kBlockMaxShared = 32 * int(sizeof(float));
constexpr int kBlockMaxSumShared = 64 * int(sizeof(float));

// Over a one-dimensional block of whole warps, at most 1024 threads; one barrier each. The next reduction by the same
// function writes where this one is still being read: a kernel that repeats one has a barrier in between.
template <class T>
__device__ __forceinline__ T block_sum(T v) {
  __shared__ T part[32];
  v = warp_sum(v);
  if (lane_id() == 0)
    part[threadIdx.x / 32] = v;
  __syncthreads();
  T sum = 0;
  for (unsigned i = 0; i < blockDim.x / 32; ++i)
    sum += part[i];
  return sum;
}
__device__ __forceinline__ float block_max(float v) {
  __shared__ float part[32];
  v = warp_max(v);
  if (lane_id() == 0)
    part[threadIdx.x / 32] = v;
  __syncthreads();
  float most = part[0];
  for (unsigned i = 1; i < blockDim.x / 32; ++i)
    most = fmaxf(most, part[i]);
  return most;
}
__device__ __forceinline__ MaxSum block_max_sum(float max, float sum) {
  __shared__ float maxima[32], sums[32];
  MaxSum v = warp_max_sum(max, sum);
  if (lane_id() == 0) {
    maxima[threadIdx.x / 32] = v.max;
    sums[threadIdx.x / 32] = v.sum;
  }
  __syncthreads();
  const unsigned warps = blockDim.x / 32;
  v = {maxima[0], 0.0f};
  for (unsigned i = 1; i < warps; ++i)
    v.max = fmaxf(v.max, maxima[i]);
  for (unsigned i = 0; i < warps; ++i)
    v.sum += sums[i] * (maxima[i] == -INFINITY ? 0.0f : exp_f32(maxima[i] - v.max));
  return v;
}
