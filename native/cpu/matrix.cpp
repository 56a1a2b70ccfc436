// The matrix products of mma.sync and wgmma on the register fragments of a whole warp or warpgroup.
#include "wgmma_descriptor.h"
#include "worker.h"
#include <algorithm>
#include <immintrin.h>

namespace spectral::cpu {

// ---- products. In the fragments of mma and wgmma a lane (g, q) = (lane/4, lane%4) holds, for every 8 columns j,
// d[j][h][e] = D[g + 8h][8j + 2q + e]. So for one q, with b2[k][j][h][e] = B[k][8j + 2q + e] and
// a4[k] = (A[g], A[g], A[g+8], A[g+8]), a lane's registers are one long vector: d += a4[k] (repeated) * b2[k].
namespace {
typedef float V4 __attribute__((vector_size(16), aligned(4), may_alias));
inline float up(uint32_t bits) { return std::bit_cast<float>(bits << 16); }

// repeat4: four floats of a4, repeated across a V of kWidth floats. (GCC 12 turns the portable shuffle into a
// store-forwarding stall.)
#if defined(__AVX512F__)
typedef float V __attribute__((vector_size(64), aligned(4), may_alias));
inline V repeat4(const float* p) { return _mm512_broadcast_f32x4(_mm_loadu_ps(p)); }
constexpr int kRows = 4;
#elif defined(__AVX__)
typedef float V __attribute__((vector_size(32), aligned(4), may_alias));
inline V repeat4(const float* p) { return _mm256_broadcast_ps(reinterpret_cast<const __m128*>(p)); }
constexpr int kRows = 2;
#else
typedef V4 V;
inline V repeat4(const float* p) { return *reinterpret_cast<const V4*>(p); }
constexpr int kRows = 2;
#endif
constexpr int kWidth = sizeof(V) / sizeof(float);

template <int kVectors, int kRegisterRows>
inline void fma_rows(float* const* d, const float* const* a4, const float* b2, int depth, int ld) {
  V acc[kRegisterRows][kVectors];
  for (int r = 0; r < kRegisterRows; ++r)
    for (int v = 0; v < kVectors; ++v)
      acc[r][v] = *reinterpret_cast<const V*>(d[r] + kWidth * v);
  for (int k = 0; k < depth; ++k) {
    V b[kVectors];
    for (int v = 0; v < kVectors; ++v)
      b[v] = *reinterpret_cast<const V*>(b2 + k * ld + kWidth * v);
    for (int r = 0; r < kRegisterRows; ++r) {
      V a = repeat4(a4[r] + 4 * k);
      for (int v = 0; v < kVectors; ++v)
        acc[r][v] += a * b[v];
    }
  }
  for (int r = 0; r < kRegisterRows; ++r)
    for (int v = 0; v < kVectors; ++v)
      *reinterpret_cast<V*>(d[r] + kWidth * v) = acc[r][v];
}
// eight rows of n registers each; enough independent sums to hide the latency of an FMA
void fma_block(float* const* d, const float* const* a4, const float* b2, int depth, int n) {
  auto strip = [&]<int kVectors, int kRegisterRows>(int i) {
    for (int r = 0; r < 8; r += kRegisterRows) {
      float* e[kRegisterRows];
      for (int k = 0; k < kRegisterRows; ++k)
        e[k] = d[r + k] + i;
      fma_rows<kVectors, kRegisterRows>(e, a4 + r, b2 + i, depth, n);
    }
  };
  int i = 0;
  for (; n - i >= 4 * kWidth; i += 4 * kWidth)
    strip.template operator()<4, kRows>(i);
  for (; n - i >= kWidth; i += kWidth)
    strip.template operator()<1, 2 * kRows>(i);
  for (; i < n; i += 4)   // narrower than a vector
    for (int r = 0; r < 8; ++r) {
      V4 acc = *reinterpret_cast<const V4*>(d[r] + i);
      for (int k = 0; k < depth; ++k)
        acc += *reinterpret_cast<const V4*>(a4[r] + 4 * k) * *reinterpret_cast<const V4*>(b2 + k * n + i);
      *reinterpret_cast<V4*>(d[r] + i) = acc;
    }
}
}   // namespace

void mma_all(void* const arg[32], unsigned mask) {
  require_full_warp(mask, "mma_tile");
  const MmaArgument& g0 = *static_cast<MmaArgument*>(arg[0]);
  const int mt = g0.row_tiles;
  const int nt = g0.column_tiles;
  const int w = nt * 4;
  std::vector<float>& s = self()->worker->scratch;
  if (s.size() < size_t(mt * 8 * 64 + 4 * 16 * w))
    s.resize(mt * 8 * 64 + 4 * 16 * w);
  float* a4 = s.data();
  float* b2 = a4 + mt * 8 * 64;   // a4[mt][g][k][4], b2[q][k][nt*4]
  for (int l = 0; l < 32; ++l) {
    const MmaArgument& x = *static_cast<MmaArgument*>(arg[l]);
    const int g = l / 4;
    const int q = l % 4;
    for (int i = 0; i < mt; ++i)
      for (int h = 0; h < 2; ++h) {
        uint32_t lo = x.a[4 * i + 2 * h];
        uint32_t hi = x.a[4 * i + 2 * h + 1];
        float* p = a4 + ((i * 8 + g) * 16 + 8 * h + 2 * q) * 4;
        *reinterpret_cast<V4*>(p) = V4{up(lo & 0xffff), up(lo & 0xffff), up(hi & 0xffff), up(hi & 0xffff)};
        *reinterpret_cast<V4*>(p + 4) = V4{up(lo >> 16), up(lo >> 16), up(hi >> 16), up(hi >> 16)};
      }
    for (int j = 0; j < nt; ++j)
      for (int h = 0; h < 2; ++h) {
        uint32_t b = x.b[2 * j + h];
        float* p = b2 + (g / 2 * 16 + 8 * h + 2 * q) * w + 4 * j + g % 2;
        p[0] = p[2] = up(b & 0xffff);
        p[w] = p[w + 2] = up(b >> 16);
      }
  }
  for (int q = 0; q < 4; ++q)
    for (int i = 0; i < mt; ++i) {
      float* d[8];
      const float* a[8];
      for (int g = 0; g < 8; ++g) {
        d[g] = static_cast<MmaArgument*>(arg[g * 4 + q])->d + i * w;
        a[g] = a4 + (i * 8 + g) * 64;
      }
      fma_block(d, a, b2 + q * 16 * w, 16, w);
    }
}

// ---- wgmma: recorded at issue, done at the wait by the last of the 128 threads
void wgmma_fence() {
  Fiber* f = self();
  f->wg_fenced = true;
  std::erase_if(f->wg_sums, [](const Fiber::Sums& s) { return !s.in_flight; });
}
static constexpr uint32_t kInFlight = 0xfff7fff7;   // a NaN
static void take_away(Fiber::Sums& sums) {
  sums.values.assign(sums.d, sums.d + sums.values.size());
  sums.in_flight = true;
  std::fill_n(sums.d, sums.values.size(), std::bit_cast<float>(kInFlight));
}
static void give_back(Fiber* f, Fiber::Sums& sums) {
  for (size_t i = 0; i < sums.values.size(); ++i)
    if (std::bit_cast<uint32_t>(sums.d[i]) != kInFlight)
      f->worker->fail(&f->where, "wgmma: its accumulators were written before the wait for it (wgmma.wait_group)");
  std::copy(sums.values.begin(), sums.values.end(), sums.d);
  sums.in_flight = false;
}
// PTX ISA, "wgmma.fence": without another one, only accumulators that nothing has used since the last wgmma. Here only
// that nothing has changed them is seen. "wgmma.mma_async": until the wait nothing may read them; here reads give NaN.
static void take_sums(Fiber* f, float* d, int n, const Where& w) {
  if (!f->wg_fenced)
    f->worker->fail(&w, "wgmma without a wgmma.fence before it");
  auto sums = std::find_if(f->wg_sums.begin(), f->wg_sums.end(), [&](const Fiber::Sums& s) { return s.d == d; });
  if (sums == f->wg_sums.end()) {
    f->wg_sums.push_back({d, std::vector<float>(n / 2), false});
    return take_away(f->wg_sums.back());
  }
  if (sums->values.size() != size_t(n / 2))
    f->worker->fail(&w, "wgmma of another shape on the same accumulators, without a wgmma.fence");
  if (sums->in_flight)
    return;
  if (std::memcmp(d, sums->values.data(), sums->values.size() * sizeof(float)))
    f->worker->fail(&w, "wgmma: its accumulators were changed since the last one, without a wgmma.fence");
  take_away(*sums);
}
void wgmma(float* d, int n, uint64_t a, uint64_t b, int scale_d, bool b_depth_rows, Where w) {
  Fiber* f = self();
  hopper(w);
  take_sums(f, d, n, w);
  for (uint64_t x : {a, b}) {
    if (WgmmaDescriptor::swizzle(x) != 1)
      f->worker->fail(&w, "wgmma descriptor %016llx: only the 128-byte swizzle is emulated", (unsigned long long)x);
    if (WgmmaDescriptor::base_offset(x))
      f->worker->fail(
          &w,
          "wgmma descriptor %016llx: base offset %d, only 0 is emulated",
          (unsigned long long)x,
          int(WgmmaDescriptor::base_offset(x)));
    if (x & WgmmaDescriptor::kUnusedBits)
      f->worker->fail(&w, "wgmma descriptor %016llx: bits that must be zero are not", (unsigned long long)x);
  }
  f->wg.push_back({d, a, b, n, scale_d, b_depth_rows, w});
}
void wgmma_commit(Where w) {
  Fiber* f = self();
  f->wg_end.push_back(int(f->wg.size()));
  if (options.eager)
    wgmma_wait(0, w);
}

namespace {
// Eight values from a 16-byte unit of swizzled shared memory, as f32.
void wg_unit(Worker& k, const Cta& cta, const Where& w, uint32_t offset, float* out) {
  const uint32_t off = swizzle128(offset);
  if (off + 16 > k.smem_size)
    k.fail(&w, "wgmma reads shared offset %u of %zu", off, k.smem_size);
  k.check_published(cta, off, off + 16, "wgmma reads", w);
  uint16_t h[8];
  TSAN(__tsan_read_range(cta.smem + off, 16));
  std::memcpy(h, cta.smem + off, 16);
  for (int i = 0; i < 8; ++i)
    out[i] = up(h[i]);
}
// Row r of a K-major tile, 16 depths.
void wg_row(Worker& k, const Cta& cta, const Where& w, const WgmmaDescriptor& d, int r, float* out) {
  for (int c = 0; c < 2; ++c)
    wg_unit(k, cta, w, d.start + r / 8 * d.stride + r % 8 * 128 + c * 16, out + 8 * c);
}
// Columns 8j ... 8j + 7 at one depth of a [depth, N] tile.
void wg_columns(Worker& k, const Cta& cta, const Where& w, const WgmmaDescriptor& d, int j, int depth, float* out) {
  wg_unit(k, cta, w, d.start + j / 8 * d.leading + depth / 8 * d.stride + depth % 8 * 128 + j % 8 * 16, out);
}

// b2[k][j][h][e] = B[k][8j + 2q + e] of one 16-deep product.
void wg_b(Worker& k, const Cta& cta, const Where& w, const WgOp& op, int q, float* b2) {
  const WgmmaDescriptor d(op.b);
  const int nj = op.n / 8;
  for (int j = 0; j < nj; ++j) {
    if (op.b_depth_rows) {
      for (int i = 0; i < 16; ++i) {
        float v[8];
        wg_columns(k, cta, w, d, j, i, v);
        *reinterpret_cast<V4*>(b2 + (i * nj + j) * 4) = V4{v[2 * q], v[2 * q + 1], v[2 * q], v[2 * q + 1]};
      }
    } else {
      float e0[16], e1[16];
      wg_row(k, cta, w, d, 8 * j + 2 * q, e0);
      wg_row(k, cta, w, d, 8 * j + 2 * q + 1, e1);
      for (int i = 0; i < 16; ++i)
        *reinterpret_cast<V4*>(b2 + (i * nj + j) * 4) = V4{e0[i], e1[i], e0[i], e1[i]};
    }
  }
}

void wg_run(Worker& k, WarpGroup& g, int first, int last) {   // ops [first, last) of one accumulator
  const std::vector<WgOp>& ops = g.fiber[0]->wg;
  const Cta& cta = *g.fiber[0]->cta;
  const Where& w = g.fiber[0]->where;
  const int depth = 16 * (last - first);
  const int n = ops[first].n;
  const int nj = n / 8;
  if (k.scratch.size() < size_t(64 * depth * 2 + depth * n / 2 + 16))
    k.scratch.resize(64 * depth * 2 + depth * n / 2 + 16);
  float* a4 = k.scratch.data();
  float* b2 = a4 + 32 * depth * 4;   // a4[row pair][k][4], b2[k][nj*4] of one q
  for (int o = first; o < last; ++o) {
    const WgmmaDescriptor a(ops[o].a);
    for (int p = 0; p < 32; ++p) {   // warp p/8, g = p%8
      float lo[16], hi[16];
      int row = p / 8 * 16 + p % 8;
      wg_row(k, cta, w, a, row, lo);
      wg_row(k, cta, w, a, row + 8, hi);
      float* d = a4 + (p * depth + 16 * (o - first)) * 4;
      for (int i = 0; i < 16; ++i)
        *reinterpret_cast<V4*>(d + 4 * i) = V4{lo[i], lo[i], hi[i], hi[i]};
    }
  }
  for (int q = 0; q < 4; ++q) {
    for (int o = first; o < last; ++o)
      wg_b(k, cta, w, ops[o], q, b2 + 16 * (o - first) * nj * 4);
    for (int p = 0; p < 32; p += 8) {
      float* d[8];
      const float* a[8];
      for (int r = 0; r < 8; ++r) {
        d[r] = g.fiber[(p + r) / 8 * 32 + (p + r) % 8 * 4 + q]->wg[first].d;
        if (!ops[first].scale_d)
          std::memset(d[r], 0, n / 2 * sizeof(float));
        a[r] = a4 + (p + r) * depth * 4;
      }
      fma_block(d, a, b2, depth, nj * 4);
    }
  }
}
}   // namespace

// The sums of the first n products of the thread are there while these are made; then they are kept, or away again
// for those that follow.
static bool has_op(const Fiber* f, int first, int end, const Fiber::Sums& sums) {
  return std::any_of(f->wg.begin() + first, f->wg.begin() + end, [&](const WgOp& o) { return o.d == sums.d; });
}
static void restore_sums(Fiber* f, int n) {
  for (Fiber::Sums& sums : f->wg_sums)
    if (has_op(f, 0, n, sums))
      give_back(f, sums);
}
static void keep_sums(Fiber* f, int n) {
  for (Fiber::Sums& sums : f->wg_sums) {
    if (!has_op(f, 0, n, sums))
      continue;
    sums.values.assign(sums.d, sums.d + sums.values.size());
    if (has_op(f, n, int(f->wg.size()), sums))
      take_away(sums);
  }
}

void wgmma_wait(int keep, Where w) {
  Fiber* f = self();
  Worker& k = *f->worker;
  WarpGroup& g = f->cta->groups[f->t.linear / 128];
  f->wg_keep = keep;
  f->where = w;
  g.fiber[f->t.linear % 128] = f;
  TSAN(__tsan_release(&g));
  if (++g.arrived < 128) {
    k.wait(f, "wgmma.wait_group", &g, keep, w);
    TSAN(__tsan_acquire(&g));
    return;
  }
  TSAN(__tsan_acquire(&g));
  g.arrived = 0;
  const Fiber& f0 = *g.fiber[0];
  int done = int(f0.wg_end.size()) - keep;
  int n = done > 0 ? f0.wg_end[done - 1] : 0;
  for (Fiber* o : g.fiber) {
    if (o->wg_end != f0.wg_end || o->wg_keep != keep)
      k.fail(&o->where, "wgmma: threads of the warpgroup issued different groups");
    for (int i = 0; i < n; ++i)
      if (o->wg[i].a != f0.wg[i].a || o->wg[i].b != f0.wg[i].b || o->wg[i].scale_d != f0.wg[i].scale_d)
        k.fail(&o->where, "wgmma: descriptors differ between threads of the warpgroup");
  }
  k.note_writes();
  for (Fiber* o : g.fiber)
    restore_sums(o, n);
  for (int i = 0, e; i < n; i = e) {
    for (e = i + 1; e < n && f0.wg[e].d == f0.wg[i].d && f0.wg[e].scale_d && f0.wg[e].n == f0.wg[i].n; ++e) {}
    wg_run(k, g, i, e);
  }
  for (Fiber* o : g.fiber) {
    if (done > 0) {
      keep_sums(o, n);
      o->wg.erase(o->wg.begin(), o->wg.begin() + n);
      o->wg_end.erase(o->wg_end.begin(), o->wg_end.begin() + done);
      for (int& x : o->wg_end)
        x -= n;
    }
    if (o != f)
      k.ready(o);
  }
  TSAN(__tsan_release(&g));   // the last thread read for all
  k.released(f);
}
}   // namespace spectral::cpu
