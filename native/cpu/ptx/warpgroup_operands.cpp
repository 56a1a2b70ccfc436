// PTX ISA, "Asynchronous Warpgroup Level Matrix": "Matrix Descriptor Format", "Shared Memory Matrix Layout", "Strides".
// The canonical layouts are those of CuTe's make_gmma_desc.
#include "warpgroup_operands.h"
#include "../wgmma_descriptor.h"
#include "barriers.h"

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

namespace {
// Calls f with how the bits of an element become its value.
template <class T, class F>
void with_value(Element e, F f) {
  if constexpr (std::is_integral_v<T>) {
    switch (e) {
      case Element::S8: return f([](uint32_t bits) { return T(int8_t(bits)); });
      case Element::U8: return f([](uint32_t bits) { return T(uint8_t(bits)); });
      default: return f([](uint32_t bits) { return T(bits); });
    }
  } else {
    switch (e) {
      case Element::F16: return f([](uint32_t bits) { return F16::of(bits); });
      case Element::Bf16: return f([](uint32_t bits) { return Bf16::of(bits); });
      case Element::Tf32: return f([](uint32_t bits) { return tf32_of(bits); });
      case Element::E4m3: return f([](uint32_t bits) { return E4m3::of(bits); });
      default: return f([](uint32_t bits) { return E5m2::of(bits); });
    }
  }
}
// The elements of 16 bytes, `step` values apart.
template <class T, class Bits, class Value>
void read_elements(const unsigned char* unit, bool negated, Value value, T* to, uint32_t step) {
  Bits bits[16 / sizeof(Bits)];
  std::memcpy(bits, unit, sizeof bits);
  for (uint32_t i = 0; i < std::size(bits); ++i) {
    const T v = value(bits[i]);
    to[i * step] = negated ? -v : v;
  }
}
template <class T>
void read_unit(const unsigned char* unit, OperandFormat format, T* to, uint32_t step) {
  with_value<T>(format.element, [&](auto value) {
    switch (unit_bytes(format.element)) {
      case 1: return read_elements<T, uint8_t>(unit, format.negated, value, to, step);
      case 2: return read_elements<T, uint16_t>(unit, format.negated, value, to, step);
      default: return read_elements<T, uint32_t>(unit, format.negated, value, to, step);
    }
  });
}
}   // namespace

template <class T>
void read_operand(
    Warp& w, const Step& s, uint64_t descriptor, OperandFormat format, uint32_t rows, T* to, uint32_t row_stride,
    uint32_t depth_stride) {
  const Descriptor d(descriptor);
  const size_t size = w.block().cluster->shared_bytes;
  auto unit_at = [&](uint32_t at) -> const unsigned char* {
    if (at + 16 > size)
      fail(w, s, "wgmma reads shared offset %u of %zu", at, size);
    check_fenced(w, s, w.block(), at, at + 16, "wgmma reads");
    return w.block().shared + at;
  };
  const uint32_t depth = depth_of(format.element);
  if (format.row_major) {
    for (uint32_t u = 0; u < rows / 8; ++u)
      for (uint32_t k = 0; k < depth; ++k)
        read_unit(unit_at(d.row_unit(u, k)), format, to + 8 * u * row_stride + k * depth_stride, row_stride);
    return;
  }
  for (uint32_t r = 0; r < rows; ++r)
    for (uint32_t half = 0; half < 2; ++half)
      read_unit(
          unit_at(d.depth_unit(r, half)), format, to + r * row_stride + half * depth / 2 * depth_stride, depth_stride);
}

// "Register Fragments": register 2 half + h of lane (g, q) has 4 bytes of row g + 8 h, from byte 16 half + 4 q of its
// depths on.
template <class T>
void read_registers(Warp& w, const uint32_t* places, OperandFormat format, T (*to)[kMaxDepth]) {
  for (uint32_t i = 0; i < 4; ++i) {
    const uint32_t* words = w.lanes<uint32_t>(places[i]);
    for (uint32_t g = 0; g < 8; ++g) {
      T depths[kMaxDepth];   // of the four lanes: half a row
      read_unit(reinterpret_cast<const unsigned char*>(words + 4 * g), format, depths, 1);
      const uint32_t half = depth_of(format.element) / 2;
      std::copy_n(depths, half, &to[g + 8 * (i % 2)][half * (i / 2)]);
    }
  }
}

template void read_operand(Warp&, const Step&, uint64_t, OperandFormat, uint32_t, float*, uint32_t, uint32_t);
template void read_operand(Warp&, const Step&, uint64_t, OperandFormat, uint32_t, int32_t*, uint32_t, uint32_t);
template void read_registers(Warp&, const uint32_t*, OperandFormat, float (*)[kMaxDepth]);
template void read_registers(Warp&, const uint32_t*, OperandFormat, int32_t (*)[kMaxDepth]);
}   // namespace spectral::cpu::ptx
