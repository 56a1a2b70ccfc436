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
SPECTRAL_KERNEL(fault_misaligned, FaultArgs, 32) {
  DYNAMIC_SHARED(smem);
  cp_async16(smem + 8, args.out);
  cp_async_commit();
  cp_async_wait<0>();
}
