// Hopper (sm_90a): mbarriers, TMA, stmatrix, clusters (its products are in wgmma.cuh). Only kernels whose name ends in
// _sm90 use these; for an older target the functions do not exist, so such a kernel file does not compile for it.
#pragma once
#include "mma.cuh"

#ifdef __CUDACC__
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
__device__ __forceinline__ void mbar_init(uint64_t* b, int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" : : "r"(shared_address(b)), "r"(count) : "memory");
}
__device__ __forceinline__ void mbar_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;" : : : "memory");
}
__device__ __forceinline__ void mbar_arrive(uint64_t* b) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" : : "r"(shared_address(b)) : "memory");
}
__device__ __forceinline__ void mbar_arrive_expect_tx(uint64_t* b, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
               :
               : "r"(shared_address(b)), "r"(bytes)
               : "memory");
}
// Returns when the phase of the given parity has completed.
__device__ __forceinline__ void mbar_wait(uint64_t* b, int parity) {
  asm volatile("{\n.reg .pred p;\nW: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n@!p bra W;\n}"
               :
               : "r"(shared_address(b)), "r"(parity)
               : "memory");
}
// The map's box at column x, row y into shared memory; its bytes count on the barrier.
__device__ __forceinline__ void tma_load_2d(void* dst, const TensorMap* map, uint64_t* bar, int x, int y) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3,%4}], [%2];"
               :
               : "r"(shared_address(dst)), "l"(map), "r"(shared_address(bar)), "r"(x), "r"(y)
               : "memory");
}
// The same into every block of the cluster whose bit is set in `blocks`, at the same place in each one's shared memory,
// and its bytes count on the barrier at the same place in each.
__device__ __forceinline__ void tma_load_2d_multicast(
    void* dst, const TensorMap* map, uint64_t* bar, int x, int y, uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, "
      "{%4,%5}], [%2], %3;"
      :
      : "r"(shared_address(dst)), "l"(map), "r"(shared_address(bar)), "h"(blocks), "r"(x), "r"(y)
      : "memory");
}
// Shared memory to the map's box at column x, row y; what lies outside the tensor is not written. Ordinary writes of
// the source (stmatrix too) need fence_proxy_async in each writing thread, then a barrier, before one thread stores.
__device__ __forceinline__ void tma_store_2d(const TensorMap* map, const void* src, int x, int y) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%2,%3}], [%1];"
               :
               : "l"(map), "r"(shared_address(src)), "r"(x), "r"(y)
               : "memory");
}
__device__ __forceinline__ void bulk_commit() { asm volatile("cp.async.bulk.commit_group;" : : : "memory"); }
// Return when at most kPending of this thread's groups still read their shared memory (bulk_wait_read), or are still
// under way at all (bulk_wait).
template <int kPending>
__device__ __forceinline__ void bulk_wait_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" : : "n"(kPending) : "memory");
}
template <int kPending>
__device__ __forceinline__ void bulk_wait() {
  asm volatile("cp.async.bulk.wait_group %0;" : : "n"(kPending) : "memory");
}
__device__ __forceinline__ void fence_proxy_async() { asm volatile("fence.proxy.async.shared::cta;" : : : "memory"); }
__device__ __forceinline__ void tensor_map_prefetch(const TensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" : : "l"(map) : "memory");
}
// Four 8x8 matrices of 16-bit values; row_of_lane(l) is where row l % 8 of matrix l / 8 goes. The inverse of
// ldmatrix_x4.
template <class F>
__device__ __forceinline__ void stmatrix_x4(const uint32_t (&r)[4], F row_of_lane) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};"
               :
               : "r"(shared_address(row_of_lane(lane_id()))), "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
               : "memory");
}

// ---- clusters: the block's rank in its cluster, the barrier over all of its threads, arrival at another block's
// mbarrier
__device__ __forceinline__ unsigned cluster_rank() {
  unsigned rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
__device__ __forceinline__ void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release.aligned;" : : : "memory");
}
__device__ __forceinline__ void cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" : : : "memory"); }
// Orders this block's accesses only: a release over the cluster costs a memory barrier of the whole GPU each time. It
// is for handing back what wgmma has read, which its wait completes.
__device__ __forceinline__ void mbar_arrive_at(uint64_t* b, unsigned rank) {
  asm volatile(
      "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [remote];\n}"
      :
      : "r"(shared_address(b)), "r"(rank)
      : "memory");
}
template <int kRegisters>
__device__ __forceinline__ void setmaxnreg_inc() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" : : "n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void setmaxnreg_dec() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" : : "n"(kRegisters));
}
#endif

#else
namespace spectral::cpu {
void mbar_init(uint64_t*, int count, Where);
void mbar_init_fence();
void mbar_arrive(uint64_t*, int expected_bytes, Where);
void mbar_arrive_at(uint64_t*, unsigned rank, Where);
void mbar_wait(uint64_t*, int parity, Where);
void tma_load_2d(
    void* dst, const TensorMap*, uint64_t* bar, int x, int y, unsigned blocks, Where);   // blocks 0: this one
void tma_store_2d(const TensorMap*, const void* src, int x, int y, Where);
void tensor_map_prefetch(const TensorMap*, Where);
void bulk_commit();
void bulk_wait(int keep, bool read_only);
void stmatrix_writes(const void* word, Where);
void fence_proxy_async();
void cluster_arrive(Where);
void cluster_wait(Where);
}   // namespace spectral::cpu

inline void mbar_init(uint64_t* b, int count, SPECTRAL_WHERE) { spectral::cpu::mbar_init(b, count, where); }
inline void mbar_init_fence() { spectral::cpu::mbar_init_fence(); }
inline void mbar_arrive(uint64_t* b, SPECTRAL_WHERE) { spectral::cpu::mbar_arrive(b, 0, where); }
inline void mbar_arrive_expect_tx(uint64_t* b, int bytes, SPECTRAL_WHERE) {
  spectral::cpu::mbar_arrive(b, bytes, where);
}
inline void mbar_arrive_at(uint64_t* b, unsigned rank, SPECTRAL_WHERE) {
  spectral::cpu::mbar_arrive_at(b, rank, where);
}
inline void mbar_wait(uint64_t* b, int parity, SPECTRAL_WHERE) { spectral::cpu::mbar_wait(b, parity, where); }
inline void tma_load_2d(void* dst, const TensorMap* map, uint64_t* bar, int x, int y, SPECTRAL_WHERE) {
  spectral::cpu::tma_load_2d(dst, map, bar, x, y, 0, where);
}
inline void tma_load_2d_multicast(
    void* dst, const TensorMap* map, uint64_t* bar, int x, int y, uint16_t blocks, SPECTRAL_WHERE) {
  spectral::cpu::tma_load_2d(dst, map, bar, x, y, blocks, where);
}
inline void tma_store_2d(const TensorMap* map, const void* src, int x, int y, SPECTRAL_WHERE) {
  spectral::cpu::tma_store_2d(map, src, x, y, where);
}
inline void bulk_commit() { spectral::cpu::bulk_commit(); }
template <int kPending>
void bulk_wait_read() {
  spectral::cpu::bulk_wait(kPending, true);
}
template <int kPending>
void bulk_wait() {
  spectral::cpu::bulk_wait(kPending, false);
}
inline void fence_proxy_async() { spectral::cpu::fence_proxy_async(); }
inline void tensor_map_prefetch(const TensorMap* map, SPECTRAL_WHERE) {
  spectral::cpu::tensor_map_prefetch(map, where);
}
template <class F>
void stmatrix_x4(const uint32_t (&r)[4], F row_of_lane, SPECTRAL_WHERE) {
  spectral::cpu::took_aligned(where);
  const int l = lane_id();
  for (int i = 0; i < 4; ++i) {
    char* word = reinterpret_cast<char*>(row_of_lane(8 * i + l / 4)) + l % 4 * 4;
    spectral::cpu::stmatrix_writes(word, where);
    std::memcpy(word, &r[i], 4);
  }
}
inline unsigned cluster_rank() { return spectral_self->grid->cluster_rank; }
inline void cluster_arrive(SPECTRAL_WHERE) { spectral::cpu::cluster_arrive(where); }
inline void cluster_wait(SPECTRAL_WHERE) { spectral::cpu::cluster_wait(where); }
template <int kRegisters>
void setmaxnreg_inc(SPECTRAL_WHERE) {
  spectral::cpu::took_aligned(where);
}
template <int kRegisters>
void setmaxnreg_dec(SPECTRAL_WHERE) {
  spectral::cpu::took_aligned(where);
}
#endif
