// Conversions of floats in PTX: to and from integers, other floats and 16-bit floats, against values counted out by
// hand.
#include "ptx_floats.h"

namespace {
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
        std::string name(is_signed ? "s" : "u");
        name += std::to_string(n);
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
}   // namespace

TEST_GROUP(ptx_conversions) {
  between_integers<float>("f32");
  between_integers<double>("f64");
  between_floats();
  halves();
}
