// What the tests of PTX's floats share: bits and values, and each rounding of a value known to 113 bits.
#pragma once
#include "ptx.h"
#include <bit>
#include <limits>

using Quad = __float128;
enum Mode { kNearest, kZero, kDown, kUp };
constexpr const char* kModes[] = {"rn", "rz", "rm", "rp"};

template <class T>
inline uint64_t bits_of(T v) {
  if constexpr (sizeof(T) == 4)
    return std::bit_cast<uint32_t>(v);
  else
    return std::bit_cast<uint64_t>(v);
}
template <class T>
T float_of(uint64_t bits) {
  if constexpr (sizeof(T) == 4)
    return std::bit_cast<float>(uint32_t(bits));
  else
    return std::bit_cast<double>(bits);
}
constexpr uint64_t kNan32 = 0x7fffffff;

// The value of 113 bits as a float, rounded so.
template <class T>
T rounded(Quad v, Mode mode) {
  T r = T(v);   // to nearest
  if (mode == kNearest || Quad(r) == v)
    return r;
  const bool above = Quad(r) > v;
  const T inf = std::numeric_limits<T>::infinity();
  const bool down = mode == kDown || (mode == kZero && v > 0);
  if (down && above)
    r = std::nextafter(r, -inf);
  else if (!down && !above)
    r = std::nextafter(r, inf);
  return v < 0 && r == 0 ? -T(0) : r;
}
inline uint64_t f(float v) { return bits_of(v); }
inline uint64_t d(double v) { return bits_of(v); }
constexpr float kInf = std::numeric_limits<float>::infinity();
