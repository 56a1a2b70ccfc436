// The box of a tensor map in shared memory, in units of 16 bytes.
#pragma once
#include "../device/spectral.cuh"
#include "tensor_map.h"
#include <algorithm>
#include <bit>
#include <cstring>

namespace spectral::cpu {
struct alignas(64) TensorMapCpuBits {
  TensorMapCpu map;
  char pad[128 - sizeof(TensorMapCpu)];
};
inline TensorMapCpu decode(const TensorMap& m) { return std::bit_cast<TensorMapCpuBits>(m).map; }
inline uint32_t box_bytes(const TensorMapCpu& t) {
  uint32_t bytes = t.elem;
  for (uint16_t n : t.box)
    bytes *= n;
  return bytes;
}
// From one row of a box to the next in shared memory: with a swizzle its whole width, also where the box is narrower.
// CUDA C++ Programming Guide, "TMA Swizzle".
inline uint32_t row_pitch(const TensorMapCpu& t) { return t.swizzle ? 16u << t.swizzle : uint32_t(t.box[0]) * t.elem; }
// The bytes of shared memory that a box lies in, as many as it has or more.
inline uint32_t box_extent(const TensorMapCpu& t) {
  return box_bytes(t) / (uint32_t(t.box[0]) * t.elem) * row_pitch(t);
}

// Where a row of a box lies in the tensor: bytes from its base to its coordinate 0.
constexpr int64_t kOutside = INT64_MIN;
// f(row of the box, bytes or kOutside) for the rows of a box at the coordinates, the innermost first.
template <class F>
void for_rows(const TensorMapCpu& t, const int* coordinates, F f) {
  uint32_t rows = 1;
  for (int d = 1; d < TensorMapCpu::kMaxRank; ++d)
    rows *= t.box[d];
  for (uint32_t r = 0; r < rows; ++r) {
    int64_t start = 0;
    uint32_t left = r;
    for (int d = 1; d < t.rank; ++d) {
      const int64_t at = coordinates[d] + int64_t(left % t.box[d]);
      left /= t.box[d];
      if (at < 0 || at >= int64_t(t.dim[d]))
        start = kOutside;
      else if (start != kOutside)
        start += at * t.stride[d - 1];
    }
    f(r, start);
  }
}
// The box at shared offset `offset` in 16-byte units: f(shared offset, its row's start or kOutside, byte in that row).
// PTX ISA, "Tensor swizzling modes": a unit's place within 128 bytes is flipped by the number of those 128 bytes.
template <class F>
void for_units(const TensorMapCpu& t, uint32_t offset, const int* coordinates, F f) {
  const unsigned row_bytes = unsigned(t.box[0]) * t.elem;
  const uint32_t flips = (1u << t.swizzle) - 1;
  for_rows(t, coordinates, [&](uint32_t r, int64_t start) {
    for (unsigned c = 0; c < row_bytes; c += 16) {
      const uint32_t o = offset + r * row_pitch(t) + c;
      f(o ^ (o >> 7 & flips) << 4, start, coordinates[0] * int64_t(t.elem) + c);
    }
  });
}
// The bytes [lo, hi) of a unit at `byte` of a row that the tensor has.
struct Inside {
  int64_t lo, hi;
};
inline Inside inside(const TensorMapCpu& t, int64_t start, int64_t byte) {
  if (start == kOutside)
    return {0, 0};
  return {std::max<int64_t>(0, -byte), std::min<int64_t>(16, int64_t(t.dim[0]) * t.elem - byte)};
}
// What stands for elements outside the tensor: zeros, or a NaN in each.
inline void fill_outside(const TensorMapCpu& t, unsigned char* unit) {
  std::memset(unit, 0, 16);
  if (!t.fills_nan)
    return;
  std::memset(unit, 0xff, 16);   // of each format the NaN with all bits but the sign
  for (unsigned at = t.elem - 1u; at < 16; at += t.elem)
    unit[at] = 0x7f;
}
// The addresses from the first byte of a box that the tensor has to behind the last; equal where it has none.
struct BoxInTensor {
  uint64_t first, end;
};
inline BoxInTensor box_in_tensor(const TensorMapCpu& t, const int* coordinates) {
  const int64_t elem = t.elem;
  const int64_t first = std::max<int64_t>(0, coordinates[0] * elem);
  const int64_t end = std::min(int64_t(t.dim[0]) * elem, (coordinates[0] + int64_t(t.box[0])) * elem);
  int64_t lowest = INT64_MAX;
  int64_t highest = INT64_MIN;
  for_rows(t, coordinates, [&](uint32_t, int64_t start) {
    if (start == kOutside)
      return;
    lowest = std::min(lowest, start);
    highest = std::max(highest, start);
  });
  if (end <= first || lowest > highest)
    return {0, 0};
  const auto base = reinterpret_cast<uint64_t>(t.base);
  return {base + uint64_t(lowest + first), base + uint64_t(highest + end)};
}
}   // namespace spectral::cpu
