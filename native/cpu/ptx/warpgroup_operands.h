// Matrices of wgmma in shared memory, behind descriptors.
#pragma once
#include "warp.h"

namespace spectral::cpu::ptx {
// How the 16-bit values of an operand become those of the product.
struct OperandValues {
  bool f16;       // else bf16
  bool negated;   // imm-scale is -1
};
// The descriptor that all lanes of the warp have in the registers at `place`. Faults where lanes differ, and on bits
// that must be zero.
uint64_t uniform_descriptor(Warp&, const Step&, uint32_t place);
// Reads 16 depths of `rows` rows of A or columns of B: element (r, k) to `to[r * row_stride + k * depth_stride]`.
// `row_major`: consecutive in memory are rows, not depths (imm-trans is 1). Faults outside shared memory, and on what
// the asynchronous proxy may not read yet.
void read_operand(
    Warp&, const Step&, uint64_t descriptor, bool row_major, OperandValues, uint32_t rows, float* to,
    uint32_t row_stride, uint32_t depth_stride);
float operand_value(OperandValues, uint32_t bits);
}   // namespace spectral::cpu::ptx
