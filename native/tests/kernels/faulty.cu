// Kernels that are wrong on purpose: the device must say so.
#include "spectral.cuh"

struct FaultArgs {
  int* out;
  int at;
};
SPECTRAL_LAYOUT(FaultArgs, out, at)

SPECTRAL_KERNEL(fault_divergent, FaultArgs, 32) {
  if (threadIdx.x == 7)
    __syncwarp();
  else
    args.out[threadIdx.x] = __shfl_sync(~0u, 1, 0);
}
SPECTRAL_KERNEL(fault_barriers, FaultArgs, 64) {
  if (threadIdx.x < 32)
    bar_sync(3, 64);
  else
    __syncthreads();
}
SPECTRAL_KERNEL_PLAIN(fault_not_plain, FaultArgs, 64) { __syncthreads(); }
SPECTRAL_KERNEL(fault_half_warp, FaultArgs, 32) {
  if (threadIdx.x >= 16)
    return;
  args.out[threadIdx.x] = int(warp_sum(1.0f));
}
SPECTRAL_KERNEL(fault_own_mask, FaultArgs, 32) { __syncwarp(~(1u << threadIdx.x)); }
SPECTRAL_KERNEL(fault_index, FaultArgs, 64) { args.out[args.at + int(threadIdx.x)] = 1; }
SPECTRAL_KERNEL(fault_shared, FaultArgs, 64) {
  DYNAMIC_SHARED(smem);
  smem[threadIdx.x] = 1;
  __syncthreads();
  args.out[threadIdx.x] = smem[int(threadIdx.x) + args.at];
}
// A vector at an odd address, which element by element would do no harm.
SPECTRAL_KERNEL(fault_vector, FaultArgs, 32) {
  float v[4];
  load_piece<float, 4>(reinterpret_cast<const float*>(args.out) + args.at, v);
  store_piece<float, 4>(reinterpret_cast<float*>(args.out), v);
}
// Half a warp takes a matrix instruction that all of it must take.
SPECTRAL_KERNEL(fault_half_ldmatrix, FaultArgs, 32) {
  DYNAMIC_SHARED(smem);
  uint32_t r[4] = {};
  if (int(threadIdx.x) < args.at)
    ldmatrix_x4(r, [&](int l) { return smem + 16 * l; });
  __syncwarp();
}
SPECTRAL_KERNEL(fault_bar_count, FaultArgs, 64) { bar_sync(1, 40); }
SPECTRAL_KERNEL(fault_misaligned, FaultArgs, 32) {
  DYNAMIC_SHARED(smem);
  cp_async16(smem + 8, args.out);
  cp_async_commit();
  cp_async_wait<0>();
}

// 16 of 32 lanes take part in a shuffle that names all, the others in none.
SPECTRAL_KERNEL(fault_missing_lanes, FaultArgs, 32) {
  if (threadIdx.x < 16)
    args.out[threadIdx.x] = __shfl_sync(~0u, 1, 0);
  else
    __syncthreads();
}
// An instruction of Hopper in a file that is compiled for sm_80 too.
SPECTRAL_KERNEL(fault_hopper, FaultArgs, 32) {
  DYNAMIC_SHARED(smem);
  mbar_init(reinterpret_cast<uint64_t*>(smem), 1);
}
constexpr int kStaticInts = 1000;
SPECTRAL_KERNEL(static_shared, FaultArgs, 32) {
  __shared__ int mine[kStaticInts];
  mine[threadIdx.x] = args.at;
  __syncthreads();
  args.out[threadIdx.x] = mine[31 - threadIdx.x];
}
SPECTRAL_STATIC_SHARED(static_shared, kStaticInts* int(sizeof(int)))
