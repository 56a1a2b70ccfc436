// Cooperative groups, and the standard library of CUDA: cuda::atomic, cuda::barrier, cuda::pipeline.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
#include <cuda/atomic>
#include <cuda/barrier>
#include <cuda/pipeline>
#include <cuda/std/array>
#include <cuda/std/complex>

namespace cg = cooperative_groups;

extern "C" __global__ void tiles(const int* in, int* out, int) {
  const cg::thread_block block = cg::this_thread_block();
  const auto eight = cg::tiled_partition<8>(block);
  const auto warp = cg::tiled_partition<32>(block);
  const int t = int(block.thread_rank());
  int* row = out + 6 * t;
  row[0] = cg::reduce(eight, in[t], cg::plus<int>());
  row[1] = cg::reduce(warp, in[t], cg::greater<int>());
  row[2] = eight.shfl(in[t], 7) + int(eight.meta_group_rank());
  row[3] = cg::inclusive_scan(eight, in[t]);
  block.sync();
  row[4] = -1;
  if (in[t] % 3 == 0) {
    const cg::coalesced_group some = cg::coalesced_threads();
    row[4] = int(some.size()) * 100 + int(some.thread_rank());
  }
  const auto labelled = cg::labeled_partition(warp, in[t] % 4);
  row[5] = cg::reduce(labelled, 1, cg::plus<int>());
}

extern "C" __global__ void scoped_atomics(const int* in, int* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  cuda::atomic_ref<int, cuda::thread_scope_device> sum(out[0]);
  sum.fetch_add(in[i], cuda::memory_order_relaxed);
  cuda::atomic_ref<int, cuda::thread_scope_device> most(out[1]);
  most.fetch_max(in[i]);
  cuda::atomic_ref<int, cuda::thread_scope_system> product(out[2]);
  int seen = product.load();
  while (!product.compare_exchange_weak(seen, seen * 3 + 1, cuda::memory_order_acq_rel)) {}
}

// Rounds between a writing half and a reading half of the block.
extern "C" __global__ void barriers(const int* in, int* out, int n) {
  using Barrier = cuda::barrier<cuda::thread_scope_block>;
  __shared__ int buffer[64];
#pragma nv_diag_suppress static_var_with_dynamic_init
  __shared__ Barrier full, empty;
  if (threadIdx.x == 0) {
    init(&full, blockDim.x);
    init(&empty, blockDim.x);
  }
  __syncthreads();
  const int half = blockDim.x / 2;
  int sum = 0;
  for (int round = 0; round < 4; ++round) {
    if (int(threadIdx.x) < half)
      buffer[threadIdx.x] = in[(round * half + threadIdx.x) % n];
    full.arrive_and_wait();
    if (int(threadIdx.x) >= half)
      sum += buffer[blockDim.x - 1 - threadIdx.x] * (round + 1);
    empty.arrive_and_wait();
  }
  out[threadIdx.x] = sum;
}

// Copies two stages ahead.
extern "C" __global__ void pipelines(const int* in, int* out, int n) {
  constexpr int kStages = 2;
  __shared__ int stages[kStages][128];
  const auto block = cg::this_thread_block();
  cuda::pipeline<cuda::thread_scope_thread> pipe = cuda::make_pipeline();
  const int rounds = n / 128;
  auto load = [&](int round) {
    pipe.producer_acquire();
    cuda::memcpy_async(&stages[round % kStages][threadIdx.x], &in[round * 128 + threadIdx.x], sizeof(int), pipe);
    pipe.producer_commit();
  };
  for (int round = 0; round < kStages; ++round)
    load(round);
  int sum = 0;
  for (int round = 0; round < rounds; ++round) {
    cuda::pipeline_consumer_wait_prior<kStages - 1>(pipe);
    block.sync();
    sum += stages[round % kStages][127 - threadIdx.x];
    block.sync();
    pipe.consumer_release();
    if (round + kStages < rounds)
      load(round + kStages);
    else
      pipe.producer_commit();
  }
  out[threadIdx.x] = sum;
}

extern "C" __global__ void complex_numbers(const float* in, float* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n / 2)
    return;
  const cuda::std::complex<float> z(in[2 * i], in[2 * i + 1]);
  cuda::std::array<cuda::std::complex<float>, 2> powers = {z * z, z * z * z};
  out[2 * i] = (powers[0] + powers[1]).real();
  out[2 * i + 1] = cuda::std::norm(z);
}
