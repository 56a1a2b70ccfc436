// 16-bit floats: bits to f32 and back, rounded to nearest or toward zero.
#pragma once
#include <bit>
#include <cstdint>
#include <immintrin.h>

namespace spectral::cpu::ptx {
inline float from_bf16(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }
inline float from_f16(uint16_t bits) { return _cvtsh_ss(bits); }

// NaN becomes the canonical one, 0x7fff.
inline uint16_t to_bf16(float value, bool toward_zero) {
  const auto u = std::bit_cast<uint32_t>(value);
  if ((u & 0x7fffffff) > 0x7f800000)
    return 0x7fff;
  return uint16_t((toward_zero ? u : u + 0x7fff + (u >> 16 & 1)) >> 16);
}
inline uint16_t to_f16(float value, bool toward_zero) {
  if (value != value)
    return 0x7fff;
  return toward_zero ? _cvtss_sh(value, _MM_FROUND_TO_ZERO) : _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT);
}
}   // namespace spectral::cpu::ptx
