// How wgmma finds an operand in shared memory. PTX ISA, "Matrix Descriptor Format".
#pragma once
#include <cstdint>

namespace spectral::cpu {
struct WgmmaDescriptor {
  uint32_t start, leading, stride;   // bytes
  explicit WgmmaDescriptor(uint64_t d)
      : start(uint32_t(d & 0x3fff) << 4),
        leading(uint32_t(d >> 16 & 0x3fff) << 4),
        stride(uint32_t(d >> 32 & 0x3fff) << 4) {}

  static constexpr uint64_t kUnusedBits = 0x3ull << 14 | 0x3ull << 30 | 0x7ull << 46 | 0x3ffull << 52;   // zero
  static constexpr uint64_t swizzle(uint64_t d) { return d >> 62; }   // 1: of 128 bytes
  static constexpr uint64_t base_offset(uint64_t d) { return d >> 49 & 7; }
};
}   // namespace spectral::cpu
