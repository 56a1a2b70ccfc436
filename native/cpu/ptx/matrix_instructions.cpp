// mma: products of matrices in the registers of a warp. PTX ISA, "Warp Level Matrix Multiply-Accumulate", with the
// fragments of its figures. A lane is (g, q) = (lane / 4, lane % 4) throughout.
#include "barriers.h"
#include "matrix_elements.h"
#include <immintrin.h>

namespace spectral::cpu::ptx {
namespace {
// ---- m16n8k16 and m16n8k8 of 16-bit floats, the usual ones: D = A B + C in f32, each sum in the order of k with one
// rounding per product
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

// "Matrix Fragments for mma.m16n8k16 with floating point type" and "mma.m16n8k8".
// Of A: register 2 half + h has rows g + 8 h, depths 8 half + 2 q and the next. Of B: register half has column g. Of C
// and D: register 2 h + e has row g + 8 h, column 2 q + e.
template <class Half, int kHalves>
void multiply_warp(Warp& w, const Step& s) {
  if (!whole_warp(w, s, "mma"))
    return;
  const uint32_t* of_a = w.list(s);   // a[2 kHalves], b[kHalves], c[4], d[4]
  const uint32_t* of_b = of_a + 2 * kHalves;
  const uint32_t* of_c = of_b + kHalves;
  const uint32_t* places = of_c + 4;
  Product p;
  for (int half = 0; half < kHalves; ++half) {
    const uint32_t* b = w.lanes<uint32_t>(of_b[half]);
    for (int lane = 0; lane < 32; ++lane) {
      const int depth = 8 * half + lane % 4 * 2;
      p.b[depth][lane / 4] = Half::of(b[lane] & 0xffff);
      p.b[depth + 1][lane / 4] = Half::of(b[lane] >> 16);
    }
    for (int h = 0; h < 2; ++h) {
      const uint32_t* a = w.lanes<uint32_t>(of_a[2 * half + h]);
      for (int lane = 0; lane < 32; ++lane) {
        float* row = &p.a[lane / 4 + 8 * h][8 * half + lane % 4 * 2];
        row[0] = Half::of(a[lane] & 0xffff);
        row[1] = Half::of(a[lane] >> 16);
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

// ---- all others. A register holds n = 32 / bits elements that follow each other in k, f64 has one of its own. Of A:
// register (m / 8) i + h has row g + 8 h, depths 4 n i + n q and on. Of B: register i has column g and these depths. Of
// C and D: register 2 h + e, or half e of register h, has row g + 8 h, column 2 q + e.
struct MmaForm {
  uint8_t m, flags;
  uint16_t k;
  Element a, b, c, d;
};
static_assert(sizeof(MmaForm) == sizeof(Step::value));
template <class T>
void multiply_general(Warp& w, const Step& s) {
  if (!whole_warp(w, s, "mma"))
    return;
  const auto form = std::bit_cast<MmaForm>(s.value);
  const int n = per_register(form.a);
  const int halves = form.m / 8;
  const int blocks = form.k / (4 * n);
  constexpr int kDeepest = std::is_integral_v<T> ? 256 : 32;
  DenseProduct<T, 16, 8, kDeepest> p;
  const uint32_t* places = w.list(s);   // a, b, c, d
  for (int i = 0; i < blocks; ++i, places += halves)
    for (int lane = 0; lane < 32; ++lane)
      for (int h = 0; h < halves; ++h)
        for (int e = 0; e < n; ++e)
          p.a[lane / 4 + 8 * h][n * (4 * i + lane % 4) + e] = element_of<T>(w, places[h], lane, form.a, e);
  for (int i = 0; i < blocks; ++i, ++places)
    for (int lane = 0; lane < 32; ++lane)
      for (int e = 0; e < n; ++e)
        p.b[n * (4 * i + lane % 4) + e][lane / 4] = element_of<T>(w, places[0], lane, form.b, e);
  auto each_sum = [&](Element kind, auto f) {
    const int per = kind == Element::F16 ? 2 : 1;
    for (int h = 0; h < halves; ++h)
      for (int e = 0; e < 2; ++e)
        for (int lane = 0; lane < 32; ++lane)
          f(places[(2 * h + e) / per], lane, e % per, p.d[lane / 4 + 8 * h][lane % 4 * 2 + e]);
    places += 2 * halves / per;
  };
  each_sum(form.c, [&](uint32_t place, int lane, int i, T& d) { d = element_of<T>(w, place, lane, form.c, i); });
  p.multiply(form.m, 8, form.k, form.flags);
  each_sum(form.d, [&](uint32_t place, int lane, int i, T& d) { set_element<T>(w, place, lane, form.d, i, d); });
}

bool is_integer(Element e) { return e >= Element::S8 && e <= Element::B1; }
bool is_known(const MmaForm& f, int n) {
  const int deep = f.a == Element::F64 ? 4 : 128 / bits_of(f.a);
  const bool m16 = f.m == 16 && (f.k == deep || f.k == 2 * deep || (f.a == Element::F64 && f.k == 16));
  const bool m8 = f.m == 8 && f.k == deep && (is_integer(f.a) || f.a == Element::F64);
  const bool like = f.a == f.b || (is_integer(f.a) && is_integer(f.b) && bits_of(f.a) == bits_of(f.b)) ||
                    (f.a >= Element::E4m3 && f.a <= Element::E5m2 && f.b >= Element::E4m3 && f.b <= Element::E5m2);
  bool sums = f.c == Element::F32 && f.d == Element::F32;
  if (is_integer(f.a))
    sums = f.c == Element::S32 && f.d == Element::S32;
  else if (f.a == Element::F64)
    sums = f.c == Element::F64 && f.d == Element::F64;
  else if (f.a == Element::F16 || bits_of(f.a) == 8)
    sums = (f.c == Element::F32 || f.c == Element::F16) && (f.d == Element::F32 || f.d == Element::F16);
  return n == 8 && (m16 || m8) && like && sums && f.a < Element::F32;
}
MmaForm take_form(Builder& b) {
  if (b.peek().starts_with("sp"))
    b.fail("products of sparse matrices are not supported");
  b.take("sync");
  b.take("aligned");
  const MatrixShape shape = take_shape(b);
  const bool layout = b.take("row") && b.take("col");
  uint8_t flags = b.take("satfinite") ? kSaturatesSums : 0;
  b.take("rn");
  int elements[4];   // d, a, b, c
  bool known = layout;
  for (int& e : elements)
    known &= (e = take_element(b)) >= 0;
  const int bits = b.take_one_of({"xor", "and"});
  if (bits >= 0 && b.take("popc"))
    flags |= bits ? kAndBits : kXorBits;
  const MmaForm f{
      uint8_t(shape.m),
      flags,
      uint16_t(shape.k),
      Element(elements[1]),
      Element(elements[2]),
      Element(elements[3]),
      Element(elements[0])};
  if (!known || !is_known(f, shape.n) || (f.a == Element::B1) != (bits >= 0))
    b.fail(
        "this shape and these types are not supported; m8n8k4 of .f16, .kind and block scales are not, nor other "
        "layouts than .row.col");
  return f;
}
Run choose(const MmaForm& f) {
  const bool sums_f32 = f.c == Element::F32 && f.d == Element::F32;
  if (sums_f32 && f.a == Element::Bf16)
    return f.k == 16 ? &multiply_warp<Bf16, 2> : &multiply_warp<Bf16, 1>;
  if (sums_f32 && f.a == Element::F16)
    return f.k == 16 ? &multiply_warp<F16, 2> : &multiply_warp<F16, 1>;
  if (f.a == Element::F64)
    return &multiply_general<double>;
  return is_integer(f.a) ? &multiply_general<int32_t> : &multiply_general<float>;
}
void build_mma(Builder& b) {
  const MmaForm f = take_form(b);
  b.expect_operands(4);
  const Run run = choose(f);
  const auto halves = size_t(f.m / 8);
  const auto blocks = size_t(f.k / (4 * per_register(f.a)));
  auto sums = [&](Element e) { return e == Element::F16 ? halves : 2 * halves; };
  const Type t = f.a == Element::F64 ? Type::F64 : Type::B32;
  std::vector<uint32_t> from, to;
  expect_fragment(b, 1, blocks * halves, t, false, from);
  expect_fragment(b, 2, blocks, t, false, from);
  expect_fragment(b, 3, sums(f.c), register_type(f.c), false, from);
  expect_fragment(b, 0, sums(f.d), register_type(f.d), true, to);
  from.insert(from.end(), to.begin(), to.end());
  const uint32_t list = b.list(from);
  Step& s = b.emit(run);
  s.list = list;
  s.operations = is_integer(f.a) ? uint16_t(0) : uint16_t(2 * f.m * 8 * f.k / 32);
  s.value = std::bit_cast<int64_t>(f);
}

constexpr InstructionRow kRows[] = {{"mma", StepClass::Mma, build_mma}};
}   // namespace

InstructionTable matrix_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
