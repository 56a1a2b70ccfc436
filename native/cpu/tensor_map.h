// What cuTensorMapEncodeTiled writes into a tensor map of the CPU device, and TMA reads.
#pragma once
#include <cstdint>
namespace spectral::cpu {
struct TensorMapCpu {   // fits the 128 opaque bytes
  static constexpr uint64_t kMagic = 0x70616d726f736e74;
  static constexpr int kMaxRank = 5;
  uint64_t magic;
  const unsigned char* base;
  uint64_t dim[kMaxRank];         // of elements, the innermost first; those beyond the rank are 1, as of the box
  int64_t stride[kMaxRank - 1];   // bytes from one element to the next, of all dimensions but the innermost
  uint16_t box[kMaxRank];
  uint8_t rank, elem;   // elem: bytes
  uint8_t swizzle;      // the bits of a 16-byte unit's place in 128 bytes that the line's place flips: 0 to 3
  bool fills_nan;       // outside the tensor, else zero
  uint8_t type;         // CUtensorMapDataType
};
static_assert(sizeof(TensorMapCpu) <= 128);
struct TensorBox {
  TensorMapCpu map;
  int at[TensorMapCpu::kMaxRank];   // coordinates
};
}   // namespace spectral::cpu
