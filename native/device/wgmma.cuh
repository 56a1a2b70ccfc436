// Hopper's warpgroup products (sm_90a): D[64, N] += A[64, 16] B[16, N], bf16 in, f32 sums in registers, both operands
// in shared memory behind descriptors, in the 128-byte swizzle of TMA. A is K-major: rows of 64 depths. B is K-major
// too ([N, depth]), or with kBDepthRows = 1 as it lies in a row-major [depth, N] matrix: rows of 64 columns.
// Thread t of the 128 has, with (g, q) = (t % 32 / 4, t % 4), D[t / 32 * 16 + g + 8h][8j + 2q + e] in d[4j + 2h + e].
#pragma once
#include "async_copy.cuh"

#ifdef __CUDACC__
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
// Before the first product on the sums d, and before one whose sums other instructions have touched. Naming them holds
// nvcc from moving what sets them to behind the fence.
template <int kSums>
__device__ __forceinline__ void wgmma_fence(float (&d)[kSums]) {
#pragma unroll
  for (int i = 0; i < kSums; ++i)
    asm volatile("" : "+f"(d[i]) : : "memory");
  asm volatile("wgmma.fence.sync.aligned;" : : : "memory");
}
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" : : : "memory"); }
template <int kPending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" : : "n"(kPending) : "memory");
}
// scale_d 0 clears d first.
#define F4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define F16(i) F4(i), F4(i + 4), F4(i + 8), F4(i + 12)
#define F64(i) F16(i), F16(i + 16), F16(i + 32), F16(i + 48)
template <int kBDepthRows>
__device__ __forceinline__ void wgmma_m64n64k16(float (&d)[32], uint64_t a, uint64_t b, int scale_d) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
      "%32, %33, p, 1, 1, 0, %35;\n}"
      : F16(0), F16(16)
      : "l"(a), "l"(b), "r"(scale_d), "n"(kBDepthRows));
}
template <int kBDepthRows>
__device__ __forceinline__ void wgmma_m64n128k16(float (&d)[64], uint64_t a, uint64_t b, int scale_d) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
      "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
      "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, "
      "%64, %65, p, 1, 1, 0, %67;\n}"
      : F64(0)
      : "l"(a), "l"(b), "r"(scale_d), "n"(kBDepthRows));
}
template <int kBDepthRows>
__device__ __forceinline__ void wgmma_m64n256k16(float (&d)[128], uint64_t a, uint64_t b, int scale_d) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %130, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
      "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
      "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,"
      "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,"
      "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,"
      "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,"
      "%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127}, "
      "%128, %129, p, 1, 1, 0, %131;\n}"
      : F64(0), F64(64)
      : "l"(a), "l"(b), "r"(scale_d), "n"(kBDepthRows));
}
#undef F64
#undef F16
#undef F4
#endif

#else
namespace spectral::cpu {
void wgmma(float* d, int n, uint64_t a, uint64_t b, int scale_d, bool b_depth_rows, Where);
void wgmma_fence();
void wgmma_commit(Where);
void wgmma_wait(int keep, Where);
}   // namespace spectral::cpu

template <int kSums>
void wgmma_fence(float (&)[kSums]) {
  spectral::cpu::wgmma_fence();
}
inline void wgmma_commit(SPECTRAL_WHERE) { spectral::cpu::wgmma_commit(where); }
template <int kPending>
void wgmma_wait(SPECTRAL_WHERE) {
  spectral::cpu::wgmma_wait(kPending, where);
}
template <int kBDepthRows>
void wgmma_m64n64k16(float (&d)[32], uint64_t a, uint64_t b, int scale_d, SPECTRAL_WHERE) {
  spectral::cpu::wgmma(d, 64, a, b, scale_d, kBDepthRows, where);
}
template <int kBDepthRows>
void wgmma_m64n128k16(float (&d)[64], uint64_t a, uint64_t b, int scale_d, SPECTRAL_WHERE) {
  spectral::cpu::wgmma(d, 128, a, b, scale_d, kBDepthRows, where);
}
template <int kBDepthRows>
void wgmma_m64n256k16(float (&d)[128], uint64_t a, uint64_t b, int scale_d, SPECTRAL_WHERE) {
  spectral::cpu::wgmma(d, 256, a, b, scale_d, kBDepthRows, where);
}
#endif

#if !defined(__CUDACC__) || !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
// A descriptor's bits: start address / 16 in 0-13, leading byte offset / 16 in 16-29, stride byte offset / 16 in 32-45,
// base offset (0: patterns start at multiples of 1024) in 49-51, swizzle in 62-63 (1: 128 bytes). 1024-aligned tiles of
// 128-byte rows.
__device__ __forceinline__ uint64_t wgmma_descriptor_bits(const void* tile, uint32_t leading, uint32_t stride) {
  return uint64_t((shared_address(tile) & 0x3ffff) >> 4) | uint64_t(leading >> 4) << 16 | uint64_t(stride >> 4) << 32 |
         uint64_t(1) << 62;
}
// K-major: a row per position, 64 depths each; 1024 bytes from 8 rows to the next 8; the leading offset has no meaning.
// The next 16 depths are 32 bytes on: descriptor + 2.
__device__ __forceinline__ uint64_t wgmma_descriptor(const void* tile) { return wgmma_descriptor_bits(tile, 16, 1024); }
// [depth, N] tiles of 64 columns: a row per depth; 1024 bytes from 8 depths to the next 8 (stride), block_bytes from 64
// columns to the next 64 (leading). The next 16 depths are 2048 bytes on: descriptor + 128.
__device__ __forceinline__ uint64_t wgmma_descriptor_depth_rows(const void* tile, uint32_t block_bytes) {
  return wgmma_descriptor_bits(tile, block_bytes, 1024);
}
#endif
