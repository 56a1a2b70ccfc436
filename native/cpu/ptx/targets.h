// Which .target a module must have for an instruction, as ptxas asks for.
#pragma once
#include "module.h"

namespace spectral::cpu::ptx {
// Throws PtxError where the target is not one that has the instruction.
void check_target(const Instruction&, const std::string& target);
}   // namespace spectral::cpu::ptx
