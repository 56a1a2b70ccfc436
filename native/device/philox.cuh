// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011)
// and its uniform and normal numbers. Integers are the same on every device by construction. Normals are
// computed in double from IEEE operations only, with every fma spelt out, so no library's log or
// sin decides a bit: about 60 double operations a pair, once per weight initialised.
#pragma once
#include "kernel.cuh"

__device__ __forceinline__ uint4 philox4x32_10(uint2 key, uint4 counter) {
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const unsigned high0 = __umulhi(0xD2511F53u, counter.x);
    const unsigned low0 = 0xD2511F53u * counter.x;
    const unsigned high1 = __umulhi(0xCD9E8D57u, counter.z);
    const unsigned low1 = 0xCD9E8D57u * counter.z;
    counter = make_uint4(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
    key.x += 0x9E3779B9u;
    key.y += 0xBB67AE85u;
  }
  return counter;
}

// Words 4 quad to 4 quad + 3 of one of the streams that a seed has.
__device__ __forceinline__ uint4 philox_words(uint64_t seed, uint64_t stream, uint64_t quad) {
  return philox4x32_10(
      make_uint2(unsigned(seed), unsigned(seed >> 32)),
      make_uint4(unsigned(quad), unsigned(quad >> 32), unsigned(stream), unsigned(stream >> 32)));
}

// [0, 1): the top 24 bits, exact.
__device__ __forceinline__ float philox_uniform(unsigned bits) { return float(bits >> 8) * 0x1p-24f; }
__device__ __forceinline__ void philox_uniforms(uint4 words, float (&v)[4]) {
  v[0] = philox_uniform(words.x);
  v[1] = philox_uniform(words.y);
  v[2] = philox_uniform(words.z);
  v[3] = philox_uniform(words.w);
}

// Natural logarithm of (bits + 1/2) / 2^32, in (-23, 0): m in [sqrt(1/2), sqrt(2)) by its atanh series.
__device__ __forceinline__ double philox_log(unsigned bits) {
  double m = fma(double(bits), 0x1p-32, 0x1p-33);
  int exponent = 0;
  for (int step = 32; step; step >>= 1) {
    const double scale = double(1ull << step);
    if (m * scale < 1.4142135623730951) {
      m *= scale;
      exponent -= step;
    }
  }
  const double s = (m - 1.0) / (m + 1.0);
  const double q = s * s;
  double p = 1.0 / 17;
  p = fma(p, q, 1.0 / 15);
  p = fma(p, q, 1.0 / 13);
  p = fma(p, q, 1.0 / 11);
  p = fma(p, q, 1.0 / 9);
  p = fma(p, q, 1.0 / 7);
  p = fma(p, q, 1.0 / 5);
  p = fma(p, q, 1.0 / 3);
  p = fma(p, q, 1.0);
  return fma(double(exponent), 0.69314718055994531, s * 2.0 * p);
}

// cos and sin of 2 pi bits / 2^32: the quarter turn from the top bits, the rest within 1/8 turn by Taylor series.
__device__ __forceinline__ void philox_circle(unsigned bits, double& cosine, double& sine) {
  const unsigned quarter = (bits + 0x20000000u) >> 30;
  const double x = double(int(bits - (quarter << 30))) * (6.283185307179586 * 0x1p-32);
  const double q = x * x;
  double c = 1.0 / 479001600;
  double s = -1.0 / 39916800;
  c = fma(c, q, -1.0 / 3628800);
  c = fma(c, q, 1.0 / 40320);
  c = fma(c, q, -1.0 / 720);
  c = fma(c, q, 1.0 / 24);
  c = fma(c, q, -0.5);
  c = fma(c, q, 1.0);
  s = fma(s, q, 1.0 / 362880);
  s = fma(s, q, -1.0 / 5040);
  s = fma(s, q, 1.0 / 120);
  s = fma(s, q, -1.0 / 6);
  s = fma(s, q, 1.0);
  s = s * x;
  const bool odd = quarter & 1;   // an odd number of quarter turns swaps the two
  const double u = odd ? s : c;
  const double v = odd ? c : s;
  cosine = quarter == 1 || quarter == 2 ? -u : u;
  sine = quarter >= 2 ? -v : v;
}

// Two independent standard normals from two words (Box-Muller).
__device__ __forceinline__ float2 philox_normal(unsigned radius_bits, unsigned angle_bits) {
  double cosine, sine;
  philox_circle(angle_bits, cosine, sine);
  const double radius = sqrt(-2.0 * philox_log(radius_bits));
  return make_float2(float(radius * cosine), float(radius * sine));
}
// A pair from words x and y, a pair from z and w.
__device__ __forceinline__ void philox_normals(uint4 words, float (&v)[4]) {
  const float2 first = philox_normal(words.x, words.y);
  const float2 second = philox_normal(words.z, words.w);
  v[0] = first.x;
  v[1] = first.y;
  v[2] = second.x;
  v[3] = second.y;
}
