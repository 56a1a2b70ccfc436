// PTX on 16-bit floats: arithmetic, comparison, conversion and atomic sums. The right value is the nearest one of the
// format to the exact result in 113 bits.
#include "ptx_floats.h"

namespace {
struct Format {
  const char* name;
  int fraction, bias;
  uint16_t infinity;
};
constexpr Format kF16 = {"f16", 10, 15, 0x7c00};
constexpr Format kBf16 = {"bf16", 7, 127, 0x7f80};
constexpr uint16_t kNan16 = 0x7fff;

bool is_nan(const Format& f, uint64_t bits) { return (bits & 0x7fff) > f.infinity; }
Quad value_of(const Format& f, uint64_t bits) {
  const int exponent = int(bits >> f.fraction & (0x7fffu >> f.fraction));
  const auto fraction = int(bits & ((1u << f.fraction) - 1));
  const Quad magnitude = exponent ? Quad(fraction + (1 << f.fraction)) * std::ldexp(1.0, exponent - f.bias - f.fraction)
                                  : Quad(fraction) * std::ldexp(1.0, 1 - f.bias - f.fraction);
  if ((bits & 0x7fff) == f.infinity)
    return bits & 0x8000 ? Quad(-kInf) : Quad(kInf);
  return bits & 0x8000 ? -magnitude : magnitude;
}
// The nearest value, of two the even one; infinity stands where the next power of two would.
uint16_t nearest(const Format& f, Quad v) {
  const uint16_t sign = v < 0 ? 0x8000 : 0;
  const Quad magnitude = v < 0 ? -v : v;
  uint16_t low = 0;
  uint16_t high = f.infinity;
  while (low < high) {   // the largest that is not greater
    const auto middle = uint16_t((low + high + 1) / 2);
    if (middle == f.infinity ? magnitude == Quad(kInf) : value_of(f, middle) <= magnitude)
      low = middle;
    else
      high = uint16_t(middle - 1);
  }
  if (low == f.infinity)
    return sign | low;
  const Quad below = value_of(f, low);
  const auto next = uint16_t(low + 1);
  const Quad above = next == f.infinity ? 2 * value_of(f, uint16_t(f.infinity - (1 << f.fraction))) : value_of(f, next);
  const Quad to_below = magnitude - below;
  const Quad to_above = above - magnitude;
  const bool up = to_above < to_below || (to_above == to_below && low & 1);
  return sign | (up ? next : low);
}
std::vector<uint64_t> values(const Format& f, int count) {
  std::vector<uint64_t> all = {0, 0x8000, 1, 0x8001, 0x3ff, f.infinity, uint64_t(f.infinity - 1), kNan16, 0xfffe};
  all.push_back(nearest(f, 1));
  all.push_back(nearest(f, -1));
  std::mt19937 random{uint32_t(count)};
  while (all.size() < size_t(count))
    all.push_back(random() & 0xffff);
  return all;
}

// The exact value rounded, and what has no exact value by the rules of IEEE 754.
uint64_t sum_of(const Format& f, uint64_t a, uint64_t b) {
  const Quad sum = value_of(f, a) + value_of(f, b);
  if (is_nan(f, a) || is_nan(f, b) || sum != sum)
    return kNan16;
  return sum == 0 ? (a & b & 0x8000) : nearest(f, sum);
}
uint64_t fma_of(const Format& f, uint64_t a, uint64_t b, uint64_t c) {
  const Quad product = value_of(f, a) * value_of(f, b);
  const Quad sum = product + value_of(f, c);
  if (is_nan(f, a) || is_nan(f, b) || is_nan(f, c) || sum != sum)
    return kNan16;
  const bool negative = ((a ^ b) & 0x8000) && c & 0x8000;
  const bool is_finite = sum - sum == 0;
  if (is_finite && sum == product && product != 0 && value_of(f, c) != 0) {   // c decides, far beyond 113 bits
    const Quad part = (product < 0 ? -product : product) * Quad(0x1p-100);
    return nearest(f, c & 0x8000 ? product - part : product + part);
  }
  return sum == 0 && product == 0 ? (negative ? 0x8000 : 0) : nearest(f, sum);
}

void arithmetic(const Format& f) {
  const std::string t = f.name;
  const auto pairs = pairs_of(values(f, 80));
  check_rows(
      "add." + t + " %hd, %ha, %hb;", pairs, [&](const Operands& o) { return sum_of(f, o.a & 0xffff, o.b & 0xffff); });
  check_rows("sub." + t + " %hd, %ha, %hb;", pairs, [&](const Operands& o) {
    const uint64_t b = o.b & 0xffff;
    return sum_of(f, o.a & 0xffff, is_nan(f, b) ? b : b ^ 0x8000);
  });
  check_rows("mul." + t + " %hd, %ha, %hb;", pairs, [&](const Operands& o) {
    const Quad product = value_of(f, o.a & 0xffff) * value_of(f, o.b & 0xffff);
    if (is_nan(f, o.a) || is_nan(f, o.b) || product != product)
      return uint64_t(kNan16);
    return product == 0 ? uint64_t((o.a ^ o.b) & 0x8000) : uint64_t(nearest(f, product));
  });
  const auto triples = triples_of(values(f, 24));
  check_rows("fma.rn." + t + " %hd, %ha, %hb, %hc;", triples, [&](const Operands& o) {
    return fma_of(f, o.a & 0xffff, o.b & 0xffff, o.c & 0xffff);
  });
  check_rows("fma.rn.relu." + t + " %hd, %ha, %hb, %hc;", triples, [&](const Operands& o) {
    const uint64_t r = fma_of(f, o.a & 0xffff, o.b & 0xffff, o.c & 0xffff);
    return r & 0x8000 ? 0 : r;
  });
  // both halves of a register; the upper ones are the lower ones the other way round
  check_rows(
      "mov.b32 %a, {%ha, %hb};\nmov.b32 %b, {%hb, %ha};\nmov.b32 %c, {%hc, %hc};\n"
      "fma.rn." +
          t + "x2 %d, %a, %b, %c;",
      triples,
      [&](const Operands& o) {
        const uint64_t r = fma_of(f, o.a & 0xffff, o.b & 0xffff, o.c & 0xffff);
        return r << 16 | r;
      });
  check_rows("max." + t + " %hd, %ha, %hb;", pairs, [&](const Operands& o) {
    const uint64_t a = o.a & 0xffff;
    const uint64_t b = o.b & 0xffff;
    if (is_nan(f, a) || is_nan(f, b))
      return is_nan(f, a) ? (is_nan(f, b) ? uint64_t(kNan16) : b) : a;
    if (value_of(f, a) == value_of(f, b))
      return a & b;
    return value_of(f, a) > value_of(f, b) ? a : b;
  });
  check_rows("min.NaN." + t + " %hd, %ha, %hb;", pairs, [&](const Operands& o) {
    const uint64_t a = o.a & 0xffff;
    const uint64_t b = o.b & 0xffff;
    if (is_nan(f, a) || is_nan(f, b))
      return uint64_t(kNan16);
    if (value_of(f, a) == value_of(f, b))
      return a | b;
    return value_of(f, a) < value_of(f, b) ? a : b;
  });
  check_row("neg." + t + " %hd, %ha;", {0x1234}, 0x9234);
  check_row("abs." + t + " %hd, %ha;", {0x9234}, 0x1234);
  check_row("add.sat.f16 %hd, %ha, %hb;", {0x3c00, 0x3c00}, 0x3c00);
  check_row("add.ftz.f16 %hd, %ha, %hb;", {0x03ff, 0x8001}, 0);
}

void comparisons() {
  const auto pairs = pairs_of(values(kF16, 40));
  check_rows("setp.lt.f16 %p, %ha, %hb;", pairs, [](const Operands& o) {
    const bool ordered = !is_nan(kF16, o.a & 0xffff) && !is_nan(kF16, o.b & 0xffff);
    return uint64_t(ordered && value_of(kF16, o.a & 0xffff) < value_of(kF16, o.b & 0xffff));
  });
  check_rows("setp.neu.bf16 %p, %ha, %hb;", pairs, [](const Operands& o) {
    const bool nan = is_nan(kBf16, o.a & 0xffff) || is_nan(kBf16, o.b & 0xffff);
    return uint64_t(nan || value_of(kBf16, o.a & 0xffff) != value_of(kBf16, o.b & 0xffff));
  });
  check_row("setp.gt.f16x2 %p|%q, %a, %b;", {0x3c004000, 0x40003c00}, 1);
  check_row("setp.gt.f16x2 %p|%q, %a, %b;", {0x40003c00, 0x3c004000}, 2);
  check_row("set.eq.f16x2.f16x2 %d, %a, %b;", {0x3c004000, 0x3c003c00}, 0x3c000000);
  check_row("set.eq.bf16.bf16 %hd, %ha, %hb;", {0x4000, 0x4000}, 0x3f80);
  check_row("set.ne.u32.f16x2 %d, %a, %b;", {0x3c004000, 0x3c003c00}, 0x0000ffff);
  check_row("set.lt.s32.f16 %d, %ha, %hb;", {0x3c00, 0x4000}, 0xffffffff);
}

void conversions() {
  std::vector<Operands> all;
  for (uint64_t i = 0; i < 0x10000; i += 7)
    all.push_back({i});
  for (const Format& f : {kF16, kBf16}) {
    const std::string t = f.name;
    check_rows("cvt.f32." + t + " %d, %ha;", all, [&](const Operands& o) {
      return is_nan(f, o.a) ? kNan32 : bits_of(float(value_of(f, o.a)));
    });
    check_rows("cvt.rni.s32." + t + " %d, %ha;", all, [&](const Operands& o) {
      if (is_nan(f, o.a))
        return uint64_t(0);
      const double v = std::nearbyint(double(value_of(f, o.a)));
      return uint64_t(uint32_t(int32_t(std::min(std::max(v, -2147483648.0), 2147483647.0))));
    });
    std::vector<Operands> integers;
    for (uint64_t i = 1; i < 0xffffffffff; i = i * 3 + 1)
      integers.push_back({i});
    check_rows("cvt.rn." + t + ".u64 %hd, %la;", integers, [&](const Operands& o) { return nearest(f, Quad(o.a)); });
    check_rows(
        "cvt.rn." + t + ".s32 %hd, %a;", integers, [&](const Operands& o) { return nearest(f, Quad(int32_t(o.a))); });
  }
  // f64 is rounded once: beyond the middle of two values by less than f32 could show
  check_row("cvt.rn.f16.f64 %hd, %la;", {d(1 + 0x1p-11 + 0x1p-40)}, 0x3c01);
  check_row("cvt.rn.f16.f64 %hd, %la;", {d(1 + 0x1p-11)}, 0x3c00);
  check_row("cvt.rp.f16.f32 %hd, %a;", {f(1.0001f)}, 0x3c01);
  check_row("cvt.rm.f16.f32 %hd, %a;", {f(-1.0001f)}, 0xbc01);
  check_row("cvt.rmi.f16.f16 %hd, %ha;", {0xbe00}, 0xc000);
  check_row("cvt.rn.bf16.f16 %hd, %ha;", {0x3c01}, 0x3f80);
  // tf32 keeps 10 bits of fraction; .rna takes the greater of two that are as near
  check_row("cvt.rna.tf32.f32 %d, %a;", {0x3f801000}, 0x3f802000);
  check_row("cvt.rn.tf32.f32 %d, %a;", {0x3f801000}, 0x3f800000);
  check_row("cvt.rz.tf32.f32 %d, %a;", {0x3f803fff}, 0x3f802000);
  // 8-bit floats: 448 and 57344 are the largest
  check_row("cvt.rn.satfinite.e4m3x2.f32 %hd, %a, %b;", {f(1000), f(-1.0625f)}, 0x7eb8);
  check_row("cvt.rn.satfinite.e4m3x2.f32 %hd, %a, %b;", {f(-0x1p-9f), f(0x1p-11f)}, 0x8100);
  check_row("cvt.rn.satfinite.e5m2x2.f32 %hd, %a, %b;", {f(-kInf), f(1.75f)}, 0xfb3f);
  check_row("cvt.rn.f16x2.e4m3x2 %d, %ha;", {0x7eb9}, 0x5f00bc80);
  check_row("cvt.rn.f16x2.e5m2x2 %d, %ha;", {0x7cb9}, 0x7c00b900);
  check_row("cvt.pack.sat.u16.s32 %d, %a, %b;", {70000, uint32_t(-5)}, 0xffff0000);
  check_row("cvt.pack.sat.s8.s32.b32 %d, %a, %b, %c;", {300, uint32_t(-300), 0x1234}, 0x12347f80);
}

void atomic_sums() {
  auto sum = [](const std::string& instruction, uint64_t first, uint64_t wanted) {
    const auto out = run_ptx(instruction, {first, first}, 4);
    check(!out.empty() && out[0] == wanted, instruction + ": " + std::to_string(out.empty() ? 0 : out[0]));
  };
  sum("mov.b16 %ha, 0x3c00;\nred.global.add.noftz.f16 [%out+2], %ha;", 0x4000, 0x44004000);   // 0 + 4
  sum("mov.b32 %a, 0x3c003c00;\natom.global.add.noftz.f16x2 %d, [%out], %a;", 0x40000000, 0x46004400);
  sum("mov.b32 %a, 0x3f803f80;\nred.add.noftz.bf16x2 [%out], %a;", 0, 0x40804080);
  sum("mov.b32 %a, 0f3F800000;\nred.relaxed.gpu.global.add.v2.f32 [%out], {%a, %a};", 0, 0x4080000040800000);
}
}   // namespace

TEST_GROUP(ptx_halves) {
  arithmetic(kF16);
  arithmetic(kBf16);
  comparisons();
  conversions();
  atomic_sums();
}
