// cvt to and from tf32 and 8-bit floats, and cvt.pack. PTX ISA, "Data Movement and Conversion: cvt, cvt.pack".
#include "conversion.h"
#include "small_floats.h"

namespace spectral::cpu::ptx {
namespace {
enum Tf32Rounding { kNearestEven, kTowardZero, kNearestAway };
template <Tf32Rounding kRounding>
void to_tf32(Warp& w, const Step& s) {
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  write_lanes<uint32_t>(w, s.d, [&](int k) {
    uint32_t u = a[k];
    if ((u & 0x7fffffff) > 0x7f800000)
      return 0x7fffffffu;
    if (s.flags & kConvertRelu && u >> 31)
      return 0u;
    if (kRounding == kNearestEven)
      u += 0xfff + (u >> 13 & 1);
    else if (kRounding == kNearestAway)
      u += 0x1000;
    u &= 0xffffe000;
    constexpr uint32_t kInfinity = 0x7f800000;
    return s.flags & kConvertFinite && (u & 0x7fffffff) == kInfinity ? u - 0x2000 : u;
  });
}
template <class E>
uint32_t narrowed(float v, const Step& s) {
  if (s.flags & kConvertRelu)
    v = v < 0 ? 0.0f : v;
  return E::round(v);
}
template <class E>
void floats_to_small(Warp& w, const Step& s) {   // the first goes to the upper byte
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  const uint32_t* b = w.lanes<uint32_t>(s.b);
  write_lanes<uint32_t>(w, s.d, [&](int k) {
    return narrowed<E>(from_lane<float>(a[k]), s) << 8 | narrowed<E>(from_lane<float>(b[k]), s);
  });
}
template <class E>
void halves_to_small(Warp& w, const Step& s) {
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  write_lanes<uint32_t>(
      w, s.d, [&](int k) { return narrowed<E>(F16::of(a[k] >> 16), s) << 8 | narrowed<E>(F16::of(a[k] & 0xffff), s); });
}
template <class E>
void small_to_halves(Warp& w, const Step& s) {   // each has its f16
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  auto half = [&](uint32_t bits) -> uint32_t {
    float v = E::of(bits & 255);
    if (s.flags & kConvertRelu)
      v = v < 0 ? 0.0f : v;
    return F16::round(v, Rounding::Nearest);
  };
  write_lanes<uint32_t>(w, s.d, [&](int k) { return half(a[k] >> 8) << 16 | half(a[k]); });
}
template <class E>
Run choose_of(const ConversionForm& f, bool writes) {
  if (f.rounding != int(Rounding::Nearest))
    return nullptr;
  if (!writes)
    return f.to == Type::F16x2 ? &small_to_halves<E> : nullptr;
  if (!f.finite)
    return nullptr;
  if (f.from == Type::F32)
    return &floats_to_small<E>;
  return f.from == Type::F16x2 ? &halves_to_small<E> : nullptr;
}

// Integers clamped to fewer bits: a above b, and above both what c has.
void pack(Warp& w, const Step& s) {
  const int32_t* a = w.lanes<int32_t>(s.a);
  const int32_t* b = w.lanes<int32_t>(s.b);
  const uint32_t* c = w.lanes<uint32_t>(s.c);
  const auto bits = unsigned(s.value);
  const bool is_signed = s.flags;
  const int32_t low = is_signed ? -(1 << (bits - 1)) : 0;
  const int32_t high = is_signed ? (1 << (bits - 1)) - 1 : (1 << bits) - 1;
  const uint32_t mask = (1u << bits) - 1;
  write_lanes<uint32_t>(w, s.d, [&](int k) {
    const uint32_t both =
        (uint32_t(std::clamp(a[k], low, high)) & mask) << bits | (uint32_t(std::clamp(b[k], low, high)) & mask);
    return bits == 16 ? both : c[k] << 2 * bits | both;
  });
}
}   // namespace

Run choose_small(const ConversionForm& f) {
  if (f.to == Type::TF32) {
    if (f.from != Type::F32)
      return nullptr;
    if (f.away)
      return &to_tf32<kNearestAway>;
    if (f.rounding == int(Rounding::Nearest))
      return &to_tf32<kNearestEven>;
    return f.rounding == int(Rounding::Zero) ? &to_tf32<kTowardZero> : nullptr;
  }
  if (f.to == Type::E4M3x2 || f.from == Type::E4M3x2)
    return choose_of<E4m3>(f, f.to == Type::E4M3x2);
  if (f.to == Type::E5M2x2 || f.from == Type::E5M2x2)
    return choose_of<E5m2>(f, f.to == Type::E5M2x2);
  return nullptr;
}

void build_pack(Builder& b) {
  if (!b.take("sat"))
    b.fail("expected .sat");
  const int to = b.take_one_of({"u16", "s16", "u8", "s8", "u4", "s4", "u2", "s2"});
  const bool has_c = to >= 2;
  if (to < 0 || !b.take("s32") || (has_c && !b.take("b32")))
    b.fail("expected .u16, .s16 and .s32, or a narrower type, .s32 and .b32");
  Step& s = has_c ? emit_plain(b, Type::B32, 3, &pack) : emit_plain(b, Type::B32, 2, &pack);
  s.value = 16 >> to / 2;
  s.flags = to % 2;
}
}   // namespace spectral::cpu::ptx
