// Matrices of wgmma: in shared memory, behind descriptors, or A in the registers of the four warps.
#pragma once
#include "matrix_elements.h"

namespace spectral::cpu::ptx {
// How many bytes of depth a row of A or a column of B has, whatever its elements are.
constexpr uint32_t kDepthBytes = 32;
constexpr uint32_t kMaxDepth = 32;   // elements: those of 8 bits, or words of 32 of one bit

struct OperandFormat {
  Element element;
  bool negated;     // imm-scale is -1
  bool row_major;   // imm-trans is 1: consecutive in memory are rows, not depths; of 16 bits only
};
// Elements of one bit go by the word.
constexpr uint32_t unit_bytes(Element e) { return e == Element::B1 ? 4 : uint32_t(bits_of(e)) / 8; }
constexpr uint32_t depth_of(Element e) { return kDepthBytes / unit_bytes(e); }

// The descriptor that all lanes of the warp have in the registers at `place`. Faults where lanes differ, and on bits
// that must be zero.
uint64_t uniform_descriptor(Warp&, const Step&, uint32_t place);
// Reads `rows` rows of A or columns of B: element (r, k) to `to[r * row_stride + k * depth_stride]`. T is float, or
// int32_t for integers and bits. Faults outside shared memory, and on what the asynchronous proxy may not read yet.
template <class T>
void read_operand(
    Warp&, const Step&, uint64_t descriptor, OperandFormat, uint32_t rows, T* to, uint32_t row_stride,
    uint32_t depth_stride);
// A in the four registers of each lane of a warp: element (r, k) of its 16 rows to `to[r][k]`.
template <class T>
void read_registers(Warp&, const uint32_t* places, OperandFormat, T (*to)[kMaxDepth]);
}   // namespace spectral::cpu::ptx
