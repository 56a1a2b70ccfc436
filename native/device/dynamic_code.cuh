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
template <bool kSigned>
__device__ __forceinline__ int dynamic_code(float y) {
  const float size = kSigned ? fabsf(y) : y;
  float parts = 0, scale = 0;   // of the decade that it is in, or 0 where it is nearer to 0
#pragma unroll
  for (int decade = 0; decade < kDynamicDecades; ++decade) {
    // Begins between the last part of the decade before, or 0, and the first of its own.
    const int own = kDynamicFirst<kSigned> << decade;
    const bool is_in = size > float(dynamic_decade(decade) * (decade ? 0.1 + 0.18 / own : 0.05 + 0.225 / own));
    parts = is_in ? float(own) : parts;
    scale = is_in ? float(1 / (0.9 * dynamic_decade(decade))) : scale;
  }
  constexpr float kNearOne = float(1 - 0.225 / (kDynamicFirst<kSigned> << (kDynamicDecades - 1)));
  const float at = parts * (size * scale + float(0.8 / 0.9));
  const float last = 2 * parts - (parts > 0 ? 1.0f : 0.0f);
  const int p = int(at < last ? at : last) + (size > kNearOne ? 1 : 0);
  if (!kSigned)
    return p > 0 ? p - 1 : 0;
  const int below = p > kDynamicZero ? kDynamicZero : p > 1 ? p : 1;
  return y < 0 ? kDynamicZero - below : kDynamicZero + p;
}
