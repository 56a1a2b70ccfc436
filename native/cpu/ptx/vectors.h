// Lanes as vectors of the processor, for what the compiler does not make of a loop. Registers are aligned for them.
#pragma once
#include <cstdint>
#include <immintrin.h>

namespace spectral::cpu::ptx {
constexpr unsigned kVectorBytes = 32;
template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kVectorBytes), may_alias));
};
template <class T>
using Vector = typename VectorOf<T>::type;
template <class T>
constexpr unsigned kLanesOf = kVectorBytes / sizeof(T);

// A bit for each element of a comparison's result.
template <class V>
inline uint32_t bits_of(V compared) {
  if constexpr (sizeof(compared[0]) == 8)
    return uint32_t(_mm256_movemask_pd(reinterpret_cast<__m256d>(compared)));
  else
    return uint32_t(_mm256_movemask_ps(reinterpret_cast<__m256>(compared)));
}
template <class V>
inline bool is_zero(V v) {
  return _mm256_testz_si256(reinterpret_cast<__m256i>(v), reinterpret_cast<__m256i>(v));
}
// Whether one of 32 floats is NaN. One comparison finds those of two vectors.
inline bool has_nan(const Vector<float> (&v)[4]) {
  const __m256 nans = _mm256_or_ps(
      _mm256_cmp_ps(__m256(v[0]), __m256(v[1]), _CMP_UNORD_Q), _mm256_cmp_ps(__m256(v[2]), __m256(v[3]), _CMP_UNORD_Q));
  return !_mm256_testz_ps(nans, nans);
}
}   // namespace spectral::cpu::ptx
