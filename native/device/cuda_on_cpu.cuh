// The CUDA C++ language as far as our kernels use it, for g++ on x86-64 Linux: qualifiers, the built-in
// variables, barriers, shuffles, votes, atomics and mathematics. Each waiting call records the
// source line it was made from, for the reports of deadlocks and faults.
#pragma once
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static thread_local   // a block never leaves the OS thread it started on; not for clusters
#define SPECTRAL_NO_TSAN __attribute__((no_sanitize("thread")))   // collectives read and write other lanes' stacks

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1;
  unsigned y = 1;
  unsigned z = 1;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

namespace spectral::cpu {
using Where = std::source_location;
struct Grid {
  uint3 block;
  dim3 block_size, grid_size;
  unsigned cluster_rank, cluster_size;
};
// The public part of a fiber.
struct Thread {
  uint3 index;
  unsigned linear;
  const Grid* grid;
  unsigned aligned;        // a hash of the instructions so far that all lanes of a warp take together
  unsigned aligned_line;   // of the last
};
using WarpFn = void (*)(void* const arg[32], unsigned mask);   // does a collective for all lanes

unsigned char* dynamic_shared();
[[noreturn]] void fail_misaligned(const void* address, unsigned bytes, Where);
void bar_sync(int id, int count, Where);   // count 0: every live thread of the block
void bar_arrive(int id, int count, Where);
void warp_op(unsigned mask, const char* name, void* arg, Where, WarpFn fn);
}   // namespace spectral::cpu

extern __thread spectral::cpu::Thread* spectral_self __attribute__((tls_model("initial-exec")));
#define threadIdx (spectral_self->index)
#define blockIdx (spectral_self->grid->block)
#define blockDim (spectral_self->grid->block_size)
#define gridDim (spectral_self->grid->grid_size)
#define SPECTRAL_WHERE spectral::cpu::Where where = spectral::cpu::Where::current()

// ldmatrix, stmatrix and setmaxnreg are no rendezvous here: whether all lanes took the same ones shows where they meet
// next.
namespace spectral::cpu {
__forceinline__ void took_aligned(const Where& where) {
  spectral_self->aligned = spectral_self->aligned * 31 + where.line();
  spectral_self->aligned_line = where.line();
}
}   // namespace spectral::cpu

// ---- barriers and warp collectives
__forceinline__ void __syncthreads(SPECTRAL_WHERE) { spectral::cpu::bar_sync(0, 0, where); }
__forceinline__ void __syncwarp(unsigned mask = ~0u, SPECTRAL_WHERE) {
  spectral::cpu::warp_op(mask, "__syncwarp", nullptr, where, [](void* const*, unsigned) {});
}
namespace spectral::cpu {
struct Shuffle {
  uint64_t in, out;
  int source;
};
template <class T>
T shuffle(unsigned mask, const char* name, T value, int source, Where where) {
  static_assert(sizeof(T) <= 8);
  Shuffle s{0, 0, source};
  std::memcpy(&s.in, &value, sizeof value);
  warp_op(mask, name, &s, where, [](void* const arg[32], unsigned lanes) SPECTRAL_NO_TSAN {
    for (unsigned r = lanes; r; r &= r - 1) {
      Shuffle* me = static_cast<Shuffle*>(arg[std::countr_zero(r)]);
      const bool active = lanes >> me->source & 1;   // reading an inactive lane is undefined: a NaN shows it
      me->out = active ? static_cast<Shuffle*>(arg[me->source])->in : 0xfff7fff7fff7fff7u;
    }
  });
  std::memcpy(&value, &s.out, sizeof value);
  return value;
}
inline int lane() { return int(spectral_self->linear & 31); }
}   // namespace spectral::cpu
template <class T>
T __shfl_sync(unsigned mask, T v, int source, int width = 32, SPECTRAL_WHERE) {
  return spectral::cpu::shuffle(
      mask, "__shfl_sync", v, (spectral::cpu::lane() & ~(width - 1)) | (source & (width - 1)), where);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int lanes, int width = 32, SPECTRAL_WHERE) {
  const int l = spectral::cpu::lane();
  const int s = l ^ lanes;
  return spectral::cpu::shuffle(mask, "__shfl_xor_sync", v, (s | (width - 1)) > (l | (width - 1)) ? l : s, where);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, int delta, int width = 32, SPECTRAL_WHERE) {
  const int l = spectral::cpu::lane();
  const int s = l + delta;
  return spectral::cpu::shuffle(mask, "__shfl_down_sync", v, s > (l | (width - 1)) ? l : s, where);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, SPECTRAL_WHERE) {
  unsigned v = predicate != 0;
  spectral::cpu::warp_op(mask, "__ballot_sync", &v, where, [](void* const arg[32], unsigned lanes) SPECTRAL_NO_TSAN {
    unsigned votes = 0;
    for (unsigned r = lanes; r; r &= r - 1)
      votes |= *static_cast<unsigned*>(arg[std::countr_zero(r)]) << std::countr_zero(r);
    for (unsigned r = lanes; r; r &= r - 1)
      *static_cast<unsigned*>(arg[std::countr_zero(r)]) = votes;
  });
  return v;
}

// ---- atomics (blocks run on several OS threads) and mathematics
template <class T>
T atomicAdd(T* p, std::type_identity_t<T> v) {
  return std::atomic_ref<T>(*p).fetch_add(v);
}
template <class T>
T atomicMax(T* p, std::type_identity_t<T> v) {
  std::atomic_ref<T> a(*p);
  T old = a.load();
  while (old < v && !a.compare_exchange_weak(old, v)) {}
  return old;
}
inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline unsigned __float_as_uint(float f) { return std::bit_cast<unsigned>(f); }
inline int __float_as_int(float f) { return std::bit_cast<int>(f); }
inline float __uint_as_float(unsigned u) { return std::bit_cast<float>(u); }
inline float __int_as_float(int i) { return std::bit_cast<float>(i); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
inline float __fmul_rn(float a, float b) {   // never contracted into an fma
  float product = a * b;
  asm("" : "+x"(product));
  return product;
}
inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline int __popc(unsigned v) { return std::popcount(v); }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __clz(int v) { return std::countl_zero(unsigned(v)); }
template <class T>
__forceinline__ T __ldg(const T* p) {
  return *p;
}
template <class T>
__forceinline__ T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
__forceinline__ T max(T a, T b) {
  return a < b ? b : a;
}

struct __nv_bfloat16 {
  uint16_t bits;
};
__forceinline__ float __bfloat162float(__nv_bfloat16 h) { return __uint_as_float(unsigned(h.bits) << 16); }
__forceinline__ __nv_bfloat16 __float2bfloat16(float f) {   // to nearest, ties to even; NaN stays NaN
  const unsigned u = __float_as_uint(f);
  const unsigned rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
  return {uint16_t((u & 0x7fffffff) > 0x7f800000 ? 0x7fff : rounded)};
}
