// Four values per lane, side by side in memory, to and from four registers. The compiler does not find these vector
// operations.
#pragma once
#include <cstdint>
#include <immintrin.h>

namespace spectral::cpu::ptx {
// In each half a 4 x 4 transposition: r[i] is value i of lanes 0-3 and 4-7 where it was lane i and lane 4 + i.
inline void transpose_halves(__m256 (&r)[4]) {
  const __m256 low01 = _mm256_unpacklo_ps(r[0], r[1]);
  const __m256 high01 = _mm256_unpackhi_ps(r[0], r[1]);
  const __m256 low23 = _mm256_unpacklo_ps(r[2], r[3]);
  const __m256 high23 = _mm256_unpackhi_ps(r[2], r[3]);
  r[0] = _mm256_shuffle_ps(low01, low23, _MM_SHUFFLE(1, 0, 1, 0));
  r[1] = _mm256_shuffle_ps(low01, low23, _MM_SHUFFLE(3, 2, 3, 2));
  r[2] = _mm256_shuffle_ps(high01, high23, _MM_SHUFFLE(1, 0, 1, 0));
  r[3] = _mm256_shuffle_ps(high01, high23, _MM_SHUFFLE(3, 2, 3, 2));
}
// Of the first `width` lanes, a multiple of 8. Lane k has its values at at(k).
template <class At>
inline void load_quads(At at, uint32_t* const (&registers)[4], unsigned width) {
  auto lane = [&](unsigned k) { return reinterpret_cast<const float*>(at(k)); };
  for (unsigned first = 0; first < width; first += 8) {
    __m256 r[4];
    for (unsigned i = 0; i < 4; ++i)
      r[i] = _mm256_loadu2_m128(lane(first + 4 + i), lane(first + i));
    transpose_halves(r);
    for (int i = 0; i < 4; ++i)
      _mm256_storeu_ps(reinterpret_cast<float*>(registers[i]) + first, r[i]);
  }
}
// In the order of the lanes: of several at one address the last one's values stay.
template <class At>
inline void store_quads(At at, const uint32_t* const (&registers)[4], unsigned width) {
  auto lane = [&](unsigned k) { return reinterpret_cast<float*>(at(k)); };
  for (unsigned first = 0; first < width; first += 8) {
    __m256 r[4];
    for (int i = 0; i < 4; ++i)
      r[i] = _mm256_loadu_ps(reinterpret_cast<const float*>(registers[i]) + first);
    transpose_halves(r);
    for (unsigned i = 0; i < 4; ++i)
      _mm_storeu_ps(lane(first + i), _mm256_castps256_ps128(r[i]));
    for (unsigned i = 0; i < 4; ++i)
      _mm_storeu_ps(lane(first + 4 + i), _mm256_extractf128_ps(r[i], 1));
  }
}
}   // namespace spectral::cpu::ptx
