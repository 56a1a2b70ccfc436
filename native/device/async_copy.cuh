// cp.async: 16-byte copies from global to shared memory that complete at a wait, and named barriers.
// The CPU device copies as late as the wait allows, so that a missing wait reads stale data there.
#pragma once
#include "kernel.cuh"

// Byte offset in a 1024-byte aligned tile of 128-byte rows under the 128-byte swizzle of TMA and wgmma:
// the 16-byte column is xored with the row's index modulo 8, so that a column's rows hit distinct banks.
__device__ __forceinline__ uint32_t swizzle128(uint32_t offset) { return offset ^ (offset >> 3 & 0x70); }

#ifdef __CUDACC__
__device__ __forceinline__ uint32_t shared_address(const void* p) { return (uint32_t)__cvta_generic_to_shared(p); }

// Bytes beyond valid_bytes (of 16) are zero; both addresses 16-byte aligned.
__device__ __forceinline__ void cp_async16(void* dst, const void* src, int valid_bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(shared_address(dst)), "l"(src), "r"(valid_bytes)
               : "memory");
}
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" : : : "memory"); }
// Returns when at most kPending of this thread's groups are still under way.
template <int kPending>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" : : "n"(kPending) : "memory");
}

// Named barriers 1 … 15 over `count` threads: arrive does not wait. Barrier 0 is __syncthreads.
__device__ __forceinline__ void bar_sync(int id, int count) {
  asm volatile("bar.sync %0, %1;" : : "r"(id), "r"(count) : "memory");
}
__device__ __forceinline__ void bar_arrive(int id, int count) {
  asm volatile("bar.arrive %0, %1;" : : "r"(id), "r"(count) : "memory");
}

#else
namespace spectral::cpu {
uint32_t shared_offset(const void*, Where);
void cp_async(void* dst, const void* src, int valid_bytes, Where);
void cp_async_commit();
void cp_async_wait(int keep);
}   // namespace spectral::cpu

inline uint32_t shared_address(const void* p, SPECTRAL_WHERE) { return spectral::cpu::shared_offset(p, where); }
inline void cp_async16(void* dst, const void* src, int valid_bytes = 16, SPECTRAL_WHERE) {
  spectral::cpu::cp_async(dst, src, valid_bytes, where);
}
inline void cp_async_commit() { spectral::cpu::cp_async_commit(); }
template <int kPending>
void cp_async_wait() {
  spectral::cpu::cp_async_wait(kPending);
}
inline void bar_sync(int id, int count, SPECTRAL_WHERE) { spectral::cpu::bar_sync(id, count, where); }
inline void bar_arrive(int id, int count, SPECTRAL_WHERE) { spectral::cpu::bar_arrive(id, count, where); }
#endif
