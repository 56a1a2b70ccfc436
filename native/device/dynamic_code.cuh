// The dynamic 8-bit codes of optimizer states (Dettmers: "8-Bit Approximations for Parallelism in Deep Learning", 2015;
// Dettmers et al.: "8-bit Optimizers via Block-wise Quantization", 2021), numbered and rounded as bitsandbytes does.
//
// A code stands for 0, 1, or a value of one of seven decades, the last from 0.1 to 1. Decade i = 0 ... 6 is cut into
// n = 2^i equal parts, in the code without a sign 2^(i+1), and has the middle of each. With a number p = n ... 2n - 1
// for the parts of a decade, 0 for 0 and the next after all for 1, a signed code is 127 + p or 127 - p, where -1 is
// missing, and one without a sign is p - 1.
#pragma once
#include "spectral.cuh"

constexpr int kDynamicDecades = 7;
constexpr int kDynamicZero = 127;   // the signed code of 0

// The upper end of a decade.
__host__ __device__ constexpr double dynamic_decade(int decade) {
  constexpr double kEnds[kDynamicDecades] = {1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1};
  return kEnds[decade];
}

// Parts of the first decade; each has twice as many as the one before.
template <bool kSigned>
constexpr int kDynamicFirst = kSigned ? 1 : 2;

struct DynamicTable {
  float value[256];
};

// Borders of parts are rounded to F32, and the middles once more after the product with the decade, as in bitsandbytes.
template <bool kSigned>
constexpr DynamicTable dynamic_table() {
  DynamicTable table{};
  int code = kSigned ? kDynamicZero + 1 : 1;
  for (int decade = 0; decade < kDynamicDecades; ++decade) {
    const int parts = kDynamicFirst<kSigned> << decade;
    const double step = (1 - 0.1) / parts;
    for (int part = 0; part < parts; ++part, ++code) {
      const float low = float(0.1 + step * part);
      const float high = float(0.1 + step * (part + 1));
      table.value[code] = float(dynamic_decade(decade) * ((double(low) + double(high)) / 2));
      if (kSigned)
        table.value[2 * kDynamicZero - code] = -table.value[code];
    }
  }
  table.value[code] = 1;
  return table;
}

__device__ const DynamicTable kDynamicSigned = dynamic_table<true>();
__device__ const DynamicTable kDynamicUnsigned = dynamic_table<false>();

template <bool kSigned>
__device__ __forceinline__ float dynamic_value(unsigned code) {
  return kSigned ? kDynamicSigned.value[code] : kDynamicUnsigned.value[code];
}

// The code whose value is nearest to y, of magnitude at most 1. Of a signed code, a negative y keeps its sign: where 0
// is nearest, it gets the smallest negative value. Without branches, so that the CPU device's compiler takes eight at
// once.
//
// The number of the part that a magnitude is in grows by a line in each decade, ever less steeply, and the lines meet
// at the decades' ends: it is the least of the lines. But half way from the last middle of a decade to the first of
// the next is a fifth into the next one's first part, whose number is a power of two; below the first middle it is
// elsewhere, as the one before is 0.
template <bool kSigned>
__device__ __forceinline__ int dynamic_code(float y) {
  constexpr int kFirst = kDynamicFirst<kSigned>;
  constexpr int kAll = kFirst << kDynamicDecades;
  constexpr float kFirstBorder = float((0.05 + 0.225 / kFirst + 0.8) / 0.9 * kFirst - kFirst);
  const float size = kSigned ? fabsf(y) : y;
  float at = kAll - 0.5f;
#pragma unroll
  for (int decade = 0; decade < kDynamicDecades; ++decade) {
    const double parts = kFirst << decade;
    const float line = size * float(parts / (0.9 * dynamic_decade(decade))) + float(parts * (0.8 / 0.9));
    at = line < at ? line : at;
  }
  int p = int(at);
  const float border = p == kFirst ? kFirstBorder : 0.2f;
  const int before = (p & (p - 1)) == 0 ? 1 : 0;
  p -= at - float(p) < border ? before : 0;
  p += size > float(1 - 0.225 / (kAll / 2)) ? 1 : 0;
  if (!kSigned)
    return p > 0 ? p - 1 : 0;
  const int below = p > kDynamicZero ? kDynamicZero : p > 1 ? p : 1;
  return y < 0 ? kDynamicZero - below : kDynamicZero + p;
}
