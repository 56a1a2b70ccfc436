// Places for registers: one interval of steps per register, from liveness, then a linear scan. Lanes on different ways
// through the program do not disturb each other: a place holds a value per lane, and a step writes only those of its
// own lanes.
#include "liveness.h"
#include <algorithm>
#include <queue>

namespace spectral::cpu::ptx {
namespace {
struct Interval {
  uint32_t reg, first, last;
};
}   // namespace

uint32_t choose_places(
    Program& program, const std::vector<BasicBlock>& blocks, const std::vector<RegisterUse>& uses,
    const std::vector<bool>& wide, const std::vector<bool>& kept, const std::vector<bool>& fixed,
    std::vector<uint32_t>* places) {
  const auto registers = uint32_t(wide.size());
  std::vector<Interval> intervals(registers);
  for (uint32_t r = 0; r < registers; ++r)
    intervals[r] = {r, UINT32_MAX, 0};
  auto cover = [&](uint32_t reg, uint32_t step) {
    intervals[reg].first = std::min(intervals[reg].first, step);
    intervals[reg].last = std::max(intervals[reg].last, step);
  };
  for (const RegisterUse& u : uses)
    cover(u.reg, u.step);
  for (const BasicBlock& b : blocks)
    for (uint32_t r = 0; r < registers; ++r) {
      if (has(b.live_in, r))
        cover(r, b.first);
      if (has(b.live_out, r))
        cover(r, b.last);
    }
  for (uint32_t r = 0; r < registers; ++r)
    if (kept[r])
      intervals[r] = {r, 0, uint32_t(program.steps.size())};
  std::erase_if(intervals, [&](const Interval& i) { return fixed[i.reg]; });

  std::sort(intervals.begin(), intervals.end(), [](const Interval& a, const Interval& b) {
    return a.first != b.first ? a.first < b.first : a.reg < b.reg;
  });
  places->assign(registers, 0);
  for (uint32_t r = 0; r < registers; ++r)
    if (fixed[r]) {
      (*places)[r] = program.fixed_bytes;
      program.fixed_bytes += wide[r] ? 2 * kUnit : kUnit;
    }
  std::vector<uint32_t> free_places[2];   // of one unit, of two
  using Ending = std::pair<uint32_t, uint32_t>;
  std::priority_queue<Ending, std::vector<Ending>, std::greater<Ending>> active;   // last step, register
  uint32_t end = program.fixed_bytes;
  for (const Interval& i : intervals) {
    if (i.first == UINT32_MAX)
      break;   // never used
    while (!active.empty() && active.top().first < i.first) {
      const uint32_t reg = active.top().second;
      free_places[wide[reg]].push_back((*places)[reg]);
      active.pop();
    }
    std::vector<uint32_t>& pool = free_places[wide[i.reg]];
    if (pool.empty()) {
      pool.push_back(end);
      end += wide[i.reg] ? 2 * kUnit : kUnit;
    }
    (*places)[i.reg] = pool.back();
    pool.pop_back();
    active.emplace(i.last, i.reg);
  }
  return end;
}
}   // namespace spectral::cpu::ptx
