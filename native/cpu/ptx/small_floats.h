// The 8-bit floats e4m3 and e5m2 (Micikevicius et al., "FP8 Formats for Deep Learning"), and tf32.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace spectral::cpu::ptx {
// kBias: of the exponent; kFraction: its bits. e4m3 has no infinities, and NaN where all bits but the sign are ones.
template <int kBias, int kFraction, bool kHasInfinity>
struct Float8 {
  static float of(uint32_t bits) {
    const int exponent = int(bits >> kFraction & (0x7fu >> kFraction));
    const auto fraction = int(bits & ((1u << kFraction) - 1));
    const bool top = exponent == 0x7f >> kFraction;
    float v;
    if (top && (kHasInfinity || fraction == (1 << kFraction) - 1))
      v = fraction ? NAN : INFINITY;
    else if (exponent)
      v = std::ldexp(float(fraction + (1 << kFraction)), exponent - kBias - kFraction);
    else
      v = std::ldexp(float(fraction), 1 - kBias - kFraction);
    return bits & 0x80 ? -v : v;
  }
  // To nearest even; beyond the largest finite value that one (.satfinite). NaN is 0x7f.
  static uint8_t round(float v) {
    if (v != v)
      return 0x7f;
    constexpr uint8_t kLargest = kHasInfinity ? (0x7f >> kFraction << kFraction) - 1 : 0x7e;
    const uint8_t sign = std::signbit(v) ? 0x80 : 0;
    const double magnitude = std::fabs(double(v));
    if (magnitude >= of(kLargest))
      return sign | kLargest;
    const int exponent = magnitude > 0 ? std::max(std::ilogb(magnitude), 1 - kBias) : 1 - kBias;
    const auto steps = int(std::nearbyint(std::ldexp(magnitude, kFraction - exponent)));
    const int bits = ((exponent + kBias - 1) << kFraction) + steps;   // a carry goes into the exponent
    return uint8_t(sign | (bits > kLargest ? kLargest : bits));
  }
};
using E4m3 = Float8<7, 3, false>;
using E5m2 = Float8<15, 2, true>;

// What a product takes of a tf32 register: 10 bits of fraction.
inline float tf32_of(uint32_t bits) { return std::bit_cast<float>(bits & 0xffffe000); }
}   // namespace spectral::cpu::ptx
