// PTX ISA, "Asynchronous Warpgroup Level Matrix": "Matrix Descriptor Format", "Shared Memory Matrix Layout", "Strides".
// The canonical layouts are those of CuTe's make_gmma_desc.
#include "warpgroup_operands.h"
#include "../wgmma_descriptor.h"
#include "access.h"
#include "barriers.h"
#include <immintrin.h>

namespace spectral::cpu::ptx {
namespace {
struct Descriptor : WgmmaDescriptor {
  uint32_t width;   // of a row of the swizzle's atom, in bytes
  explicit Descriptor(uint64_t d) : WgmmaDescriptor(d) {
    constexpr uint32_t kWidths[] = {16, 128, 64, 32};
    width = kWidths[swizzle(d)];
  }
  // The pattern follows the address: bits 7 to 9, or fewer, onto those from 4 on. So a start address within the
  // pattern, as of a later step in k, needs nothing more.
  uint32_t swizzled(uint32_t address) const { return address ^ (address >> 3 & (width - 16)); }
  // The unit of 16 bytes with depths 8 half ... 8 half + 7 of row r.
  uint32_t depth_unit(uint32_t r, uint32_t half) const {
    return swizzled(start + r / 8 * stride + r % 8 * width + half * (width == 16 ? leading : 16));
  }
  // The unit with rows 8 u ... 8 u + 7 of depth k.
  uint32_t row_unit(uint32_t u, uint32_t k) const {
    if (width == 16)
      return start + u * stride + k / 8 * leading + k % 8 * 16;
    const uint32_t units = width / 16;
    return swizzled(start + u / units * leading + u % units * 16 + k / 8 * stride + k % 8 * width);
  }
};
}   // namespace

uint64_t uniform_descriptor(Warp& w, const Step& s, uint32_t place) {
  const uint64_t* d = w.lanes<uint64_t>(place);
  for (int k = 1; k < 32; ++k)
    if (d[k] != d[0])
      fail(w, s, "wgmma: descriptors differ between lanes, %016llx and %016llx", (long long)d[0], (long long)d[k]);
  if (WgmmaDescriptor::base_offset(d[0]))
    fail(w, s, "wgmma descriptor %016llx: only base offset 0 is supported", (long long)d[0]);
  if (d[0] & WgmmaDescriptor::kUnusedBits)
    fail(w, s, "wgmma descriptor %016llx: bits that must be zero are not", (long long)d[0]);
  return d[0];
}

float operand_value(OperandValues values, uint32_t bits) {
  const float v = values.f16 ? _cvtsh_ss(uint16_t(bits)) : std::bit_cast<float>(bits << 16);
  return values.negated ? -v : v;
}

void read_operand(
    Warp& w, const Step& s, uint64_t descriptor, bool row_major, OperandValues values, uint32_t rows, float* to,
    uint32_t row_stride, uint32_t depth_stride) {
  const Descriptor d(descriptor);
  const size_t size = w.block().cluster->shared_bytes;
  auto read_unit = [&](uint32_t at, float* first, uint32_t step) {
    if (at + 16 > size)
      fail(w, s, "wgmma reads shared offset %u of %zu", at, size);
    check_fenced(w, s, w.block(), at, at + 16, "wgmma reads");
    uint16_t bits[8];
    std::memcpy(bits, w.block().shared + at, sizeof bits);
    for (uint32_t i = 0; i < 8; ++i)
      first[i * step] = operand_value(values, bits[i]);
  };
  if (row_major) {
    for (uint32_t u = 0; u < rows / 8; ++u)
      for (uint32_t k = 0; k < 16; ++k)
        read_unit(d.row_unit(u, k), to + 8 * u * row_stride + k * depth_stride, row_stride);
    return;
  }
  for (uint32_t r = 0; r < rows; ++r)
    for (uint32_t half = 0; half < 2; ++half)
      read_unit(d.depth_unit(r, half), to + r * row_stride + 8 * half * depth_stride, depth_stride);
}
}   // namespace spectral::cpu::ptx
