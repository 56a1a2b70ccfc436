// A float as three bf16 numbers: high + middle + low equals it to the last bit unless it is tiny (below 2^-102, where
// low may leave bf16's range). Tensor cores that multiply bf16 exactly and add in f32 then serve f32 operands at f32
// accuracy.
#pragma once
#include "spectral.cuh"

constexpr int kSplitParts = 3;

__device__ __forceinline__ void split_bf16(float x, bf16 (&part)[kSplitParts]) {
#pragma unroll
  for (int p = 0; p < kSplitParts; ++p) {
    part[p] = from_float<bf16>(x);
    x -= to_float<bf16>(part[p]);   // exact: what is left of 24 bits after 8
  }
}

// The same of two floats, a register for each part, of the first in the low half; of the leading kParts alone.
template <int kParts>
__device__ __forceinline__ void split_pair(float first, float second, uint32_t (&part)[kParts]) {
#pragma unroll
  for (int p = 0; p < kParts; ++p) {
    part[p] = bf16_pair(first, second);
    first -= bf16_low(part[p]);
    second -= bf16_high(part[p]);
  }
}
