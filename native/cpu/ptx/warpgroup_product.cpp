// PTX ISA, "Asynchronous Warpgroup Level Matrix: Register Fragments": register 4 j + 2 h + e of lane (g, q) of warp i
// is D[16 i + g + 8 h][8 j + 2 q + e]; sums of 16 bits lie two in a register, 2 j + h, the even column in the low half.
// The ISA leaves open how precise the sums are in between: here each product is added in f32, in the order of depth,
// and sums of 16 bits are rounded once for each instruction.
#include "warpgroup_product.h"
#include "block.h"
#include <immintrin.h>

namespace spectral::cpu::ptx {
namespace {
template <class T>
using ATile = T[64][kMaxDepth];
template <class T>
using BTile = T[kMaxDepth][256];

// One register of sums of a warp, of lanes 8 v to 8 v + 7 each.
struct FloatSums {
  __m256 v[4];
};
FloatSums load_sums(Warp& w, const uint32_t* places, Element kind, uint32_t j, uint32_t h, uint32_t e) {
  FloatSums sums;
  if (kind == Element::F32) {
    const float* d = w.lanes<float>(places[4 * j + 2 * h + e]);
    for (int v = 0; v < 4; ++v)
      sums.v[v] = _mm256_loadu_ps(d + 8 * v);
    return sums;
  }
  alignas(32) float values[32];
  const uint32_t* pairs = w.lanes<uint32_t>(places[2 * j + h]);
  for (int lane = 0; lane < 32; ++lane)
    values[lane] = F16::of(pairs[lane] >> 16 * e & 0xffff);
  for (int v = 0; v < 4; ++v)
    sums.v[v] = _mm256_load_ps(values + 8 * v);
  return sums;
}
void store_sums(
    Warp& w, const uint32_t* places, Element kind, uint32_t j, uint32_t h, uint32_t e, const FloatSums& sums) {
  if (kind == Element::F32) {
    float* d = w.lanes<float>(places[4 * j + 2 * h + e]);
    for (int v = 0; v < 4; ++v)
      _mm256_storeu_ps(d + 8 * v, sums.v[v]);
    return;
  }
  alignas(32) float values[32];
  for (int v = 0; v < 4; ++v)
    _mm256_store_ps(values + 8 * v, sums.v[v]);
  for (int lane = 0; lane < 32; ++lane)
    set_element(w, places[2 * j + h], lane, Element::F16, int(e), values[lane]);
}
template <uint32_t kDepth>
void add_floats(Warp& w, const Step& s, bool clears, const ATile<float>& a, const BTile<float>& b) {
  const WgmmaForm form = form_of(s);
  const uint32_t* places = w.list(s);
  const uint32_t first = 16 * (w.index() % 4);
  alignas(32) float rows[2][kDepth][32];   // for each lane its A
  for (uint32_t h = 0; h < 2; ++h)
    for (uint32_t k = 0; k < kDepth; ++k)
      for (uint32_t lane = 0; lane < 32; ++lane)
        rows[h][k][lane] = a[first + lane / 4 + 8 * h][k];
  for (uint32_t j = 0; j < form.n / 8u; ++j)
    for (uint32_t e = 0; e < 2; ++e) {
      alignas(16) float columns[kDepth][4];
      for (uint32_t k = 0; k < kDepth; ++k)
        for (uint32_t q = 0; q < 4; ++q)
          columns[k][q] = b[k][8 * j + 2 * q + e];
      for (uint32_t h = 0; h < 2; ++h) {
        FloatSums sums{};
        if (!clears)
          sums = load_sums(w, places, form.sums, j, h, e);
        for (uint32_t k = 0; k < kDepth; ++k) {
          const __m256 column = _mm256_broadcast_ps(reinterpret_cast<const __m128*>(columns[k]));
          for (int v = 0; v < 4; ++v)
            sums.v[v] = _mm256_fmadd_ps(_mm256_load_ps(&rows[h][k][8 * v]), column, sums.v[v]);
        }
        store_sums(w, places, form.sums, j, h, e, sums);
      }
    }
}
// s8 and u8, and words of single bits whose common ones count.
void add_integers(Warp& w, const Step& s, bool clears, const ATile<int32_t>& a, const BTile<int32_t>& b) {
  const WgmmaForm form = form_of(s);
  const uint32_t* places = w.list(s);
  const uint32_t first = 16 * (w.index() % 4);
  const uint32_t depth = depth_of(form.a);
  for (uint32_t i = 0; i < form.n / 2u; ++i) {
    int32_t* d = w.lanes<int32_t>(places[i]);
    for (uint32_t lane = 0; lane < 32; ++lane) {
      const int32_t* row = a[first + lane / 4 + (i & 2 ? 8 : 0)];
      const uint32_t column = i / 4 * 8 + lane % 4 * 2 + (i & 1);
      int64_t sum = clears ? 0 : d[lane];
      for (uint32_t k = 0; k < depth; ++k)
        sum += form.a == Element::B1 ? std::popcount(uint32_t(row[k] & b[k][column])) : row[k] * b[k][column];
      d[lane] = int32_t(form.saturates ? std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX) : sum);
    }
  }
}
void add(Warp& w, const Step& s, bool clears, const ATile<int32_t>& a, const BTile<int32_t>& b) {
  add_integers(w, s, clears, a, b);
}
void add(Warp& w, const Step& s, bool clears, const ATile<float>& a, const BTile<float>& b) {
  switch (depth_of(form_of(s).a)) {
    case 8: return add_floats<8>(w, s, clears, a, b);
    case 16: return add_floats<16>(w, s, clears, a, b);
    default: return add_floats<32>(w, s, clears, a, b);
  }
}

template <class T>
void run(Warp* warps, const Step* const (&steps)[4], const WarpgroupProduct& p) {
  alignas(32) ATile<T> a;
  alignas(32) BTile<T> b;
  const Step& s = *steps[0];
  const WgmmaForm form = form_of(s);
  const OperandFormat of_a{form.a, (s.flags & kNegatesA) != 0, (s.flags & kRowMajorA) != 0};
  const OperandFormat of_b{form.b, (s.flags & kNegatesB) != 0, (s.flags & kRowMajorB) != 0};
  if (form.a_in_registers)
    for (unsigned i = 0; i < 4; ++i)
      read_registers(warps[i], warps[i].list(*steps[i]) + registers_of_sums(form), of_a, a + 16 * i);
  else
    read_operand(warps[0], s, p.a, of_a, 64, a[0], kMaxDepth, 1);
  read_operand(warps[0], s, p.b, of_b, form.n, b[0], 1, 256);
  for (unsigned i = 0; i < 4; ++i)
    add(warps[i], *steps[i], p.clears, a, b);
}
}   // namespace

void run_product(Warp* warps, const Step* const (&steps)[4], const WarpgroupProduct& p) {
  if (form_of(*steps[0]).sums == Element::S32)
    run<int32_t>(warps, steps, p);
  else
    run<float>(warps, steps, p);
}
}   // namespace spectral::cpu::ptx
