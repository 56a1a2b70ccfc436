// Floats in PTX: each rounding against 113-bit arithmetic, conversions against values counted out by hand, and the
// approximations within the errors that the PTX ISA gives.
#include "ptx.h"
#include <bit>
#include <limits>

namespace {
using Quad = __float128;
enum Mode { kNearest, kZero, kDown, kUp };
constexpr const char* kModes[] = {"rn", "rz", "rm", "rp"};

template <class T>
uint64_t bits_of(T v) {
  if constexpr (sizeof(T) == 4)
    return std::bit_cast<uint32_t>(v);
  else
    return std::bit_cast<uint64_t>(v);
}
template <class T>
T float_of(uint64_t bits) {
  if constexpr (sizeof(T) == 4)
    return std::bit_cast<float>(uint32_t(bits));
  else
    return std::bit_cast<double>(bits);
}
constexpr uint64_t kNan32 = 0x7fffffff;

template <class T>
T rounded(Quad v, Mode mode) {
  T r = T(v);   // to nearest
  if (mode == kNearest || Quad(r) == v)
    return r;
  const bool above = Quad(r) > v;
  const T inf = std::numeric_limits<T>::infinity();
  const bool down = mode == kDown || (mode == kZero && v > 0);
  if (down && above)
    r = std::nextafter(r, -inf);
  else if (!down && !above)
    r = std::nextafter(r, inf);
  return v < 0 && r == 0 ? -T(0) : r;
}
template <class T>
T flushed(T v) {
  return std::fabs(v) < std::numeric_limits<T>::min() ? std::copysign(T(0), v) : v;
}

// Values whose sums and products need at most 113 bits.
template <class T>
std::vector<uint64_t> some_values() {
  std::vector<uint64_t> values;
  for (double v : {0.0, 1.0, 1.5, 3.0, 0.1, 0.7, 1e-3, 123.456, 1.0 / 3, 1e4 / 7})
    for (double sign : {1.0, -1.0})
      values.push_back(bits_of(T(sign * v)));
  values.push_back(bits_of(std::nextafter(T(1), T(2))));
  values.push_back(bits_of(std::nextafter(T(1), T(0))));
  values.push_back(bits_of(std::nextafter(T(-3), T(0))));
  return values;
}
// The zero of an exact sum of x and y.
template <class T>
T zero_of(bool x_negative, bool y_negative, Mode mode) {
  const bool negative = x_negative == y_negative ? x_negative : mode == kDown;
  return negative ? -T(0) : T(0);
}

template <class T>
void arithmetic(const char* type) {
  const std::string p = sizeof(T) == 4 ? "%" : "%l";
  const std::string two = std::string(".") + type + " " + p + "d, " + p + "a, " + p + "b;";
  const std::string three = std::string(".") + type + " " + p + "d, " + p + "a, " + p + "b, " + p + "c;";
  const auto values = some_values<T>();
  std::vector<Operands> divisible;
  for (const Operands& o : pairs_of(values))
    if (float_of<T>(o.b) != 0)
      divisible.push_back(o);
  for (int m = 0; m < 4; ++m) {
    const Mode mode = Mode(m);
    const std::string dot = std::string(".") + kModes[m];
    for (bool subtracts : {false, true})
      check_rows((subtracts ? "sub" : "add") + dot + two, pairs_of(values), [=](const Operands& o) {
        const T a = float_of<T>(o.a);
        const T b = subtracts ? -float_of<T>(o.b) : float_of<T>(o.b);
        const Quad sum = Quad(a) + Quad(b);
        return bits_of(sum == 0 ? zero_of<T>(std::signbit(a), std::signbit(b), mode) : rounded<T>(sum, mode));
      });
    check_rows("mul" + dot + two, pairs_of(values), [=](const Operands& o) {
      return bits_of(rounded<T>(Quad(float_of<T>(o.a)) * Quad(float_of<T>(o.b)), mode));
    });
    check_rows("fma" + dot + three, triples_of(values), [=](const Operands& o) {
      const T a = float_of<T>(o.a);
      const T b = float_of<T>(o.b);
      const T c = float_of<T>(o.c);
      const Quad product = Quad(a) * Quad(b);
      const Quad sum = product + Quad(c);
      if (sum == 0)
        return bits_of(zero_of<T>(std::signbit(a) != std::signbit(b), std::signbit(c), mode));
      // 106 bits and c's may need more than 113: what is lost of c moves the sum off a tie, in its direction
      const Quad lost = Quad(c) - (sum - product);
      Quad exact = sum;
      if (lost != 0 && Quad(rounded<T>(sum, kNearest)) == sum)
        exact = sum + lost * Quad(1 << 20);
      return bits_of(rounded<T>(exact, mode));
    });
    check_rows("div" + dot + two, divisible, [=](const Operands& o) {
      return bits_of(rounded<T>(Quad(float_of<T>(o.a)) / Quad(float_of<T>(o.b)), mode));
    });
    check_rows("rcp" + dot + "." + type + " " + p + "d, " + p + "b;", divisible, [=](const Operands& o) {
      return bits_of(rounded<T>(Quad(1) / Quad(float_of<T>(o.b)), mode));
    });
    std::vector<Operands> positive;
    for (uint64_t v : values)
      if (float_of<T>(v) >= 0)
        positive.push_back({v});
    check_rows("sqrt" + dot + "." + type + " " + p + "d, " + p + "a;", positive, [=](const Operands& o) {
      const Quad a = float_of<T>(o.a);
      if (a == 0)
        return o.a;
      Quad root = std::sqrt(static_cast<long double>(a));
      for (int i = 0; i < 2; ++i)
        root = (root + a / root) / 2;
      return bits_of(rounded<T>(root, mode));
    });
  }
}

uint64_t f(float v) { return bits_of(v); }
uint64_t d(double v) { return bits_of(v); }
constexpr float kInf = std::numeric_limits<float>::infinity();

void special_values() {
  const uint64_t nan = 0x7fc01234;
  const uint64_t tiny = 1;   // the least subnormal
  const uint64_t huge = 0x7f7fffff;
  check_row("add.f32 %d, %a, %b;", {nan, f(1)}, kNan32);
  check_row("add.f32 %d, %a, %b;", {f(kInf), f(-kInf)}, kNan32);
  check_row("mul.f32 %d, %a, %b;", {f(kInf), f(0)}, kNan32);
  check_row("fma.rn.f32 %d, %a, %b, %c;", {f(kInf), f(1), f(-kInf)}, kNan32);
  check_row("div.rn.f32 %d, %a, %b;", {f(0), f(0)}, kNan32);
  check_row("div.rn.f32 %d, %a, %b;", {f(-1), f(0)}, f(-kInf));
  check_row("sqrt.rn.f32 %d, %a;", {f(-1)}, kNan32);
  check_row("sqrt.rn.f32 %d, %a;", {f(-0.0f)}, f(-0.0f));
  check_row("mul.rz.f32 %d, %a, %b;", {huge, f(2)}, huge);
  check_row("mul.rn.f32 %d, %a, %b;", {huge, f(2)}, f(kInf));
  check_row("mul.rm.f32 %d, %a, %b;", {huge, f(2)}, huge);
  check_row("mul.rp.f32 %d, %a, %b;", {huge, f(-2)}, huge | 0x80000000);
  // subnormals, kept and flushed with their sign
  check_row("add.f32 %d, %a, %b;", {tiny, 3}, 4);
  check_row("add.ftz.f32 %d, %a, %b;", {tiny, 3}, 0);
  check_row("mul.ftz.f32 %d, %a, %b;", {0x80000001, f(1)}, f(-0.0f));
  check_row("mul.f32 %d, %a, %b;", {0x00800000, f(0.5f)}, 0x00400000);
  check_row("mul.ftz.f32 %d, %a, %b;", {0x00800000, f(-0.25f)}, 0x80000000);
  check_row("mul.ftz.f32 %d, %a, %b;", {0x007fffff, f(1e30f)}, 0);
  check_row("fma.rn.ftz.f32 %d, %a, %b, %c;", {f(1), 0x007fffff, f(2)}, f(2));
  check_row("neg.f32 %d, %a;", {tiny}, 0x80000001);
  check_row("neg.ftz.f32 %d, %a;", {tiny}, 0x80000000);
  check_row("abs.f32 %d, %a;", {0x80000001}, 1);
  check_row("abs.ftz.f32 %d, %a;", {0x80000001}, 0);
  check_row("abs.f64 %ld, %la;", {d(-2.5)}, d(2.5));
  check_row("neg.f64 %ld, %la;", {d(0)}, d(-0.0));
  check_row("copysign.f32 %d, %a, %b;", {f(-1), f(3)}, f(-3));   // a's sign on b's value
  // saturation to [0, 1]; NaN is +0
  check_row("add.sat.f32 %d, %a, %b;", {f(0.75f), f(0.5f)}, f(1));
  check_row("add.sat.f32 %d, %a, %b;", {f(0.25f), f(0.5f)}, f(0.75f));
  check_row("mul.sat.f32 %d, %a, %b;", {f(-0.25f), f(0.5f)}, f(0));
  check_row("fma.rn.sat.f32 %d, %a, %b, %c;", {nan, f(1), f(1)}, f(0));
  check_row("add.rz.ftz.sat.f32 %d, %a, %b;", {f(0.1f), f(0.2f)}, f(std::nextafter(0.1f + 0.2f, 0.0f)));
  // minimum and maximum: a number wins over NaN, -0 is less than +0
  check_row("min.f32 %d, %a, %b;", {nan, f(1)}, f(1));
  check_row("max.f32 %d, %a, %b;", {f(1), nan}, f(1));
  check_row("max.f32 %d, %a, %b;", {nan, nan}, kNan32);
  check_row("min.NaN.f32 %d, %a, %b;", {f(1), nan}, kNan32);
  check_row("max.NaN.f32 %d, %a, %b;", {f(1), f(2)}, f(2));
  check_row("min.f32 %d, %a, %b;", {f(0), f(-0.0f)}, f(-0.0f));
  check_row("min.f32 %d, %a, %b;", {f(-0.0f), f(0)}, f(-0.0f));
  check_row("max.f32 %d, %a, %b;", {f(0), f(-0.0f)}, f(0));
  check_row("max.f32 %d, %a, %b;", {f(-0.0f), f(0)}, f(0));
  check_row("min.f64 %ld, %la, %lb;", {d(-0.0), d(0)}, d(-0.0));
  check_row("max.f64 %ld, %la, %lb;", {d(2), d(std::nan(""))}, d(2));
  check_row("min.ftz.f32 %d, %a, %b;", {tiny, f(1)}, 0);
  check_row("max.ftz.f32 %d, %a, %b;", {0x80000001, f(-1)}, 0x80000000);
  check_row("max.f32 %d, %a, %b;", {tiny, f(-1)}, tiny);
  check_row("min.xorsign.abs.f32 %d, %a, %b;", {f(-2), f(3)}, f(-2));
  check_row("max.xorsign.abs.f32 %d, %a, %b;", {f(-2), f(-3)}, f(3));
  constexpr struct {
    const char* name;
    bool of_number, of_infinity, of_nan, of_subnormal, of_zero;
  } kProperties[] = {
      {"finite", true, false, false, true, true},
      {"infinite", false, true, false, false, false},
      {"number", true, true, false, true, true},
      {"notanumber", false, false, true, false, false},
      {"normal", true, false, false, false, false},
      {"subnormal", false, false, false, true, false}};
  for (const auto& p : kProperties) {
    const std::string code = std::string("testp.") + p.name + ".f32 %p, %a;";
    check_row(code, {f(-2)}, p.of_number);
    check_row(code, {f(-kInf)}, p.of_infinity);
    check_row(code, {nan}, p.of_nan);
    check_row(code, {tiny}, p.of_subnormal);
    if (std::strcmp(p.name, "normal"))   // of zero the ISA does not say
      check_row(code, {0}, p.of_zero);
  }
}

void comparisons() {
  constexpr struct {
    const char* name;
    bool less, equal, greater, unordered;
  } kCompares[] = {
      {"eq", false, true, false, false},
      {"ne", true, false, true, false},
      {"lt", true, false, false, false},
      {"le", true, true, false, false},
      {"gt", false, false, true, false},
      {"ge", false, true, true, false},
      {"equ", false, true, false, true},
      {"neu", true, false, true, true},
      {"ltu", true, false, false, true},
      {"leu", true, true, false, true},
      {"gtu", false, false, true, true},
      {"geu", false, true, true, true},
      {"num", true, true, true, false},
      {"nan", false, false, false, true}};
  for (const auto& c : kCompares) {
    const std::string code = std::string("setp.") + c.name + ".f32 %p|%q, %a, %b;";
    auto said = [](bool p) { return uint64_t(p ? 1 : 2); };
    check_row(code, {f(-kInf), f(1)}, said(c.less));
    check_row(code, {f(0), f(-0.0f)}, said(c.equal));
    check_row(code, {f(2), f(-2)}, said(c.greater));
    check_row(code, {0x7fc00000, f(1)}, said(c.unordered));
    check_row(code, {f(1), 0xffc00000}, said(c.unordered));
    check_row(code, {0x7fc00000, 0x7fc00000}, said(c.unordered));
    const std::string wide = std::string("setp.") + c.name + ".f64 %p|%q, %la, %lb;";
    check_row(wide, {d(1), d(std::nan(""))}, said(c.unordered));
    check_row(wide, {d(1), d(1 + 1e-15)}, said(c.less));
    check_row(std::string("setp.") + c.name + ".ftz.f32 %p|%q, %a, %b;", {1, 0x80000003}, said(c.equal));
    check_row(std::string("set.") + c.name + ".f32.f32 %d, %a, %b;", {f(1), f(2)}, c.less ? f(1) : 0);
  }
}

// ---- conversions
template <class T>
uint64_t to_integer(T v, Mode mode, int n, bool is_signed) {
  if (v != v)   // 0, but the sign bit where a side has 64 bits
    return sizeof(T) == 8 || n == 64 ? uint64_t(1) << (n - 1) : 0;
  const auto x = static_cast<long double>(v);
  long double whole = std::floor(x);
  const long double rest = x - whole;
  const bool odd = std::fmod(whole, 2.0L) != 0;
  if (mode == kUp || (mode == kZero && x < 0))
    whole += rest > 0;
  else if (mode == kNearest)
    whole += rest > 0.5L || (rest == 0.5L && odd);
  const long double high = is_signed ? std::ldexp(1.0L, n - 1) - 1 : std::ldexp(1.0L, n) - 1;
  const long double low = is_signed ? -std::ldexp(1.0L, n - 1) : 0;
  const auto held = static_cast<__int128>(std::min(std::max(whole, low), high));
  return uint64_t(held) & (n == 64 ? ~uint64_t(0) : (uint64_t(1) << n) - 1);
}
template <class T>
void between_integers(const char* type) {
  std::vector<Operands> floats;
  for (double v : {0.0,          0.25,         0.5,         1.0,          1.5,
                   2.5,          3.5,          127.5,       255.5,        256.0,
                   32767.5,      65535.5,      65536.0,     2147483520.0, 2147483647.0,
                   2147483648.0, 4294967295.5, 4294967296., 9.2e18,       9223372036854775808.,
                   1.8446744e19, 1e20,         1e30,        HUGE_VAL,     std::nan("")})
    for (double sign : {1.0, -1.0})
      floats.push_back({bits_of(T(sign * v))});
  std::vector<Operands> integers;
  for (uint64_t v :
       {0ul,
        1ul,
        255ul,
        0x7ffful,
        0x1000001ul,
        0x1000003ul,
        0x7fffffbful,
        0x7fffffc0ul,
        0x7ffffffful,
        0x80000000ul,
        0xfffffffful,
        0x20000000000001ul,
        0x20000000000003ul,
        0x7ffffffffffffffful,
        0x8000000000000000ul,
        0x8000000000000401ul,
        0xfffffffffffffffful,
        0xffffffffff000001ul})
    integers.push_back({v});
  const char* kWhole[] = {"rni", "rzi", "rmi", "rpi"};
  const std::string own = sizeof(T) == 4 ? "%" : "%l";
  for (int n : {8, 16, 32, 64})
    for (bool is_signed : {false, true})
      for (int m = 0; m < 4; ++m) {
        const std::string name = (is_signed ? "s" : "u") + std::to_string(n);
        const std::string other = n <= 16 ? "%h" : (n == 32 ? "%" : "%l");
        const std::string mask = n == 8 ? "\nand.b16 %hd, %hd, 0xff;" : "";
        check_rows(
            std::string("cvt.") + kWhole[m] + "." + name + "." + type + " " + other + "d, " + own + "a;" + mask,
            floats,
            [=](const Operands& o) { return to_integer(float_of<T>(o.a), Mode(m), n, is_signed); });
        check_rows(
            std::string("cvt.") + kModes[m] + "." + type + "." + name + " " + own + "d, " + other + "a;",
            integers,
            [=](const Operands& o) {
              const uint64_t cut = n == 64 ? o.a : o.a & ((uint64_t(1) << n) - 1);
              const bool negative = is_signed && cut >> (n - 1) & 1;
              return bits_of(rounded<T>(negative ? Quad(cut) - Quad(std::ldexp(1.0, n)) : Quad(cut), Mode(m)));
            });
      }
}

void between_floats() {
  std::vector<Operands> doubles;
  for (double v :
       {0.0,
        1.0,
        1.0 + std::ldexp(1, -24),
        1.0 + std::ldexp(3, -24),
        1.0 + std::ldexp(1, -24) + std::ldexp(1, -50),
        1.0 / 3,
        3.5e38,
        1e300,
        1e-40,
        1e-46,
        std::ldexp(1, -150),
        HUGE_VAL})
    for (double sign : {1.0, -1.0})
      doubles.push_back({d(sign * v)});
  for (int m = 0; m < 4; ++m)
    check_rows(std::string("cvt.") + kModes[m] + ".f32.f64 %d, %la;", doubles, [=](const Operands& o) {
      return f(rounded<float>(Quad(float_of<double>(o.a)), Mode(m)));
    });
  check_row("cvt.rn.ftz.f32.f64 %d, %la;", {d(-1e-40)}, f(-0.0f));
  check_row("cvt.rn.sat.f32.f64 %d, %la;", {d(1.5)}, f(1));
  check_row("cvt.rn.f32.f64 %d, %la;", {d(std::nan(""))}, kNan32);
  check_row("cvt.f64.f32 %ld, %a;", {1}, d(std::ldexp(1, -149)));
  check_row("cvt.ftz.f64.f32 %ld, %a;", {0x80000001}, d(-0.0));
  check_row("cvt.ftz.f32.f32 %d, %a;", {0x80000001}, 0x80000000);
  check_row("cvt.sat.f32.f32 %d, %a;", {f(-3)}, 0);
  check_row("cvt.sat.f32.f32 %d, %a;", {0x7fc00000}, 0);
  check_row("cvt.rni.f32.f32 %d, %a;", {f(2.5f)}, f(2));
  check_row("cvt.rni.f32.f32 %d, %a;", {f(-0.25f)}, f(-0.0f));
  check_row("cvt.rpi.f32.f32 %d, %a;", {f(-2.5f)}, f(-2));
  check_row("cvt.rmi.f64.f64 %ld, %la;", {d(-2.5)}, d(-3));
  check_row("cvt.rpi.ftz.f32.f32 %d, %a;", {1}, 0);
  check_row("cvt.rpi.f32.f32 %d, %a;", {1}, f(1));
}

// A 16-bit float has `fraction` bits behind the point and the least exponent `least`.
struct Half {
  const char* name;
  int fraction, least;
  uint64_t infinity;
};
constexpr Half kHalves[] = {{"f16", 10, -14, 0x7c00}, {"bf16", 7, -126, 0x7f80}};
double value_of(const Half& h, uint64_t bits) {
  const auto exponent = int(bits >> h.fraction & ((1u << (15 - h.fraction)) - 1));
  const auto part = double(bits & ((1u << h.fraction) - 1));
  const double size = exponent ? std::ldexp(part + (1 << h.fraction), h.least + exponent - 1 - h.fraction)
                               : std::ldexp(part, h.least - h.fraction);
  return bits >> 15 ? -size : size;
}
// By search: the greatest half whose size is not beyond v's, and then to nearest the one after it.
uint64_t half_of(const Half& h, float v, bool toward_zero) {
  if (v != v)
    return 0x7fff;
  const double size = std::fabs(double(v));
  uint64_t low = 0;
  for (uint64_t step = 0x4000; step; step /= 2)
    if (low + step < h.infinity && value_of(h, low + step) <= size)
      low += step;
  if (std::isinf(v))
    low = h.infinity;
  else if (!toward_zero) {
    const double next = value_of(h, low + 1);   // of infinity: the value that the exponent would have
    const double below = size - value_of(h, low);
    low += below > next - size || (below == next - size && low & 1);
  }
  return low | uint64_t(std::signbit(v)) << 15;
}
void halves() {
  std::vector<Operands> floats;
  std::mt19937 random(5);
  for (int i = 0; i < 2000; ++i)
    floats.push_back({random(), random()});
  for (const Half& h : kHalves)
    for (uint64_t bits = 0; bits < 0x8000; bits += 0x1f)   // each value, the tie behind it and beside the tie
      if (bits < h.infinity) {
        const auto tie = float((value_of(h, bits) + value_of(h, bits + 1)) / 2);
        floats.push_back({f(float(value_of(h, bits))), f(tie)});
        floats.push_back({f(-tie), f(std::nextafter(tie, 0.0f))});
        floats.push_back({f(std::nextafter(tie, kInf)), f(tie)});
      }
  for (uint64_t v :
       {f(65504),
        f(65519.99f),
        f(65520),
        f(-65536),
        f(3.4e38f),
        f(kInf),
        f(-kInf),
        0x7f800001ul,
        0xfffffffful,
        0x80000000ul,
        1ul})
    floats.push_back({v, f(1)});
  for (const Half& h : kHalves)
    for (bool toward_zero : {false, true}) {
      const std::string start = std::string("cvt.") + (toward_zero ? "rz." : "rn.");
      check_rows(start + h.name + ".f32 %hd, %a;", floats, [&](const Operands& o) {
        return half_of(h, float_of<float>(o.a), toward_zero);
      });
      check_rows(
          start + h.name + "x2.f32 %d, %a, %b;", floats, [&](const Operands& o) {   // the first is the upper half
            return half_of(h, float_of<float>(o.a), toward_zero) << 16 | half_of(h, float_of<float>(o.b), toward_zero);
          });
    }
  std::vector<Operands> all;
  for (uint64_t bits = 0; bits < 0x10000; bits += 7)
    all.push_back({bits});
  for (const Half& h : kHalves)
    check_rows(std::string("cvt.f32.") + h.name + " %d, %ha;", all, [&](const Operands& o) {
      const uint64_t size = o.a & 0x7fff;
      if (size > h.infinity)
        return kNan32;
      const float sign = o.a >> 15 ? -1.0f : 1.0f;
      return f(size == h.infinity ? sign * kInf : float(value_of(h, o.a)));
    });
  check_row("cvt.rn.relu.bf16.f32 %hd, %a;", {f(-3)}, 0);
  check_row("cvt.rn.relu.f16x2.f32 %d, %a, %b;", {f(1), f(-1)}, 0x3c000000);
}

// ---- approximations
void check_error(
    const std::string& code, const std::vector<float>& values, const std::function<double(double)>& exact,
    const std::function<double(double)>& bound) {
  std::vector<Operands> rows;
  for (float v : values)
    rows.push_back({f(v)});
  const auto results = results_of(code, rows);
  double worst = 0;
  float at = 0;
  for (size_t i = 0; i < results.size(); ++i) {
    const double wanted = exact(double(values[i]));
    const double share = std::fabs(float_of<float>(results[i]) - wanted) / bound(wanted);
    if (!(share <= worst)) {
      worst = share;
      at = values[i];
    }
  }
  check(results.size() == rows.size() && worst <= 1, code + " at " + std::to_string(at) + ": " + std::to_string(worst));
}
void approximations() {
  std::vector<float> positive;
  std::vector<float> angles;
  std::vector<float> exponents;
  for (int i = 1; i <= 400; ++i) {
    positive.push_back(std::ldexp(1.0f + float(i) / 401, i % 120 - 60));
    angles.push_back(float(i - 200) * 0.0157f);
    exponents.push_back(float(i - 200) * 0.617f);
  }
  auto ulps = [](double n) { return [n](double v) { return n * std::fabs(v) * std::ldexp(1, -23); }; };
  auto absolute = [](double power) { return [power](double) { return std::exp2(power); }; };
  for (const char* ftz : {"", "ftz."}) {
    const std::string end = std::string(ftz) + "f32 %d, %a;";
    check_error(
        "rcp.approx." + end, positive, [](double v) { return 1 / v; }, ulps(1));
    check_error(
        "sqrt.approx." + end, positive, [](double v) { return std::sqrt(v); }, ulps(2));
    check_error(
        "rsqrt.approx." + end, positive, [](double v) { return 1 / std::sqrt(v); }, ulps(2));
    check_error(
        "ex2.approx." + end, exponents, [](double v) { return std::exp2(v); }, ulps(4));
    check_error(
        "lg2.approx." + end,
        positive,
        [](double v) { return std::log2(v); },
        [](double v) { return std::fabs(v) < 1 ? std::exp2(-22) : std::fabs(v) * std::exp2(-22); });
    check_error(
        "sin.approx." + end, angles, [](double v) { return std::sin(v); }, absolute(-20.9));
    check_error(
        "cos.approx." + end, angles, [](double v) { return std::cos(v); }, absolute(-20.9));
  }
  check_error(
      "tanh.approx.f32 %d, %a;",
      angles,
      [](double v) { return std::tanh(v); },
      [](double v) { return std::fabs(v) * std::exp2(-11) + 1e-30; });
  check_error(
      "div.approx.f32 %d, 0f3f800000, %a;", positive, [](double v) { return 1 / v; }, ulps(2));
  check_error(
      "div.full.f32 %d, 0f3f800000, %a;", positive, [](double v) { return 1 / v; }, ulps(2));
  check_row("rcp.approx.f32 %d, %a;", {f(-0.0f)}, f(-kInf));
  check_row("rcp.approx.f32 %d, %a;", {f(-kInf)}, f(-0.0f));
  check_row("rcp.approx.ftz.f32 %d, %a;", {0x80000001}, f(-kInf));
  check_row("rsqrt.approx.f32 %d, %a;", {f(-1)}, kNan32);
  check_row("rsqrt.approx.f32 %d, %a;", {f(-0.0f)}, f(-kInf));
  check_row("lg2.approx.f32 %d, %a;", {f(0)}, f(-kInf));
  check_row("lg2.approx.f32 %d, %a;", {f(-1)}, kNan32);
  check_row("lg2.approx.ftz.f32 %d, %a;", {0x80000001}, f(-kInf));
  check_row("ex2.approx.f32 %d, %a;", {f(-kInf)}, 0);
  check_row("ex2.approx.f32 %d, %a;", {f(kInf)}, f(kInf));
  check_row("ex2.approx.f32 %d, %a;", {f(-149)}, 1);
  check_row("ex2.approx.ftz.f32 %d, %a;", {f(-149)}, 0);
  check_row("ex2.approx.ftz.f32 %d, %a;", {1}, f(1));
  check_row("sin.approx.f32 %d, %a;", {f(kInf)}, kNan32);
  check_row("sin.approx.f32 %d, %a;", {f(-0.0f)}, f(-0.0f));
  check_row("cos.approx.f32 %d, %a;", {f(-0.0f)}, f(1));
  // .approx gives 0 for a finite number over a divisor beyond 2^126, and NaN for infinity over it
  check_row("div.approx.f32 %d, %a, %b;", {f(0x1p127f), f(0x1p127f)}, 0);
  check_row("div.approx.f32 %d, %a, %b;", {f(kInf), f(0x1p127f)}, kNan32);
  check_row("div.full.f32 %d, %a, %b;", {f(0x1p127f), f(0x1p127f)}, f(1));
}
}   // namespace

TEST_GROUP(ptx_floats) {
  arithmetic<float>("f32");
  arithmetic<double>("f64");
  special_values();
  comparisons();
  between_integers<float>("f32");
  between_integers<double>("f64");
  between_floats();
  halves();
  approximations();
}
