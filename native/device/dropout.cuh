// Dropout whose mask is never stored: whether an element is kept follows from (seed, micro-batch, stream, element)
// alone, so forward and backward make the same mask, whatever their tiles. Philox costs about 60 integer operations a
// call; one call serves the 8 elements of a 16-byte bf16 vector, 16 bits each, hence p is a multiple of 1 / 65536.
#pragma once
#include "philox.cuh"
#include "step_state.cuh"

struct Dropout {
  const DropoutState* state;   // null: nothing is dropped
  uint64_t stream;             // of the layer, below 2^32
  uint32_t threshold;          // 65536 p
  float factor;                // of what is kept: 1 / (1 - p), or 1 where it is applied elsewhere
};

class DropoutMask {
 public:
  explicit __device__ __forceinline__ DropoutMask(const Dropout& dropout) : threshold_(dropout.threshold) {
    const uint64_t seed = dropout.state->seed;
    const uint64_t high = dropout.stream + (dropout.state->offset << 32);
    key_ = make_uint2(unsigned(seed), unsigned(seed >> 32));
    high_ = make_uint2(unsigned(high), unsigned(high >> 32));
  }
  // 16 bits for each of the elements 8 v ... 8 v + 7, low half first.
  __device__ __forceinline__ uint4 bits(uint64_t v) const {
    return philox4x32_10(key_, make_uint4(unsigned(v), unsigned(v >> 32), high_.x, high_.y));
  }
  __device__ __forceinline__ bool keeps_low(unsigned word) const { return (word & 0xffff) >= threshold_; }
  __device__ __forceinline__ bool keeps_high(unsigned word) const { return word >> 16 >= threshold_; }
  // For two bf16 in one word.
  __device__ __forceinline__ unsigned pair(unsigned word) const {
    return (keeps_low(word) ? 0xffffu : 0) | (keeps_high(word) ? 0xffff0000u : 0);
  }
  __device__ __forceinline__ bool keeps(uint64_t element) const {
    const uint4 words = bits(element / 8);
    const int e = int(element % 8);
    const unsigned low = e < 2 ? words.x : words.y;   // selects: an index would put the words into memory
    const unsigned high = e < 6 ? words.z : words.w;
    const unsigned word = e < 4 ? low : high;
    return e % 2 ? keeps_high(word) : keeps_low(word);
  }

 private:
  uint2 key_, high_;
  unsigned threshold_;
};
