// 16-bit floats: bits to f32 and back, each result rounded once.
#pragma once
#include "float_mode.h"
#include <cmath>

namespace spectral::cpu::ptx {
// The f32 below or above a value that is not one, of the two the one whose last bit is set: rounding that to two or
// more bits less gives what rounding the value itself would (Boldo and Melquiond, "Emulation of FMA and correctly
// rounded sums: proved algorithms using rounding to odd").
template <class Wide>
float to_odd_float(Wide v) {
  const auto f = float(v);
  if (f != f || Wide(f) == v)
    return f;
  auto bits = std::bit_cast<uint32_t>(f);
  if (std::fabs(Wide(f)) > std::fabs(v))
    --bits;
  return std::bit_cast<float>(bits | 1);
}
// a b + c to f64, rounded so too. The product of two 16-bit floats is exact.
inline double fma_to_odd(float a, float b, float c) {
  const double product = double(a) * b;
  const double sum = product + c;
  const double part = sum - product;
  const double error = (product - (sum - part)) + (c - part);
  const auto bits = std::bit_cast<uint64_t>(sum);
  if (!std::isfinite(sum) || error == 0 || bits & 1)
    return sum;
  return std::bit_cast<double>((error > 0) == (sum > 0) ? bits + 1 : bits - 1);
}

struct F16 {
  static constexpr uint16_t kOne = 0x3c00;
  static constexpr uint16_t kMagnitude = 0x7c00;   // bits of the exponent
  static float of(uint32_t bits) { return _cvtsh_ss(uint16_t(bits)); }
  static uint16_t round(float v, Rounding rounding) {   // NaN becomes the canonical one, 0x7fff
    if (v != v)
      return 0x7fff;
    switch (rounding) {
      case Rounding::Nearest: return _cvtss_sh(v, _MM_FROUND_TO_NEAREST_INT);
      case Rounding::Zero: return _cvtss_sh(v, _MM_FROUND_TO_ZERO);
      case Rounding::Down: return _cvtss_sh(v, _MM_FROUND_TO_NEG_INF);
      default: return _cvtss_sh(v, _MM_FROUND_TO_POS_INF);
    }
  }
};
struct Bf16 {
  static constexpr uint16_t kOne = 0x3f80;
  static constexpr uint16_t kMagnitude = 0x7f80;
  static float of(uint32_t bits) { return std::bit_cast<float>(bits << 16); }
  static inline __attribute__((always_inline)) uint16_t round(float v, Rounding rounding) {
    const auto u = std::bit_cast<uint32_t>(v);
    const bool negative = u >> 31;
    uint32_t add = 0;
    if (rounding == Rounding::Nearest)
      add = 0x7fff + (u >> 16 & 1);
    else if (rounding == (negative ? Rounding::Down : Rounding::Up))
      add = 0xffff;
    return (u & 0x7fffffff) > 0x7f800000 ? 0x7fff : uint16_t((u + add) >> 16);
  }
};

constexpr uint16_t kHalfSign = 0x8000;
constexpr uint16_t kHalfNan = 0x7fff;   // the canonical one

template <class E>
uint16_t half_sum(uint16_t a, uint16_t b) {
  return E::round(to_odd_float(fma_to_odd(E::of(a), 1, E::of(b))), Rounding::Nearest);
}
// The smaller or the larger: a number wins over NaN, -0 is less than +0.
template <class E, bool kMax>
uint16_t half_extreme(uint16_t a, uint16_t b) {
  const float x = E::of(a);
  const float y = E::of(b);
  if (x != x || y != y) {
    if (x != x && y != y)
      return kHalfNan;
    return x != x ? b : a;
  }
  if (x == y)
    return ((a & kHalfSign) != 0) == kMax ? b : a;
  return (x < y) == kMax ? b : a;
}
}   // namespace spectral::cpu::ptx
