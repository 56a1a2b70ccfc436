// Steps whose results are the same in every warp of a launch: what is computed from parameters, constants and special
// registers of the launch. A launch takes them once, for the registers of all its warps, and the warps pass them over:
// of a small kernel they are about half the steps. Then those whose results are the same in every warp of a block, as
// they also read its number: where its rows begin, say. They are taken once per block and register file.
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
// The widest scope in which all that these read is known; those that they write do not count.
Scope scope_of(std::span<const RegisterUse> uses, const std::vector<Scope>& known) {
  Scope scope = Scope::Launch;
  for (const RegisterUse& u : uses)
    if (!u.writes)
      scope = std::max(scope, known[u.reg]);
  return scope;
}
}   // namespace

Scope ProgramBuilder::scope_of_specials(uint32_t step) const {
  Scope scope = Scope::Launch;
  for (auto read = std::lower_bound(special_reads_.begin(), special_reads_.end(), std::pair{step, Scope::Launch});
       read != special_reads_.end() && read->first == step;
       ++read)
    scope = std::max(scope, read->second);
  return scope;
}

// A register or predicate that is written once, and not read before, has that value wherever it is read, whichever way
// a lane came.
std::vector<bool> ProgramBuilder::find_invariants(const std::vector<BasicBlock>& blocks) {
  std::vector<bool> invariant(registers_.size());
  if (!program_->callables.empty())   // a call returns to the step behind it, with the registers that it kept
    return invariant;
  std::vector<Scope> registers(registers_.size(), Scope::Warp);
  std::vector<Scope> predicates(program_->predicates, Scope::Warp);
  std::vector<RegisterUse> predicate_uses = predicate_uses_;
  std::stable_sort(predicate_uses.begin(), predicate_uses.end(), [](const RegisterUse& a, const RegisterUse& b) {
    return a.step != b.step ? a.step < b.step : a.writes < b.writes;
  });
  const std::vector<uint32_t> register_writes = count_writes(uses_, registers.size());
  const std::vector<uint32_t> predicate_writes = count_writes(predicate_uses, predicates.size());
  const std::vector<BasicBlock> of_live_predicates = find_live(*program_, predicate_uses, predicates.size());
  std::vector<Step>& steps = program_->steps;
  for (uint32_t i = 0; i < steps.size(); ++i) {
    Step& s = steps[i];
    if (!s.computes || s.guard || jumps(s))
      continue;
    const std::span<const RegisterUse> uses = of_step(uses_, i);
    const std::span<const RegisterUse> of_predicates = of_step(predicate_uses, i);
    const Scope scope =
        std::max({scope_of_specials(i), scope_of(uses, registers), scope_of(of_predicates, predicates)});
    // A load at an address that is the block's own may fault there, and is left to the lanes that come to it.
    const bool is_known = scope == Scope::Launch || (scope == Scope::Block && s.kind != StepClass::ConstantLoad);
    const bool registers_fit = std::all_of(uses.begin(), uses.end(), [&](const RegisterUse& u) {
      return !u.writes || (register_writes[u.reg] == 1 && !kept_[u.reg] && !has(blocks.front().live_in, u.reg));
    });
    const bool predicates_fit = std::all_of(of_predicates.begin(), of_predicates.end(), [&](const RegisterUse& u) {
      return !u.writes || (predicate_writes[u.reg] == 1 && !has(of_live_predicates.front().live_in, u.reg));
    });
    if (!is_known || !registers_fit || !predicates_fit)
      continue;
    s.is_invariant = true;
    (scope == Scope::Launch ? program_->invariants : program_->block_invariants).push_back(i);
    for (const RegisterUse& u : uses)
      if (u.writes) {
        registers[u.reg] = scope;
        invariant[u.reg] = true;
      }
    for (const RegisterUse& u : of_predicates)
      if (u.writes) {
        predicates[u.reg] = scope;
        if (scope == Scope::Launch)
          program_->invariant_predicates.push_back(u.reg);
      }
  }
  for (size_t i = steps.size(); i-- > 1;)
    if (steps[i].is_invariant) {
      steps[i - 1].next = steps[i].next + 1;
      steps[i - 1].passes_over = true;
    }
  return invariant;
}
}   // namespace spectral::cpu::ptx
