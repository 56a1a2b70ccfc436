// cvt: between integers, floats and both. PTX ISA, "Data Movement and Conversion: cvt".
#include "conversion.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace spectral::cpu::ptx {
namespace {
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
  const bool saturates = s.flags & kConvertSaturates;
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

// ---- integers and floats. Without flags, to nearest, is what kernels ask for: a loop of its own without questions.
template <class D, class S>
void integer_to_float(Warp& w, const Step& s) {
  if (!s.flags && !s.c) {
    const Lane<S>* a = w.lanes<Lane<S>>(s.a);
    return write_lanes<D>(w, s.d, [&](int k) { return D(S(a[k])); });
  }
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
    return s.flags & kConvertSaturates ? std::clamp(r, D(0), D(1)) : r;
  });
}
template <class D, class S>
void float_to_integer(Warp& w, const Step& s) {
  const FloatMode mode(Rounding::Nearest, (s.flags & kConvertFlushes) != 0);
  const Lane<S>* a = w.lanes<Lane<S>>(s.a);
  const Rounding rounding = rounding_of(s);
  write_extended<D>(w, s, [&](int k) { return float_clamped<D>(to_whole(from_lane<S>(a[k]), rounding)); });
}

template <class D>
D with_one_nan(D v) {   // f64 keeps the operand's
  if constexpr (sizeof(D) == 4)
    return v != v ? std::bit_cast<float>(0x7fffffff) : v;
  else
    return v;
}
template <class D, class S>
void float_to_float(Warp& w, const Step& s) {
  const Lane<S>* a = w.lanes<Lane<S>>(s.a);
  if (!s.flags)
    return write_lanes<D>(w, s.d, [&](int k) { return with_one_nan(D(from_lane<S>(a[k]))); });
  const bool whole = s.flags & kConvertToWhole;
  const bool flushes = s.flags & kConvertFlushes;
  const bool saturates = s.flags & kConvertSaturates;
  const Rounding rounding = rounding_of(s);
  const FloatMode mode(whole ? Rounding::Nearest : rounding, flushes);
  write_lanes<D>(w, s.d, [&](int k) {
    S v = from_lane<S>(a[k]);
    if (whole)
      v = to_whole(v, rounding);
    if constexpr (sizeof(S) == 4)
      v = flushes ? flushed(v) : v;
    D r = D(v);
    if (saturates)
      r = r > 0 ? (r < 1 ? r : D(1)) : D(0);
    return with_one_nan(r);
  });
}

// ---- building
ConversionForm take_form(Builder& b) {
  ConversionForm f;
  f.whole = b.take_one_of({"rni", "rzi", "rmi", "rpi"});
  if (f.whole < 0)
    f.rounding = b.take_one_of({"rn", "rz", "rm", "rp"});
  f.away = b.take("rna");
  f.finite = b.take("satfinite");
  f.relu = b.take("relu");
  f.finite |= b.take("satfinite");   // .relu may stand before it or behind
  f.flushes = b.take("ftz");
  f.saturates = b.take("sat");
  f.to = b.take_type();
  f.from = b.take_type();
  return f;
}
bool is_full(Type t) { return t == Type::F32 || t == Type::F64; }

Run choose_float(const ConversionForm& f) {
  const bool narrows = f.to == Type::F32 && f.from == Type::F64;
  const bool same = f.to == f.from;
  if ((narrows && f.rounding < 0) || (!narrows && f.rounding >= 0) || (f.whole >= 0 && !same))
    return nullptr;
  return for_float(f.to, [&]<class D>() -> Run {
    return f.from == Type::F32 ? &float_to_float<D, float> : &float_to_float<D, double>;
  });
}
Run choose_mixed(const ConversionForm& f) {
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
Run choose(const ConversionForm& f) {
  if (Run run = choose_small(f))
    return run;
  const bool to_half = is_half(f.to) || is_half_pair(f.to);
  if (f.away || ((f.finite || f.relu) && !to_half))
    return nullptr;
  if (to_half || is_half(f.from))
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

bool is_whole(Type t) { return !is_float(t) && bytes_of(t) >= 4; }
Linear linear_of(const ConversionForm& f) {
  if (!is_whole(f.from) || !is_whole(f.to) || f.saturates)
    return Linear::None;
  return bytes_of(f.to) > bytes_of(f.from) ? Linear::Widened : Linear::Multiple;
}

// The type as which an operand's register is checked: its own, where it is an integer's and wide enough.
Type as_written(Builder& b, const Operand& o, Type t) {
  const Type own = b.register_type(o);
  const bool wider = bytes_of(own) > bytes_of(t) && !is_float(t);
  return wider ? own : t;
}

void build_cvt(Builder& b) {
  if (b.take("pack"))
    return build_pack(b);
  const ConversionForm f = take_form(b);
  const Run run = choose(f);
  if (!run)
    b.fail("this conversion is not supported");
  const bool pair = takes_two(f);
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
  s.linear = linear_of(f);
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
