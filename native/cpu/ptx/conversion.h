// What the conversions share: the form an instruction asks for, and rounding to whole numbers.
#pragma once
#include "dispatch.h"
#include "half.h"
#include <algorithm>
#include <limits>

namespace spectral::cpu::ptx {
enum ConvertFlag : uint32_t {
  kConvertRounding = 3,
  kConvertFlushes = 4,
  kConvertSaturates = 8,
  kConvertRelu = 16,
  kConvertToWhole = 32,
  kConvertFinite = 64
};
inline Rounding rounding_of(const Step& s) { return Rounding(s.flags & kConvertRounding); }

struct ConversionForm {
  int rounding = -1;   // of a float
  int whole = -1;      // to an integer's value
  bool away = false;   // .rna: to nearest, ties away from zero
  bool relu = false, finite = false, flushes = false, saturates = false;
  Type to = Type::None, from = Type::None;
  uint32_t flags() const {
    return uint32_t(std::max({rounding, whole, 0})) | (whole >= 0 ? kConvertToWhole : 0u) |
           (flushes ? kConvertFlushes : 0u) | (saturates ? kConvertSaturates : 0u) | (relu ? kConvertRelu : 0u) |
           (finite ? kConvertFinite : 0u);
  }
};
Run choose_half(const ConversionForm&);    // to or from 16-bit floats; null if there is no such form
Run choose_small(const ConversionForm&);   // to or from tf32 and 8-bit floats
bool takes_two(const ConversionForm&);     // two f32 become a pair
void build_pack(Builder&);                 // cvt.pack

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
// Beyond the type's range its end. NaN is 0, but where the source is f64 or the result has 64 bits it is the sign bit
// alone. PTX ISA, "Data Movement and Conversion: cvt", integer notes.
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
}   // namespace spectral::cpu::ptx
