// Steps whose results are the same in every warp of a launch: what is computed from parameters, constants and special
// registers of the launch. A launch takes them once, for the registers of all its warps, and the warps pass them over:
// of a small kernel they are about half the steps.
#include "liveness.h"
#include <algorithm>
#include <span>

namespace spectral::cpu::ptx {
namespace {
bool jumps(const Step& s) { return s.flags & (kJumpFlag | kSwitchFlag | kEndFlag); }
bool is_earlier(const RegisterUse& a, const RegisterUse& b) { return a.step < b.step; }
std::span<const RegisterUse> of_step(const std::vector<RegisterUse>& uses, uint32_t step) {
  const auto [first, end] = std::equal_range(uses.begin(), uses.end(), RegisterUse{step, 0, false}, is_earlier);
  return {first, end};
}
std::vector<uint32_t> count_writes(const std::vector<RegisterUse>& uses, size_t n) {
  std::vector<uint32_t> writes(n);
  for (const RegisterUse& u : uses)
    writes[u.reg] += u.writes;
  return writes;
}
}   // namespace

// A register that is written once, and not read before, has that value wherever it is read, whichever way a lane came.
// Of predicates, whose liveness is not followed, this is known for those written before the first branch.
std::vector<bool> ProgramBuilder::find_invariants(const std::vector<BasicBlock>& blocks) {
  std::vector<bool> registers(registers_.size());
  if (!program_->callables.empty())   // a call returns to the step behind it, with the registers that it kept
    return registers;
  std::vector<bool> predicates(program_->predicates);
  std::vector<RegisterUse> predicate_uses = predicate_uses_;
  std::stable_sort(predicate_uses.begin(), predicate_uses.end(), is_earlier);
  const std::vector<uint32_t> register_writes = count_writes(uses_, registers.size());
  const std::vector<uint32_t> predicate_writes = count_writes(predicate_uses, predicates.size());
  std::vector<Step>& steps = program_->steps;
  for (uint32_t i = 0; i < steps.size(); ++i) {
    Step& s = steps[i];
    if (!s.computes || s.guard || jumps(s) || std::binary_search(warp_reads_.begin(), warp_reads_.end(), i))
      continue;
    const std::span<const RegisterUse> uses = of_step(uses_, i);
    const std::span<const RegisterUse> of_predicates = of_step(predicate_uses, i);
    const bool registers_fit = std::all_of(uses.begin(), uses.end(), [&](const RegisterUse& u) {
      return u.writes ? register_writes[u.reg] == 1 && !kept_[u.reg] && !has(blocks.front().live_in, u.reg)
                      : registers[u.reg];
    });
    const bool predicates_fit = std::all_of(of_predicates.begin(), of_predicates.end(), [&](const RegisterUse& u) {
      return u.writes ? predicate_writes[u.reg] == 1 && i <= blocks.front().last : predicates[u.reg];
    });
    if (!registers_fit || !predicates_fit)
      continue;
    s.is_invariant = true;
    program_->invariants.push_back(i);
    for (const RegisterUse& u : uses)
      registers[u.reg] = true;
    for (const RegisterUse& u : of_predicates) {
      predicates[u.reg] = true;
      if (u.writes)
        program_->invariant_predicates.push_back(u.reg);
    }
  }
  for (size_t i = steps.size(); i-- > 1;)
    if (steps[i].is_invariant) {
      steps[i - 1].next = steps[i].next + 1;
      steps[i - 1].passes_over = true;
    }
  return registers;
}
}   // namespace spectral::cpu::ptx
