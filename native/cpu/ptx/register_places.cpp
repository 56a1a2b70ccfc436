// Places for registers: liveness over the control flow, one interval of steps per register, then a linear scan. Lanes
// on different ways through the program do not disturb each other: a place holds a value per lane, and a step writes
// only those of its own lanes.
#include "program_builder.h"
#include <algorithm>
#include <queue>

namespace spectral::cpu::ptx {
namespace {
using Bits = std::vector<uint64_t>;
bool has(const Bits& b, uint32_t i) { return b[i / 64] >> i % 64 & 1; }
void set(Bits& b, uint32_t i) { b[i / 64] |= uint64_t(1) << i % 64; }

struct BasicBlock {
  uint32_t first, last;   // steps
  std::vector<int> next;
  Bits read_first, written, live_in, live_out;
};

std::vector<BasicBlock> find_blocks(const Program& program) {
  const std::vector<Step>& steps = program.steps;
  const auto n = uint32_t(steps.size());
  std::vector<bool> starts(n + 1, false);
  starts[0] = starts[n] = true;
  for (uint32_t i = 0; i < n; ++i) {
    if (steps[i].flags & kJumpFlag)
      starts[size_t(steps[i].value)] = true;
    if (steps[i].flags & kSwitchFlag)
      for (int64_t k = 0; k < steps[i].value; ++k)
        starts[program.lists[steps[i].list + size_t(k)]] = true;
    if (steps[i].flags & (kJumpFlag | kEndFlag | kSwitchFlag))
      starts[i + 1] = true;
  }
  std::vector<BasicBlock> blocks;
  std::vector<int> block_at(n + 1, -1);
  for (uint32_t i = 0; i < n;) {
    uint32_t end = i + 1;
    while (!starts[end])
      ++end;
    block_at[i] = int(blocks.size());
    blocks.push_back({i, end - 1, {}, {}, {}, {}, {}});
    i = end;
  }
  for (BasicBlock& b : blocks) {
    const Step& last = steps[b.last];
    const bool always = last.guard == 0;
    if (last.flags & kJumpFlag)
      b.next.push_back(block_at[size_t(last.value)]);
    if (last.flags & kSwitchFlag)
      for (int64_t k = 0; k < last.value; ++k)
        b.next.push_back(block_at[program.lists[last.list + size_t(k)]]);
    if (!(last.flags & (kJumpFlag | kEndFlag | kSwitchFlag) && always) && b.last + 1 < n)
      b.next.push_back(block_at[b.last + 1]);
  }
  return blocks;
}

void find_live(
    std::vector<BasicBlock>& blocks, const std::vector<Step>& steps, const std::vector<RegisterUse>& uses,
    size_t words) {
  size_t at = 0;
  for (BasicBlock& b : blocks) {
    b.read_first.resize(words);
    b.written.resize(words);
    b.live_in.resize(words);
    b.live_out.resize(words);
    for (; at < uses.size() && uses[at].step <= b.last; ++at) {
      const RegisterUse& u = uses[at];
      const bool reads = !u.writes || steps[u.step].guard;   // what a guard holds back keeps its old value
      if (reads && !has(b.written, u.reg))
        set(b.read_first, u.reg);
      if (u.writes)
        set(b.written, u.reg);
    }
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = blocks.size(); i-- > 0;) {
      BasicBlock& b = blocks[i];
      for (size_t w = 0; w < words; ++w) {
        uint64_t out = 0;
        for (int next : b.next)
          out |= blocks[size_t(next)].live_in[w];
        b.live_out[w] = out;
        const uint64_t in = b.read_first[w] | (out & ~b.written[w]);
        changed |= in != b.live_in[w];
        b.live_in[w] = in;
      }
    }
  }
}

struct Interval {
  uint32_t reg, first, last;
};
}   // namespace

uint32_t choose_places(
    const Program& program, const std::vector<RegisterUse>& uses, const std::vector<bool>& wide,
    const std::vector<bool>& kept, std::vector<uint32_t>* places) {
  const std::vector<Step>& steps = program.steps;
  const auto registers = uint32_t(wide.size());
  std::vector<BasicBlock> blocks = find_blocks(program);
  find_live(blocks, steps, uses, registers / 64 + 1);

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
      intervals[r] = {r, 0, uint32_t(steps.size())};

  std::sort(intervals.begin(), intervals.end(), [](const Interval& a, const Interval& b) {
    return a.first != b.first ? a.first < b.first : a.reg < b.reg;
  });
  places->assign(registers, 0);
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
