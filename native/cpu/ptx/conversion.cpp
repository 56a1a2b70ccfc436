// cvt: between integers, floats and both. PTX ISA, "Data Movement and Conversion: cvt".
#include "dispatch.h"
#include "float_mode.h"
#include "half.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace spectral::cpu::ptx {
namespace {
enum ConvertFlag : uint32_t { kRoundingBits = 3, kFlushes = 4, kSaturates = 8, kRelu = 16, kToInteger = 32 };
Rounding rounding_of(const Step& s) { return Rounding(s.flags & kRoundingBits); }

// A register may be wider than the type: what is read is the low part, what is written is extended to all of it.
template <class D, class F>
void write_extended(Warp& w, const Step& s, F f) {
  if (s.b) {   // a 64-bit register for a value of 32 bits or less
    using Wide = std::conditional_t<std::is_signed_v<D>, int64_t, uint64_t>;
    write_lanes<uint64_t>(w, s.d, [&](int k) { return uint64_t(Wide(f(k))); });
    return;
  }
  using Whole = std::conditional_t<sizeof(D) == 8, D, std::conditional_t<std::is_signed_v<D>, int32_t, uint32_t>>;
  write_lanes<Whole>(w, s.d, [&](int k) { return Whole(f(k)); });
}
// The lanes of the source, of which a 64-bit register may hold a narrower value.
template <class S>
S source_lane(Warp& w, const Step& s, int k) {
  return s.c ? S(w.lanes<uint64_t>(s.a)[k]) : S(w.lanes<Lane<S>>(s.a)[k]);
}

// ---- integers
template <class D, class S>
D clamped(S v) {
  using Low = std::numeric_limits<D>;
  if (std::cmp_less(v, Low::min()))
    return Low::min();
  return std::cmp_greater(v, Low::max()) ? Low::max() : D(v);
}
template <class D, class S>
void integer_to_integer(Warp& w, const Step& s) {
  const bool saturates = s.flags & kSaturates;
  if (s.c) {
    write_extended<D>(
        w, s, [&](int k) { return saturates ? clamped<D>(source_lane<S>(w, s, k)) : D(source_lane<S>(w, s, k)); });
    return;
  }
  const Lane<S>* a = w.lanes<Lane<S>>(s.a);
  if (saturates)
    write_extended<D>(w, s, [&](int k) { return clamped<D>(S(a[k])); });
  else
    write_extended<D>(w, s, [&](int k) { return D(S(a[k])); });
}

template <class F>
Run for_any_integer(Type t, F f) {
  switch (t) {
    case Type::U8:
    case Type::B8: return f.template operator()<uint8_t>();
    case Type::S8: return f.template operator()<int8_t>();
    case Type::B16: return f.template operator()<uint16_t>();
    case Type::B32: return f.template operator()<uint32_t>();
    case Type::B64: return f.template operator()<uint64_t>();
    default: return for_integer(t, f);
  }
}

// ---- integers and floats
template <class D, class S>
void integer_to_float(Warp& w, const Step& s) {
  const FloatMode mode(rounding_of(s), false);
  write_lanes<D>(w, s.d, [&](int k) {
    const S v = source_lane<S>(w, s, k);
    D r = D(v);
    if (sizeof(S) == 8 && !std::is_signed_v<S> && rounding_of(s) != Rounding::Nearest) {
      // The compiler's way for 64 unsigned bits takes two roundings: correct by the exact value.
      const auto exact = static_cast<long double>(v);
      const bool up = rounding_of(s) == Rounding::Up;
      if (up && r < exact)
        r = std::nextafter(r, std::numeric_limits<D>::infinity());
      else if (!up && r > exact)
        r = std::nextafter(r, D(0));
    }
    return s.flags & kSaturates ? std::clamp(r, D(0), D(1)) : r;
  });
}
template <class T>
T to_whole(T v, Rounding rounding) {
  switch (rounding) {
    case Rounding::Nearest: return std::nearbyint(v);
    case Rounding::Zero: return std::trunc(v);
    case Rounding::Down: return std::floor(v);
    case Rounding::Up: return std::ceil(v);
  }
  return v;
}
// Beyond the type's range its end. NaN is 0 between 32 bits and less, else the sign bit alone.
template <class D, class S>
D float_clamped(S whole) {
  constexpr auto kLow = std::numeric_limits<D>::min();
  constexpr auto kHigh = std::numeric_limits<D>::max();
  if (whole != whole)
    return sizeof(S) == 8 || sizeof(D) == 8 ? D(Unsigned<D>(1) << (8 * sizeof(D) - 1)) : D(0);
  if (whole <= S(kLow))
    return kLow;
  return whole >= S(kHigh) ? kHigh : D(whole);
}
template <class D, class S>
void float_to_integer(Warp& w, const Step& s) {
  const FloatMode mode(Rounding::Nearest, (s.flags & kFlushes) != 0);
  const Lane<S>* a = w.lanes<Lane<S>>(s.a);
  const Rounding rounding = rounding_of(s);
  write_extended<D>(w, s, [&](int k) { return float_clamped<D>(to_whole(from_lane<S>(a[k]), rounding)); });
}

template <class D, class S>
void float_to_float(Warp& w, const Step& s) {
  const bool whole = s.flags & kToInteger;
  const FloatMode mode(whole ? Rounding::Nearest : rounding_of(s), (s.flags & kFlushes) != 0);
  const Lane<S>* a = w.lanes<Lane<S>>(s.a);
  write_lanes<D>(w, s.d, [&](int k) {
    S v = from_lane<S>(a[k]);
    if (whole)
      v = to_whole(v, rounding_of(s));
    if constexpr (sizeof(S) == 4)
      v = s.flags & kFlushes ? flushed(v) : v;
    D r = D(v);
    if (s.flags & kSaturates)
      r = r > 0 ? (r < 1 ? r : D(1)) : D(0);
    if constexpr (sizeof(D) == 4)
      r = r != r ? std::bit_cast<float>(0x7fffffff) : r;
    return r;
  });
}

// ---- 16-bit floats
template <bool kBf16>
uint16_t narrowed(float v, const Step& s) {
  const bool toward_zero = rounding_of(s) == Rounding::Zero;
  if (s.flags & kRelu)
    v = v < 0 ? 0.0f : v;
  return kBf16 ? to_bf16(v, toward_zero) : to_f16(v, toward_zero);
}
template <bool kBf16>
void float_to_half(Warp& w, const Step& s) {
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  write_lanes<uint32_t>(w, s.d, [&](int k) { return uint32_t(narrowed<kBf16>(from_lane<float>(a[k]), s)); });
}
template <bool kBf16>
void floats_to_pair(Warp& w, const Step& s) {   // the first goes to the upper half
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  const uint32_t* b = w.lanes<uint32_t>(s.b);
  write_lanes<uint32_t>(w, s.d, [&](int k) {
    const uint32_t high = narrowed<kBf16>(from_lane<float>(a[k]), s);
    return high << 16 | narrowed<kBf16>(from_lane<float>(b[k]), s);
  });
}
template <bool kBf16>
void half_to_float(Warp& w, const Step& s) {
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  write_lanes<float>(w, s.d, [&](int k) {
    float v = kBf16 ? from_bf16(uint16_t(a[k])) : from_f16(uint16_t(a[k]));
    if (s.flags & kSaturates)
      v = v > 0 ? (v < 1 ? v : 1.0f) : 0.0f;
    return v != v ? std::bit_cast<float>(0x7fffffff) : v;
  });
}

// ---- building
struct Form {
  int rounding = -1;   // of a float
  int whole = -1;      // to an integer's value
  bool relu = false, flushes = false, saturates = false;
  Type to = Type::None, from = Type::None;
  uint32_t flags() const {
    return uint32_t(std::max({rounding, whole, 0})) | (whole >= 0 ? kToInteger : 0u) | (flushes ? kFlushes : 0u) |
           (saturates ? kSaturates : 0u) | (relu ? kRelu : 0u);
  }
};
Form take_form(Builder& b) {
  Form f;
  f.whole = b.take_one_of({"rni", "rzi", "rmi", "rpi"});
  if (f.whole < 0)
    f.rounding = b.take_one_of({"rn", "rz", "rm", "rp"});
  f.relu = b.take("relu");
  f.flushes = b.take("ftz");
  f.saturates = b.take("sat");
  f.to = b.take_type();
  f.from = b.take_type();
  return f;
}
bool is_half(Type t) { return t == Type::F16 || t == Type::BF16; }
bool is_pair(Type t) { return t == Type::F16x2 || t == Type::BF16x2; }
bool is_full(Type t) { return t == Type::F32 || t == Type::F64; }

Run choose_half(const Form& f) {
  const bool rounds = f.rounding == int(Rounding::Nearest) || f.rounding == int(Rounding::Zero);
  if (is_pair(f.to) && f.from == Type::F32 && rounds)
    return f.to == Type::BF16x2 ? &floats_to_pair<true> : &floats_to_pair<false>;
  if (is_half(f.to) && f.from == Type::F32 && rounds)
    return f.to == Type::BF16 ? &float_to_half<true> : &float_to_half<false>;
  if (f.to == Type::F32 && is_half(f.from))
    return f.from == Type::BF16 ? &half_to_float<true> : &half_to_float<false>;
  return nullptr;
}
Run choose_float(const Form& f) {
  const bool narrows = f.to == Type::F32 && f.from == Type::F64;
  const bool same = f.to == f.from;
  if ((narrows && f.rounding < 0) || (!narrows && f.rounding >= 0) || (f.whole >= 0 && !same))
    return nullptr;
  return for_float(f.to, [&]<class D>() -> Run {
    return f.from == Type::F32 ? &float_to_float<D, float> : &float_to_float<D, double>;
  });
}
Run choose_mixed(const Form& f) {
  if (is_full(f.to)) {
    if (f.rounding < 0)
      return nullptr;
    return for_any_integer(f.from, [&]<class S>() -> Run {
      return f.to == Type::F32 ? &integer_to_float<float, S> : &integer_to_float<double, S>;
    });
  }
  if (f.whole < 0)
    return nullptr;
  return for_any_integer(f.to, [&]<class D>() -> Run {
    return f.from == Type::F32 ? &float_to_integer<D, float> : &float_to_integer<D, double>;
  });
}
Run choose(const Form& f) {
  if (is_half(f.to) || is_half(f.from) || is_pair(f.to))
    return choose_half(f);
  if (is_full(f.to) && is_full(f.from))
    return choose_float(f);
  if (is_full(f.to) || is_full(f.from))
    return choose_mixed(f);
  if (f.rounding >= 0 || f.whole >= 0)
    return nullptr;
  return for_any_integer(f.to, [&]<class D>() -> Run {
    return for_any_integer(f.from, []<class S>() -> Run { return &integer_to_integer<D, S>; });
  });
}

// The type as which an operand's register is checked: its own, where it is an integer's and wide enough.
Type as_written(Builder& b, const Operand& o, Type t) {
  const Type own = b.register_type(o);
  const bool wider = bytes_of(own) > bytes_of(t) && !is_float(t);
  return wider ? own : t;
}

void build_cvt(Builder& b) {
  const Form f = take_form(b);
  const Run run = choose(f);
  if (!run)
    b.fail("this conversion is not supported");
  const bool pair = is_pair(f.to);
  b.expect_operands(pair ? 3 : 2);
  const Type read_as = as_written(b, b.operand(1), f.from);
  const Type write_as = as_written(b, b.operand(0), f.to);
  const uint32_t from = b.read(1, read_as);
  const uint32_t second = pair ? b.read(2, f.from) : 0;
  const uint32_t to = b.write(0, write_as);
  Step& s = b.emit(run);
  s.a = from;
  s.d = to;
  s.flags = f.flags();
  if (pair) {
    s.b = second;
  } else {
    s.b = bytes_of(write_as) == 8 && bytes_of(f.to) < 8;
    s.c = bytes_of(read_as) == 8 && bytes_of(f.from) < 8;
  }
}

constexpr InstructionRow kRows[] = {{"cvt", StepClass::Conversion, build_cvt}};
}   // namespace

InstructionTable conversion_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
