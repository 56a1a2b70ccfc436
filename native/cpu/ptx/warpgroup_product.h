// The product of one wgmma: D = A B + D.
#pragma once
#include "warpgroup_operands.h"

namespace spectral::cpu::ptx {
// Of the instruction, kept as Step::value.
struct WgmmaForm {
  uint16_t n;
  Element a;
  Element b;
  Element sums;
  bool saturates;
  bool a_in_registers;
  uint8_t unused;
};
static_assert(sizeof(WgmmaForm) == sizeof(Step::value));
inline WgmmaForm form_of(const Step& s) { return std::bit_cast<WgmmaForm>(s.value); }
inline uint32_t registers_of_sums(const WgmmaForm& f) { return f.sums == Element::F16 ? f.n / 4u : f.n / 2u; }

// Step::flags of an instruction.
enum WgmmaFlag : uint32_t {
  kRowMajorA = 1,   // imm-trans-a
  kRowMajorB = 2,
  kNegatesA = 4,   // imm-scale-a is -1
  kNegatesB = 8,
  kFlipScale = 16,
  kConstantScale = 32,   // scale-d is a constant
  kConstantClears = 64
};

struct WarpgroupProduct {
  uint64_t a, b;   // descriptors
  bool clears;     // scale-d is false: D = A B
};
// Does it for four warps; `steps` are each one's instruction.
void run_product(Warp* warps, const Step* const (&steps)[4], const WarpgroupProduct&);
}   // namespace spectral::cpu::ptx
