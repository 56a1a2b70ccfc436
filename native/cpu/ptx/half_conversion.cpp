// cvt to and from 16-bit floats, each rounded once. PTX ISA, "Data Movement and Conversion: cvt".
#include "conversion.h"
#include "vectors.h"

namespace spectral::cpu::ptx {
namespace {
template <class T>
T saturated(T v) {   // NaN becomes +0
  return v > 0 ? (v < 1 ? v : T(1)) : T(0);
}
template <class E>
uint16_t narrowed(float v, const Step& s) {   // rounded, or of a value to odd
  if (s.flags & kConvertRelu)
    v = v < 0 ? 0.0f : v;
  if (s.flags & kConvertSaturates)
    v = saturated(v);
  const uint16_t bits = E::round(v, rounding_of(s));
  const bool infinite = (bits & 0x7fff) == E::kMagnitude;
  return s.flags & kConvertFinite && infinite ? uint16_t(bits - 1) : bits;
}

// .rn without more is what kernels store by: a loop of its own, without a question per lane.
template <class E, class S>
void float_to_half(Warp& w, const Step& s) {
  const Lane<S>* a = w.lanes<Lane<S>>(s.a);
  if (sizeof(S) == 4 && !s.flags) {
    write_lanes<uint32_t>(w, s.d, [&](int k) { return uint32_t(E::round(from_lane<S>(a[k]), Rounding::Nearest)); });
    return;
  }
  write_lanes<uint32_t>(w, s.d, [&](int k) { return uint32_t(narrowed<E>(to_odd_float(from_lane<S>(a[k])), s)); });
}
template <class E>
void floats_to_pair(Warp& w, const Step& s) {   // the first goes to the upper half
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  const uint32_t* b = w.lanes<uint32_t>(s.b);
  if (!s.flags) {
    write_lanes<uint32_t>(w, s.d, [&](int k) {
      const uint32_t high = E::round(from_lane<float>(a[k]), Rounding::Nearest);
      return high << 16 | E::round(from_lane<float>(b[k]), Rounding::Nearest);
    });
    return;
  }
  write_lanes<uint32_t>(w, s.d, [&](int k) {
    const uint32_t high = narrowed<E>(from_lane<float>(a[k]), s);
    return high << 16 | narrowed<E>(from_lane<float>(b[k]), s);
  });
}
// bf16 of all lanes to f32, which kernels load by.
void widen_all(Warp& w, const Step& s) {
  const auto* a = w.lanes<Vector<uint32_t>>(s.a);
  auto* d = w.lanes<Vector<float>>(s.d);
  Vector<float> made[4];
  for (unsigned i = 0; i < 4; ++i)
    d[i] = made[i] = Vector<float>(a[i] << 16);
  if (!has_nan(made)) [[likely]]
    return;
  float* lanes = w.lanes<float>(s.d);
  for (unsigned k = 0; k < 32; ++k)
    lanes[k] = lanes[k] != lanes[k] ? std::bit_cast<float>(0x7fffffff) : lanes[k];
}
template <class E, class D>
void half_to_float(Warp& w, const Step& s) {
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  const bool saturates = s.flags & kConvertSaturates;
  if constexpr (std::is_same_v<E, Bf16> && sizeof(D) == 4)
    if (w.mask == ~0u && !saturates) [[likely]]
      return widen_all(w, s);
  write_lanes<D>(w, s.d, [&](int k) {
    D v = E::of(a[k] & 0xffff);
    if (saturates)
      v = saturated(v);
    if constexpr (sizeof(D) == 4)
      v = v != v ? std::bit_cast<float>(0x7fffffff) : v;
    return v;
  });
}
template <class E, class S>
void integer_to_half(Warp& w, const Step& s) {
  write_lanes<uint32_t>(w, s.d, [&](int k) {
    const auto exact = static_cast<long double>(source_lane<S>(w, s, k));
    return uint32_t(narrowed<E>(to_odd_float(exact), s));
  });
}
template <class E, class D>
void half_to_integer(Warp& w, const Step& s) {
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  const Rounding rounding = rounding_of(s);
  write_extended<D>(w, s, [&](int k) { return float_clamped<D>(to_whole(E::of(a[k] & 0xffff), rounding)); });
}
template <class D, class S>
void half_to_half(Warp& w, const Step& s) {
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  write_lanes<uint32_t>(w, s.d, [&](int k) {
    float v = S::of(a[k] & 0xffff);
    if (s.flags & kConvertToWhole)
      v = to_whole(v, rounding_of(s));
    return uint32_t(narrowed<D>(v, s));
  });
}

template <class E>
Run choose_to(const ConversionForm& f) {
  const bool rounds = f.rounding >= 0;
  if (f.from == Type::F32)
    return rounds ? &float_to_half<E, float> : nullptr;
  if (f.from == Type::F64)
    return rounds ? &float_to_half<E, double> : nullptr;
  if (is_half(f.from)) {
    if (f.from != f.to ? !rounds : rounds)
      return nullptr;
    return f.from == Type::F16 ? &half_to_half<E, F16> : &half_to_half<E, Bf16>;
  }
  return rounds ? for_any_integer(f.from, []<class S>() -> Run { return &integer_to_half<E, S>; }) : nullptr;
}
template <class E>
Run choose_from(const ConversionForm& f) {
  if (f.to == Type::F32)
    return &half_to_float<E, float>;
  if (f.to == Type::F64)
    return &half_to_float<E, double>;
  return f.whole >= 0 ? for_any_integer(f.to, []<class D>() -> Run { return &half_to_integer<E, D>; }) : nullptr;
}
}   // namespace

bool takes_two(const ConversionForm& f) {
  return f.from == Type::F32 && (is_half_pair(f.to) || f.to == Type::E4M3x2 || f.to == Type::E5M2x2);
}
Run choose_half(const ConversionForm& f) {
  const bool of_pair = f.rounding == int(Rounding::Nearest) || f.rounding == int(Rounding::Zero);
  if (is_half_pair(f.to)) {
    if (f.from != Type::F32 || !of_pair)
      return nullptr;
    return f.to == Type::BF16x2 ? &floats_to_pair<Bf16> : &floats_to_pair<F16>;
  }
  if (is_half(f.to))
    return f.to == Type::BF16 ? choose_to<Bf16>(f) : choose_to<F16>(f);
  return f.from == Type::BF16 ? choose_from<Bf16>(f) : choose_from<F16>(f);
}
}   // namespace spectral::cpu::ptx
