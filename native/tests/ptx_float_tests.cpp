// Floats in PTX: each rounding against 113-bit arithmetic, and the approximations within the errors that the PTX ISA
// gives.
#include "ptx_floats.h"

namespace {
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
  // "rcp.approx.ftz.f64": from the 20 upper bits of the fraction; the lower 32 bits of the result are zero
  std::vector<Operands> rows;
  for (float v : positive)
    rows.push_back({bits_of(double(v) * 1.000244140625)});
  const auto reciprocals = results_of("rcp.approx.ftz.f64 %ld, %la;", rows);
  int far = reciprocals.empty();
  for (size_t i = 0; i < reciprocals.size(); ++i)
    far += !(std::fabs(float_of<double>(reciprocals[i]) * float_of<double>(rows[i].a) - 1) <= 0x1p-19) ||
           uint32_t(reciprocals[i]) != 0;
  check(!far, "rcp.approx.ftz.f64: " + std::to_string(far) + " far off");
  const double inf = std::numeric_limits<double>::infinity();
  check_row("rcp.approx.ftz.f64 %ld, %la;", {d(-0.0)}, d(-inf));
  check_row("rcp.approx.ftz.f64 %ld, %la;", {1}, d(inf));
  check_row("rcp.approx.ftz.f64 %ld, %la;", {d(-inf)}, d(-0.0));
  check_row("rcp.approx.ftz.f64 %ld, %la;", {d(-0x1p1023)}, d(-0.0));   // a subnormal result
  check_row("rcp.approx.ftz.f64 %ld, %la;", {d(4)}, d(0.25));
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
  approximations();
}
