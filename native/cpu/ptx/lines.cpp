// Addresses that lie equally far apart in the lanes of a warp whatever the launch: sums and multiples of the thread's
// number and of values that all lanes share. Accesses by them need not compare the lanes (warp_access.h).
#include "liveness.h"
#include <algorithm>

namespace spectral::cpu::ptx {
namespace {
// What is known of a value in the lanes of a warp; a shape has the properties of those before it.
enum class Shape : uint8_t {
  Any,
  Line,     // equally far apart, where sums wrap around as the value's type does
  Number,   // the lane's or the thread's: a line that does not wrap around
  Shared    // the same
};
Shape shape_of(Special which) {
  switch (which) {
    case Special::TidX:
    case Special::LaneId: return Shape::Number;
    case Special::LanemaskEq:
    case Special::LanemaskLt:
    case Special::LanemaskLe:
    case Special::LanemaskGt:
    case Special::LanemaskGe: return Shape::Any;
    default: return Shape::Shared;   // %tid.y and %tid.z too, where a warp lies in one row of threads
  }
}
Shape result_of(const Step& s, Shape a, Shape b, Shape c) {
  if (s.computes && s.linear != Linear::None && std::min({a, b, c}) == Shape::Shared)
    return Shape::Shared;
  const auto line = [](bool is_one) { return is_one ? Shape::Line : Shape::Any; };
  const auto scaled = [&](Shape least) { return line(std::min(a, b) >= least && std::max(a, b) == Shape::Shared); };
  switch (s.linear) {
    case Linear::None:
    case Linear::Same: return Shape::Any;
    case Linear::Sum: return line(std::min(a, b) >= Shape::Line);
    case Linear::Product: return scaled(Shape::Line);
    case Linear::WideProduct: return scaled(Shape::Number);
    case Linear::Multiple: return line(a >= Shape::Line);
    case Linear::Copy: return a;
    case Linear::Widened: return a >= Shape::Number ? a : Shape::Any;
  }
  return Shape::Any;
}

// For registers with several writes: which of them a value comes from, where only one reaches the step.
class Origins {
 public:
  static constexpr uint32_t kUnknown = ~0u;   // none, or one of several
  Origins(const Program& program, const std::vector<BasicBlock>& blocks, const std::vector<RegisterUse>& uses, size_t n)
      : program_(program), blocks_(blocks), uses_(uses), slot_of_(n, kUnknown) {
    std::vector<bool> written(n);
    for (const RegisterUse& u : uses) {
      if (!u.writes)
        continue;
      if (written[u.reg] && slot_of_[u.reg] == kUnknown)
        slot_of_[u.reg] = slots_++;
      written[u.reg] = true;
    }
    find();
  }
  void start(size_t block) { now_ = at_start_[block]; }   // of a block; its steps follow in order
  uint32_t of(uint32_t reg) const { return now_[slot_of_[reg]]; }
  bool has_several(uint32_t reg) const { return slot_of_[reg] != kUnknown; }
  // The step's own writes.
  void take(uint32_t step) {
    for (; use_ < uses_.size() && uses_[use_].step <= step; ++use_)
      if (const uint32_t slot = slot_of_[uses_[use_].reg]; uses_[use_].writes && slot != kUnknown)
        now_[slot] = step;
  }

 private:
  void find() {
    constexpr uint32_t kNone = kUnknown - 1;   // of a block that no way has reached yet
    at_start_.assign(blocks_.size(), std::vector<uint32_t>(slots_, kNone));
    at_start_[0].assign(slots_, kUnknown);
    for (bool changes = true; changes;) {
      changes = false;
      use_ = 0;
      for (size_t b = 0; b < blocks_.size(); ++b) {
        start(b);
        for (uint32_t i = blocks_[b].first; i <= blocks_[b].last; ++i)
          take(i);
        for (int next : blocks_[b].next)
          for (uint32_t slot = 0; slot < slots_; ++slot) {
            uint32_t& there = at_start_[size_t(next)][slot];
            const uint32_t met = there == kNone || there == now_[slot] ? now_[slot] : kUnknown;
            changes |= now_[slot] != kNone && met != there;
            there = now_[slot] == kNone ? there : met;
          }
      }
    }
    use_ = 0;
  }

  const Program& program_;
  const std::vector<BasicBlock>& blocks_;
  const std::vector<RegisterUse>& uses_;   // by step
  std::vector<uint32_t> slot_of_;          // of registers with several writes
  uint32_t slots_ = 0;
  std::vector<std::vector<uint32_t>> at_start_;   // of blocks
  std::vector<uint32_t> now_;
  size_t use_ = 0;
};
}   // namespace

// As for invariants: a register that is written once, and not read before, has that value wherever it is read. So has
// one with several writes where only one of them reaches; in a loop it gives the same again, as its operands do.
void ProgramBuilder::find_lines(const std::vector<BasicBlock>& blocks, const std::vector<bool>& invariants) {
  if (!program_->callables.empty())
    return;
  std::vector<Shape> of_registers(registers_.size(), Shape::Any);
  for (size_t r = 0; r < of_registers.size(); ++r)
    if (invariants[r])
      of_registers[r] = Shape::Shared;
  std::vector<Shape> of_steps(program_->steps.size(), Shape::Any);
  std::map<uint32_t, Shape> of_places;
  for (const SpecialPlace& place : program_->specials)
    of_places[place.place] = shape_of(place.which);
  Origins origins(*program_, blocks, uses_, registers_.size());
  const auto shape_at = [&](uint32_t place) {
    if (!(place & kRegisterMark)) {
      const auto special = of_places.find(place);
      return special == of_places.end() ? Shape::Shared : special->second;
    }
    const uint32_t reg = place & ~kRegisterMark;
    if (!origins.has_several(reg))
      return of_registers[reg];
    const uint32_t step = origins.of(reg);
    return step < of_steps.size() ? of_steps[step] : Shape::Any;
  };
  for (size_t b = 0; b < blocks.size(); ++b) {
    origins.start(b);
    for (uint32_t i = blocks[b].first; i <= blocks[b].last; ++i) {
      Step& s = program_->steps[i];
      s.alike = shape_at(s.a) >= Shape::Line ? Alike::InLine : Alike::No;
      const uint32_t to = s.d & ~kRegisterMark;
      if (s.d & kRegisterMark && !s.guard && !s.is_invariant && !kept_[to]) {
        of_steps[i] = result_of(s, shape_at(s.a), shape_at(s.b), shape_at(s.c));
        if (of_steps[i] == Shape::Shared)
          s.alike = Alike::Same;
        if (!origins.has_several(to) && !has(blocks.front().live_in, to))
          of_registers[to] = of_steps[i];
      }
      origins.take(i);
    }
  }
}
}   // namespace spectral::cpu::ptx
