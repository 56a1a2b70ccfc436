// The box of a tensor map in shared memory, in units of 16 bytes.
#pragma once
#include "../device/spectral.cuh"
#include "tensor_map.h"
#include <algorithm>
#include <bit>

namespace spectral::cpu {
struct alignas(64) TensorMapCpuBits {
  TensorMapCpu map;
  char pad[128 - sizeof(TensorMapCpu)];
};
inline TensorMapCpu decode(const TensorMap& m) { return std::bit_cast<TensorMapCpuBits>(m).map; }
inline uint32_t box_bytes(const TensorMapCpu& t) { return t.box[0] * t.box[1] * t.elem; }

// The box at shared offset `offset` in 16-byte units: f(shared offset, row of the tensor or -1 when outside, byte in
// that row).
template <class F>
void for_units(const TensorMapCpu& t, uint32_t offset, int x, int y, F f) {
  const unsigned row = t.box[0] * t.elem;
  for (unsigned r = 0; r < t.box[1]; ++r) {
    const int64_t at = y + int64_t(r);
    for (unsigned c = 0; c < row; c += 16) {
      const uint32_t o = offset + r * row + c;
      f(t.swizzle ? swizzle128(o) : o, at >= 0 && at < int64_t(t.dim[1]) ? at : -1, x * int64_t(t.elem) + c);
    }
  }
}
// The bytes [lo, hi) of a unit at `byte` of a row that the tensor has.
struct Inside {
  int64_t lo, hi;
};
inline Inside inside(const TensorMapCpu& t, int64_t row, int64_t byte) {
  return row < 0 ? Inside{0, 0}
                 : Inside{std::max<int64_t>(0, -byte), std::min<int64_t>(16, int64_t(t.dim[0]) * t.elem - byte)};
}
}   // namespace spectral::cpu
