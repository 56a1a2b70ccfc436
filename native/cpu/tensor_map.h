// What cuTensorMapEncodeTiled writes into a tensor map of the CPU device, and TMA reads.
#pragma once
#include <cstdint>
namespace spectral::cpu {
struct TensorMapCpu {   // fits the 128 opaque bytes
  static constexpr uint64_t kMagic = 0x70616d726f736e74;
  uint64_t magic;
  const unsigned char* base;
  uint64_t dim[2];
  int64_t stride;   // bytes between rows
  uint32_t box[2], elem, swizzle;
};
static_assert(sizeof(TensorMapCpu) <= 128);
}   // namespace spectral::cpu
