// Hopper (sm_90a): mbarriers, TMA loads, wgmma. Only kernels whose name ends in _sm90 use these; for an
// older target the functions do not exist, so such a kernel file does not compile for it.
#pragma once
#include "async_copy.cuh"

#ifdef __CUDACC__
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
__device__ __forceinline__ void mbar_init(uint64_t* b, int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(b)), "r"(count) : "memory");
}
__device__ __forceinline__ void mbar_init_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
__device__ __forceinline__ void mbar_arrive(uint64_t* b) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(b)) : "memory");
}
__device__ __forceinline__ void mbar_arrive_expect_tx(uint64_t* b, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(b)), "r"(bytes) : "memory");
}
// Returns when the phase of the given parity has completed.
__device__ __forceinline__ void mbar_wait(uint64_t* b, int parity) {
  asm volatile("{\n.reg .pred p;\nW: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n@!p bra W;\n}"
               ::"r"(shared_address(b)), "r"(parity) : "memory");
}
// The map's box at column x, row y into shared memory; its bytes count on the barrier.
__device__ __forceinline__ void tma_load_2d(void* dst, const TensorMap* map, uint64_t* bar, int x, int y) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3,%4}], [%2];"
               ::"r"(shared_address(dst)), "l"(map), "r"(shared_address(bar)), "r"(x), "r"(y) : "memory");
}
template <int N> __device__ __forceinline__ void setmaxnreg_inc() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N)); }
template <int N> __device__ __forceinline__ void setmaxnreg_dec() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N)); }
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N> __device__ __forceinline__ void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory"); }
// d[64] += A[64x16] B[128x16]^T, both K-major in shared memory behind descriptors; scale_d 0 clears d first.
__device__ __forceinline__ void wgmma_m64n128k16(float (&d)[64], uint64_t a, uint64_t b, int scale_d) {
#define F8(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"
    "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
    "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
    "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63},"
    " %64, %65, p, 1, 1, 0, 0;\n}"
    : F8(0), F8(8), F8(16), F8(24), F8(32), F8(40), F8(48), F8(56) : "l"(a), "l"(b), "r"(scale_d));
#undef F8
}
#endif

#else
namespace spectral::cpu {
void mbar_init(uint64_t*, int count);
void mbar_arrive(uint64_t*, int expected_bytes, Where);
void mbar_wait(uint64_t*, int parity, Where);
void tma_load_2d(void* dst, const TensorMap*, uint64_t* bar, int x, int y, Where);
void wgmma(float* d, int n, uint64_t a, uint64_t b, int scale_d, Where);
void wgmma_commit(Where);
void wgmma_wait(int keep, Where);
}  // namespace spectral::cpu

inline void mbar_init(uint64_t* b, int count) { spectral::cpu::mbar_init(b, count); }
inline void mbar_init_fence() {}
inline void mbar_arrive(uint64_t* b, SPECTRAL_WHERE) { spectral::cpu::mbar_arrive(b, 0, where); }
inline void mbar_arrive_expect_tx(uint64_t* b, int bytes, SPECTRAL_WHERE) { spectral::cpu::mbar_arrive(b, bytes, where); }
inline void mbar_wait(uint64_t* b, int parity, SPECTRAL_WHERE) { spectral::cpu::mbar_wait(b, parity, where); }
inline void tma_load_2d(void* dst, const TensorMap* map, uint64_t* bar, int x, int y, SPECTRAL_WHERE) {
  spectral::cpu::tma_load_2d(dst, map, bar, x, y, where);
}
template <int N> void setmaxnreg_inc() {}
template <int N> void setmaxnreg_dec() {}
inline void wgmma_fence() {}
inline void wgmma_commit(SPECTRAL_WHERE) { spectral::cpu::wgmma_commit(where); }
template <int N> void wgmma_wait(SPECTRAL_WHERE) { spectral::cpu::wgmma_wait(N, where); }
inline void wgmma_m64n128k16(float (&d)[64], uint64_t a, uint64_t b, int scale_d, SPECTRAL_WHERE) {
  spectral::cpu::wgmma(d, 128, a, b, scale_d, where);
}
#endif

#if !defined(__CUDACC__) || !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
// Descriptor of a K-major tile of 128-byte rows, 128-byte swizzle, 1024-byte aligned: start address, leading
// offset (unused in this mode), 1024 bytes between groups of 8 rows, swizzle mode 1.
__device__ __forceinline__ uint64_t wgmma_descriptor(const void* tile) {
  return uint64_t((shared_address(tile) & 0x3ffff) >> 4) | uint64_t(1) << 16 | uint64_t(1024 >> 4) << 32 | uint64_t(1) << 62;
}
#endif
