// Floating-point arithmetic of 32 and 64 bits. PTX ISA, "Floating Point". Compiled without contraction.
#include "floating.h"
#include "dispatch.h"
#include "float_mode.h"
#include "vectors.h"
#include <cmath>

namespace spectral::cpu::ptx {
namespace {
// Of NaN results, f32 gives this one; f64 keeps the operand's.
constexpr uint32_t kNan = 0x7fffffff;
template <class T>
T with_one_nan(T v) {
  if constexpr (sizeof(T) == 4)
    return v != v ? std::bit_cast<float>(kNan) : v;
  else
    return v;
}
template <class T>
T saturated(T v) {   // NaN becomes +0
  const T low = v > 0 ? v : T(0);
  return low < 1 ? low : T(1);
}

// ---- what is rounded: flags say how, 0 is to nearest with subnormals
enum FloatFlag : uint32_t { kRoundingBits = 3, kFlushes = 4, kSaturates = 8 };
FloatMode mode_of(const Step& s) { return {Rounding(s.flags & kRoundingBits), (s.flags & kFlushes) != 0}; }

struct Add {
  template <class T>
  static T of(T a, T b) {
    return a + b;
  }
};
struct Sub {
  template <class T>
  static T of(T a, T b) {
    return a - b;
  }
};
struct Mul {
  template <class T>
  static T of(T a, T b) {
    return a * b;
  }
};
struct Div {
  template <class T>
  static T of(T a, T b) {
    return a / b;
  }
};
// By a reciprocal, which is 0 where it would be subnormal: for |b| beyond 2^126 a zero of the product's sign, or NaN if
// a is infinite. PTX ISA, "Floating Point Instructions: div", notes.
struct DivApproximate {
  static float of(float a, float b) { return std::fabs(b) > 0x1p126f ? a * std::copysign(0.0f, b) : a / b; }
};
struct Fma {
  template <class T>
  static T of(T a, T b, T c) {
    return std::fma(a, b, c);
  }
  static Vector<float> of(Vector<float> a, Vector<float> b, Vector<float> c) {
    return Vector<float>(_mm256_fmadd_ps(__m256(a), __m256(b), __m256(c)));
  }
};
struct Rcp {
  template <class T>
  static T of(T a) {
    return 1 / a;
  }
};
struct Sqrt {
  template <class T>
  static T of(T a) {
    return std::sqrt(a);
  }
};
struct Rsqrt {
  template <class T>
  static T of(T a) {
    return T(1 / std::sqrt(double(a)));
  }
};

// Results are hardly ever NaN: looking for some behind the loop keeps that out of the way of what waits for them.
inline __attribute__((always_inline)) void make_one_nan(Warp& w, const Step& s) {
  const auto* d = w.lanes<Vector<float>>(s.d);
  auto nans = d[0] != d[0];
  for (unsigned i = 1; i < 32 / kLanesOf<float>; ++i)
    nans |= d[i] != d[i];
  if (is_zero(nans)) [[likely]]
    return;
  float* lanes = w.lanes<float>(s.d);
  each_lane(w.mask, [&](int k) { lanes[k] = with_one_nan(lanes[k]); });
}
// The same of all lanes, with the results still in the processor's registers: reading them again would take as long as
// the arithmetic. For operations that are one of the processor's on vectors.
template <class Op>
constexpr bool kIsOfVectors =
    std::is_same_v<Op, Add> || std::is_same_v<Op, Sub> || std::is_same_v<Op, Mul> || std::is_same_v<Op, Fma>;
template <class Op, int kSources>
inline __attribute__((always_inline)) void take_vectors(Warp& w, const Step& s) {
  static_assert(32 / kLanesOf<float> == 4);
  const auto* a = w.lanes<Vector<float>>(s.a);
  const auto* b = w.lanes<Vector<float>>(s.b);
  const auto* c = w.lanes<Vector<float>>(s.c);
  auto* d = w.lanes<Vector<float>>(s.d);
  Vector<float> made[4];
  for (unsigned i = 0; i < 4; ++i) {
    if constexpr (kSources == 2)
      made[i] = Op::of(a[i], b[i]);
    else
      made[i] = Op::of(a[i], b[i], c[i]);
    d[i] = made[i];
  }
  if (!has_nan(made)) [[likely]]
    return;
  float* lanes = w.lanes<float>(s.d);
  for (unsigned k = 0; k < 32; ++k)
    lanes[k] = with_one_nan(lanes[k]);
}
template <class Op, class T, int kSources>
inline __attribute__((always_inline)) void arithmetic(Warp& w, const Step& s, bool saturates) {
  auto map = [&](auto finish) __attribute__((always_inline)) {
    if constexpr (kSources == 1)
      map1<T, T>(w, s, [&](T a) { return finish(Op::of(a)); });
    else if constexpr (kSources == 2)
      map2<T, T, T>(w, s, [&](T a, T b) { return finish(Op::of(a, b)); });
    else
      map3<T, T, T, T>(w, s, [&](T a, T b, T c) { return finish(Op::of(a, b, c)); });
  };
  if (saturates)
    return map([](T v) { return saturated(v); });
  map([](T v) { return v; });
  if constexpr (sizeof(T) == 4)
    make_one_nan(w, s);
}
template <class Op, class T, int kSources>
void nearest(Warp& w, const Step& s) {
  if constexpr (sizeof(T) == 4 && kIsOfVectors<Op>)
    if (w.mask == ~0u) [[likely]]
      return take_vectors<Op, kSources>(w, s);
  arithmetic<Op, T, kSources>(w, s, false);
}
template <class Op, class T, int kSources>
void in_mode(Warp& w, const Step& s) {
  const FloatMode mode = mode_of(s);
  arithmetic<Op, T, kSources>(w, s, (s.flags & kSaturates) != 0);
}

int take_rounding(Builder& b) { return b.take_one_of({"rn", "rz", "rm", "rp"}); }

// {.rnd}{.ftz}{.sat}.type over `kSources` operands.
template <class Op, int kSources>
void build_rounded(Builder& b, bool must_round = false) {
  const int rounding = take_rounding(b);
  const bool flushes = b.take("ftz");
  const bool saturates = b.take("sat");
  const Type t = b.take_type();
  if (must_round && rounding < 0)
    b.fail("a rounding is missing: .rn, .rz, .rm or .rp");
  if (t == Type::F64 && (flushes || saturates))
    b.fail(".ftz and .sat are for .f32");
  const bool plain = rounding <= 0 && !flushes && !saturates;
  const Run run =
      for_float(t, [&]<class T>() -> Run { return plain ? &nearest<Op, T, kSources> : &in_mode<Op, T, kSources>; });
  Step& s = emit_plain(b, t, kSources, run);
  s.flags = uint32_t(std::max(rounding, 0)) | (flushes ? kFlushes : 0u) | (saturates ? kSaturates : 0u);
  s.operations = kSources == 3 ? 2 : 1;   // fma: a product and a sum
  count_as(s, t);
}

// ---- approximations: right to the last place or nearly, where the hardware's may be off by the bound it documents
template <class Op, bool kFlushesToo>
void approximate(Warp& w, const Step& s) {
  const FloatMode mode(Rounding::Nearest, kFlushesToo);
  arithmetic<Op, float, 1>(w, s, false);
}
// 2^x = 2^n 2^f, f in [-1/2, 1/2], by a polynomial whose terms but the 1 are less than half of the result: exact to
// 1 ulp, where 2 ulp are documented. A subnormal x gives 1 with and without .ftz, so only the result may have to be
// flushed.
template <bool kFlushesToo>
struct Ex2 {
  static float power(int32_t n) { return std::bit_cast<float>(uint32_t(n + 127) << 23); }
  static float of(float x) {
    const float above = x > -200.0f ? x : -200.0f;
    const float bounded = above < 200.0f ? above : 200.0f;
    const float n = std::nearbyint(bounded);
    const float f = bounded - n;   // exact
    float p = 1.5252733804059840e-05f;
    p = std::fma(p, f, 0.00015403530393381609f);
    p = std::fma(p, f, 0.0013333558146428443f);
    p = std::fma(p, f, 0.0096181291076284772f);
    p = std::fma(p, f, 0.055504108664821580f);
    p = std::fma(p, f, 0.24022650695910072f);
    p = std::fma(p, f, 0.69314718055994531f);
    p = std::fma(p, f, 1.0f);
    const auto whole = int32_t(n);
    const int32_t half = whole >> 1;   // 2^n itself may be beyond the range, of which the result is not
    const float scaled = p * power(half) * power(whole - half);
    const float kept = kFlushesToo && scaled < 0x1p-126f ? 0.0f : scaled;
    return x != x ? x : kept;
  }
};
struct Lg2 {
  static float of(float x) { return float(std::log2(double(x))); }
};
struct Sin {
  static float of(float x) { return float(std::sin(double(x))); }
};
struct Cos {
  static float of(float x) { return float(std::cos(double(x))); }
};
struct Tanh {
  static float of(float x) { return float(std::tanh(double(x))); }
};

void take_approx(Builder& b) {
  if (!b.take("approx"))
    b.fail(".approx is missing");
}
void emit_approximate(Builder& b, Run keeping, Run flushing) {
  const Run run = b.take("ftz") ? flushing : keeping;
  const Type t = b.take_type();
  emit_plain(b, t, 1, t == Type::F32 ? run : nullptr);
}
template <class Op>
void build_approximate(Builder& b) {
  take_approx(b);
  emit_approximate(b, &approximate<Op, false>, &approximate<Op, true>);
}
void build_ex2(Builder& b) {
  take_approx(b);
  if (names_half_form(b))
    return build_half_ex2(b);
  emit_approximate(b, &nearest<Ex2<false>, float, 1>, &nearest<Ex2<true>, float, 1>);
}
void build_tanh(Builder& b) {
  take_approx(b);
  if (names_half_form(b))
    return build_half_tanh(b);
  emit_approximate(b, &approximate<Tanh, false>, &approximate<Tanh, true>);
}

// 1 / a of the upper 32 bits of a, to as many bits: the start of a Newton iteration.
template <class Op>
void gross_f64(Warp& w, const Step& s) {
  const FloatMode mode(Rounding::Nearest, true);
  map1<double, double>(w, s, [](double a) {
    constexpr uint64_t kUpper = 0xffffffff00000000;
    const double of = std::bit_cast<double>(std::bit_cast<uint64_t>(a) & kUpper);
    return std::bit_cast<double>(std::bit_cast<uint64_t>(Op::of(of)) & kUpper);
  });
}

// rcp, sqrt, rsqrt: .approx{.ftz}, or a rounding.
template <class Op, bool kHasRounded>
void build_root(Builder& b) {
  if (!b.take("approx")) {
    if (!kHasRounded)
      b.fail(".approx is missing");
    return build_rounded<Op, 1>(b, true);
  }
  const bool flushes = b.take("ftz");
  const Type t = b.take_type();
  Run run = nullptr;
  if (t == Type::F32)
    run = flushes ? &approximate<Op, true> : &approximate<Op, false>;
  else if (t == Type::F64 && !std::is_same_v<Op, Sqrt>)
    run = !flushes && std::is_same_v<Op, Rsqrt> ? &nearest<Op, double, 1> : &gross_f64<Op>;
  emit_plain(b, t, 1, run);
}

// ---- signs
template <class T>
constexpr Lane<T> kSignBit = Lane<T>(1) << (8 * sizeof(T) - 1);
template <class T>
Lane<T> flushed_bits(Lane<T> bits, bool flushes) {
  const bool subnormal = (bits & (kSignBit<float> - 1)) < 0x800000;
  return flushes && subnormal ? bits & kSignBit<T> : bits;
}
template <class T, bool kNegates>
void change_sign(Warp& w, const Step& s) {
  const Lane<T>* a = w.lanes<Lane<T>>(s.a);
  const bool flushes = s.flags & kFlushes;
  write_lanes<Lane<T>>(w, s.d, [&](int k) {
    const Lane<T> bits = flushed_bits<T>(a[k], flushes);
    return kNegates ? bits ^ kSignBit<T> : bits & ~kSignBit<T>;
  });
}
template <bool kNegates>
void build_sign(Builder& b) {
  const bool flushes = b.take("ftz");
  const Type t = b.take_type();
  if (flushes && t != Type::F32)
    b.fail(".ftz is for .f32");
  const Run run = for_float(t, []<class T>() -> Run { return &change_sign<T, kNegates>; });
  Step& s = emit_plain(b, t, 1, run);
  s.flags = flushes ? kFlushes : 0u;
  count_as(s, t);
}
template <class T>
void copy_sign(Warp& w, const Step& s) {
  using L = Lane<T>;
  map2<L, L, L>(w, s, [](L a, L b) { return (b & ~kSignBit<T>) | (a & kSignBit<T>); });
}
void build_copysign(Builder& b) {
  const Type t = b.take_type();
  count_as(emit_plain(b, t, 2, for_float(t, []<class T>() -> Run { return &copy_sign<T>; })), t);
}

// ---- minimum and maximum: a number wins over NaN, -0 is less than +0
enum MinMaxFlag : uint32_t { kNanWins = 16, kXorSign = 32 };
template <class T, bool kMax>
inline __attribute__((always_inline)) T pick(T a, T b, bool nan_wins) {   // without branches, for vectors
  const T number = a != a ? b : a;
  const bool one_nan = (a != a) != (b != b);
  const bool second = a == b ? (to_lane(a) & kSignBit<T>) == (kMax ? kSignBit<T> : 0) : (a < b) == kMax;
  const T nan = with_one_nan(std::numeric_limits<T>::quiet_NaN());
  const T of_nan = one_nan && !nan_wins ? number : nan;
  const T of_numbers = second ? b : a;
  return a != a || b != b ? of_nan : of_numbers;
}
template <class T, bool kMax>
void min_max(Warp& w, const Step& s) {
  const FloatMode mode = mode_of(s);
  const bool nan_wins = s.flags & kNanWins;
  const bool xor_sign = s.flags & kXorSign;
  const bool flushes = s.flags & kFlushes;
  if (!xor_sign && !flushes) {
    map2<T, T, T>(w, s, [nan_wins](T a, T b) { return pick<T, kMax>(a, b, nan_wins); });
    return;
  }
  map2<T, T, T>(w, s, [&](T a, T b) {
    if constexpr (sizeof(T) == 4)
      if (flushes) {
        a = flushed(a);
        b = flushed(b);
      }
    if (!xor_sign)
      return pick<T, kMax>(a, b, nan_wins);
    const T chosen = pick<T, kMax>(std::fabs(a), std::fabs(b), nan_wins);
    return std::signbit(a) != std::signbit(b) ? -chosen : chosen;
  });
}
template <bool kMax>
void build_min_max(Builder& b) {
  const bool flushes = b.take("ftz");
  const bool nan_wins = b.take("NaN");
  const bool xor_sign = b.take("xorsign");
  if (xor_sign && !b.take("abs"))
    b.fail(".abs is missing after .xorsign");
  const Type t = b.take_type();
  if (t == Type::F64 && (flushes || nan_wins || xor_sign))
    b.fail(".ftz, .NaN and .xorsign are for .f32");
  const Run run = for_float(t, []<class T>() -> Run { return &min_max<T, kMax>; });
  Step& s = emit_plain(b, t, 2, run);
  s.flags = (flushes ? kFlushes : 0u) | (nan_wins ? kNanWins : 0u) | (xor_sign ? kXorSign : 0u);
  count_as(s, t);
}

// ---- kinds of numbers
enum class Property : int64_t { Finite, Infinite, Number, NotANumber, Normal, Subnormal };
template <class T>
bool has_property(T v, Property p) {
  switch (p) {
    case Property::Finite: return std::isfinite(v);
    case Property::Infinite: return std::isinf(v);
    case Property::Number: return v == v;
    case Property::NotANumber: return v != v;
    case Property::Normal: return std::isnormal(v);
    case Property::Subnormal: return std::fpclassify(v) == FP_SUBNORMAL;
  }
  return false;
}
template <class T>
void test_property(Warp& w, const Step& s) {
  const Lane<T>* a = w.lanes<Lane<T>>(s.a);
  uint32_t bits = 0;
  for (int k = 0; k < 32; ++k)
    bits |= uint32_t(has_property(from_lane<T>(a[k]), Property(s.value))) << k;
  write_predicate(w, s.d, bits);
}
void build_testp(Builder& b) {
  const int property = b.take_one_of({"finite", "infinite", "number", "notanumber", "normal", "subnormal"});
  const Type t = b.take_type();
  const Run run = for_float(t, []<class T>() -> Run { return &test_property<T>; });
  if (property < 0 || !run)
    b.fail("expected a property and .f32 or .f64");
  b.expect_operands(2);
  const uint32_t from = b.read(1, t);
  const uint32_t to = b.write_predicate(b.operand(0));
  Step& s = b.emit(run);
  s.a = from;
  s.d = to;
  s.value = property;
  count_as(s, t);
}

constexpr InstructionRow kRows[] = {
    {"testp", StepClass::Float, build_testp},
    {"copysign", StepClass::Float, build_copysign},
    {"fma", StepClass::Float, build_float_fma},
    {"rcp", StepClass::Special, build_root<Rcp, true>},
    {"sqrt", StepClass::Special, build_root<Sqrt, true>},
    {"rsqrt", StepClass::Special, build_root<Rsqrt, false>},
    {"sin", StepClass::Special, build_approximate<Sin>},
    {"cos", StepClass::Special, build_approximate<Cos>},
    {"lg2", StepClass::Special, build_approximate<Lg2>},
    {"ex2", StepClass::Special, build_ex2},
    {"tanh", StepClass::Special, build_tanh}};
}   // namespace

bool names_float_form(const Builder& b) {
  const auto& modifiers = b.instruction().modifiers;
  return !modifiers.empty() && is_float(type_named(modifiers.back()));
}
namespace {
// The form for 16-bit floats, if the type is one of theirs.
void build_either(Builder& b, void (*half)(Builder&), void (*full)(Builder&)) { (names_half_form(b) ? half : full)(b); }
}   // namespace
void build_float_add(Builder& b) {
  build_either(b, build_half_add, [](Builder& full) { build_rounded<Add, 2>(full); });
}
void build_float_sub(Builder& b) {
  build_either(b, build_half_sub, [](Builder& full) { build_rounded<Sub, 2>(full); });
}
void build_float_mul(Builder& b) {
  build_either(b, build_half_mul, [](Builder& full) { build_rounded<Mul, 2>(full); });
}
void build_float_fma(Builder& b) {
  build_either(b, build_half_fma, [](Builder& full) { build_rounded<Fma, 3>(full, true); });
}
void build_float_abs(Builder& b) { build_either(b, build_half_abs, build_sign<false>); }
void build_float_neg(Builder& b) { build_either(b, build_half_neg, build_sign<true>); }
void build_float_min(Builder& b) { build_either(b, build_half_min, build_min_max<false>); }
void build_float_max(Builder& b) { build_either(b, build_half_max, build_min_max<true>); }
void build_float_div(Builder& b) {
  if (b.peek() != "approx" && b.peek() != "full")
    return build_rounded<Div, 2>(b, true);
  const Run run = b.take("approx") ? &in_mode<DivApproximate, float, 2> : &in_mode<Div, float, 2>;
  b.take("full");
  const bool flushes = b.take("ftz");
  const Type t = b.take_type();
  Step& s = emit_plain(b, t, 2, t == Type::F32 ? run : nullptr);
  s.flags = flushes ? kFlushes : 0u;
  count_as(s, t);
}

InstructionTable float_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
