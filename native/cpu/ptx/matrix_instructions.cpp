// The matrix instructions of a warp. PTX ISA, "Warp Level Matrix Multiply-Accumulate": mma (fragments as in its
// figures), ldmatrix, stmatrix. A lane is (g, q) = (lane / 4, lane % 4) throughout.
#include "access.h"
#include "barriers.h"
#include "dispatch.h"
#include "half.h"
#include <immintrin.h>

namespace spectral::cpu::ptx {
namespace {
// ---- "ldmatrix", "stmatrix": matrices of 8 x 8 values of 16 bits; lane 8 i + r has the address of row r of matrix i,
// and with fewer than four matrices the addresses of the other lanes are not used
enum MatrixFlag : uint32_t { kTransposed = 8 };
// Checks the rows' addresses and makes them the host's.
void reach_rows(Warp& w, const Step& s, uint64_t* at, Effect effect) {
  constexpr unsigned kRowBytes = 16;
  const uint32_t n = s.b;
  const uint32_t all = w.mask;
  w.mask = n == 4 ? ~0u : (1u << 8 * n) - 1;
  reach<Space::Shared>(w, s, at, kRowBytes, effect);
  if (effect == Effect::Writes && w.program().uses_async_proxy)
    mark_writes(w, s, at, kRowBytes);
  w.mask = all;
}
void load_matrices(Warp& w, const Step& s) {
  if (!whole_warp(w, s, "ldmatrix"))
    return;
  uint64_t at[32];
  reach_rows(w, s, at, Effect::Reads);
  const uint32_t* places = w.list(s);
  for (uint32_t i = 0; i < s.b; ++i) {
    uint16_t m[8][8];
    for (uint32_t r = 0; r < 8; ++r)
      std::memcpy(m[r], reinterpret_cast<const void*>(at[8 * i + r]), sizeof m[r]);
    uint32_t* d = w.lanes<uint32_t>(places[i]);
    for (uint32_t lane = 0; lane < 32; ++lane) {
      const uint32_t g = lane / 4;
      const uint32_t q = lane % 4;
      d[lane] = s.flags & kTransposed ? m[2 * q][g] | uint32_t(m[2 * q + 1][g]) << 16
                                      : m[g][2 * q] | uint32_t(m[g][2 * q + 1]) << 16;
    }
  }
}
void store_matrices(Warp& w, const Step& s) {
  if (!whole_warp(w, s, "stmatrix"))
    return;
  uint64_t at[32];
  reach_rows(w, s, at, Effect::Writes);
  const uint32_t* places = w.list(s);
  for (uint32_t i = 0; i < s.b; ++i) {
    const uint32_t* from = w.lanes<uint32_t>(places[i]);
    uint16_t m[8][8];
    for (uint32_t lane = 0; lane < 32; ++lane) {
      const uint32_t g = lane / 4;
      const uint32_t q = lane % 4;
      const auto low = uint16_t(from[lane]);
      const auto high = uint16_t(from[lane] >> 16);
      if (s.flags & kTransposed) {
        m[2 * q][g] = low;
        m[2 * q + 1][g] = high;
      } else {
        m[g][2 * q] = low;
        m[g][2 * q + 1] = high;
      }
    }
    for (uint32_t r = 0; r < 8; ++r)
      std::memcpy(reinterpret_cast<void*>(at[8 * i + r]), m[r], sizeof m[r]);
  }
}

void build_matrices(Builder& b, bool loads) {
  b.take("sync");
  b.take("aligned");
  const bool shape = b.take("m8n8");
  const int number = b.take_one_of({"x1", "x2", "x4"});
  const bool transposed = b.take("trans");
  const bool shared = b.take_one_of({"shared", "shared::cta"}) >= 0;
  const Type t = b.take_type();
  if (!shape || number < 0 || !shared || t != Type::B16)
    b.fail("expected .m8n8, .x1, .x2 or .x4, .shared and .b16");
  b.expect_operands(2);
  const Operand& fragments = b.operand(loads ? 0 : 1);
  const std::vector<Operand>* parts = Builder::parts_of(fragments);
  const size_t n = size_t(1) << number;
  if ((parts ? parts->size() : 1) != n)
    b.fail(fragments, "expected " + std::to_string(n) + " registers");
  const MemoryOperand memory = b.memory(loads ? 1 : 0);
  std::vector<uint32_t> places;
  for (size_t i = 0; i < n; ++i) {
    const Operand& o = parts ? (*parts)[i] : fragments;
    places.push_back(loads ? b.write(o, Type::B32) : b.read(o, Type::B32));
  }
  const uint32_t list = b.list(places);
  Step& s = b.emit(loads ? &load_matrices : &store_matrices);
  set_address(s, memory);
  s.b = uint32_t(n);
  s.list = list;
  s.flags |= transposed ? kTransposed : 0u;
}
void build_ldmatrix(Builder& b) { build_matrices(b, true); }
void build_stmatrix(Builder& b) { build_matrices(b, false); }

// ---- "mma": m16n8k16 and m16n8k8, D = A B + C in f32, each sum in the order of k with one rounding per product
struct Product {
  alignas(32) float a[16][16];
  alignas(32) float b[16][8];
  alignas(32) float d[16][8];
};
template <int kDepth>
void multiply(Product& p) {
  for (int first = 0; first < 16; first += 8) {   // eight rows of accumulators stay in registers
    __m256 sums[8];
    for (int i = 0; i < 8; ++i)
      sums[i] = _mm256_load_ps(p.d[first + i]);
    for (int k = 0; k < kDepth; ++k) {
      const __m256 row = _mm256_load_ps(p.b[k]);
      for (int i = 0; i < 8; ++i)
        sums[i] = _mm256_fmadd_ps(_mm256_set1_ps(p.a[first + i][k]), row, sums[i]);
    }
    for (int i = 0; i < 8; ++i)
      _mm256_store_ps(p.d[first + i], sums[i]);
  }
}
struct Bf16 {
  static float of(uint32_t bits) { return std::bit_cast<float>(bits << 16); }
};
struct F16 {
  static float of(uint32_t bits) { return from_f16(uint16_t(bits)); }
};

// "Matrix Fragments for mma.m16n8k16 with floating point type" and "mma.m16n8k8".
// Of A: register 2 half + h has rows g + 8 h, depths 8 half + 2 q and the next. Of B: register half has column g. Of C
// and D: register 2 h + e has row g + 8 h, column 2 q + e.
template <class Element, int kHalves>
void multiply_warp(Warp& w, const Step& s) {
  if (!whole_warp(w, s, "mma"))
    return;
  const uint32_t* places = w.list(s);   // d[4], a[2 kHalves], b[kHalves], c[4]
  const uint32_t* of_a = places + 4;
  const uint32_t* of_b = of_a + 2 * kHalves;
  const uint32_t* of_c = of_b + kHalves;
  Product p;
  for (int half = 0; half < kHalves; ++half) {
    const uint32_t* b = w.lanes<uint32_t>(of_b[half]);
    for (int lane = 0; lane < 32; ++lane) {
      const int depth = 8 * half + lane % 4 * 2;
      p.b[depth][lane / 4] = Element::of(b[lane] & 0xffff);
      p.b[depth + 1][lane / 4] = Element::of(b[lane] >> 16);
    }
    for (int h = 0; h < 2; ++h) {
      const uint32_t* a = w.lanes<uint32_t>(of_a[2 * half + h]);
      for (int lane = 0; lane < 32; ++lane) {
        float* row = &p.a[lane / 4 + 8 * h][8 * half + lane % 4 * 2];
        row[0] = Element::of(a[lane] & 0xffff);
        row[1] = Element::of(a[lane] >> 16);
      }
    }
  }
  for (int h = 0; h < 2; ++h) {
    const float* c0 = w.lanes<float>(of_c[2 * h]);
    const float* c1 = w.lanes<float>(of_c[2 * h + 1]);
    for (int lane = 0; lane < 32; ++lane) {
      float* row = &p.d[lane / 4 + 8 * h][lane % 4 * 2];
      row[0] = c0[lane];
      row[1] = c1[lane];
    }
  }
  multiply<8 * kHalves>(p);
  for (int h = 0; h < 2; ++h) {
    float* d0 = w.lanes<float>(places[2 * h]);
    float* d1 = w.lanes<float>(places[2 * h + 1]);
    for (int lane = 0; lane < 32; ++lane) {
      const float* row = &p.d[lane / 4 + 8 * h][lane % 4 * 2];
      d0[lane] = row[0];
      d1[lane] = row[1];
    }
  }
}

void add_fragment(Builder& b, size_t index, size_t n, Type t, bool writes, std::vector<uint32_t>& places) {
  const Operand& o = b.operand(index);
  const std::vector<Operand>* parts = Builder::parts_of(o);
  if ((parts ? parts->size() : 1) != n)
    b.fail(o, "expected " + std::to_string(n) + " registers");
  for (size_t i = 0; i < n; ++i) {
    const Operand& part = parts ? (*parts)[i] : o;
    places.push_back(writes ? b.write(part, t) : b.read(part, t));
  }
}
void build_mma(Builder& b) {
  b.take("sync");
  b.take("aligned");
  const int shape = b.take_one_of({"m16n8k16", "m16n8k8"});
  const bool layout = b.take("row") && b.take("col");
  const Type d = b.take_type();
  const Type a = b.take_type();
  const Type second = b.take_type();
  const Type c = b.take_type();
  const bool halves = a == second && (a == Type::BF16 || a == Type::F16);
  if (shape < 0 || !layout || d != Type::F32 || c != Type::F32 || !halves)
    b.fail("supported: m16n8k16 and m16n8k8, .row.col, .f32.bf16.bf16.f32 and .f32.f16.f16.f32");
  b.expect_operands(4);
  const size_t n = shape ? 1 : 2;
  std::vector<uint32_t> from, places;
  add_fragment(b, 1, 2 * n, Type::B32, false, from);
  add_fragment(b, 2, n, Type::B32, false, from);
  add_fragment(b, 3, 4, Type::F32, false, from);
  add_fragment(b, 0, 4, Type::F32, true, places);
  places.insert(places.end(), from.begin(), from.end());
  const uint32_t list = b.list(places);
  const bool bf16 = a == Type::BF16;
  Run run = bf16 ? &multiply_warp<Bf16, 2> : &multiply_warp<F16, 2>;
  if (n == 1)
    run = bf16 ? &multiply_warp<Bf16, 1> : &multiply_warp<F16, 1>;
  Step& s = b.emit(run);
  s.list = list;
  s.operations = uint16_t(2 * 16 * 8 * 8 * n / 32);
}

constexpr InstructionRow kRows[] = {
    {"mma", StepClass::Mma, build_mma},
    {"ldmatrix", StepClass::MatrixLoad, build_ldmatrix},
    {"stmatrix", StepClass::MatrixStore, build_stmatrix}};
}   // namespace

InstructionTable matrix_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
