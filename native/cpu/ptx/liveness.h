// Which registers hold values that are read later, over the control flow.
#pragma once
#include "program_builder.h"

namespace spectral::cpu::ptx {
using Bits = std::vector<uint64_t>;
inline bool has(const Bits& b, uint32_t i) { return b[i / 64] >> i % 64 & 1; }

struct BasicBlock {
  uint32_t first, last;   // steps
  std::vector<int> next;
  Bits read_first, written, live_in, live_out;   // by register
};
// The blocks of a program in the order of its steps. Uses are in that order too, reads first.
std::vector<BasicBlock> find_live(const Program&, const std::vector<RegisterUse>& uses, size_t registers);
// register_places.cpp: for each register its place; returns the bytes needed. `kept` registers have theirs to
// themselves, `fixed` ones too, and in front.
uint32_t choose_places(
    Program&, const std::vector<BasicBlock>&, const std::vector<RegisterUse>& uses, const std::vector<bool>& wide,
    const std::vector<bool>& kept, const std::vector<bool>& fixed, std::vector<uint32_t>* places);
}   // namespace spectral::cpu::ptx
