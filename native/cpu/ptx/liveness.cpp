#include "liveness.h"

namespace spectral::cpu::ptx {
namespace {
void set(Bits& b, uint32_t i) { b[i / 64] |= uint64_t(1) << i % 64; }

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

}   // namespace

std::vector<BasicBlock> find_live(const Program& program, const std::vector<RegisterUse>& uses, size_t registers) {
  const std::vector<Step>& steps = program.steps;
  const size_t words = registers / 64 + 1;
  std::vector<BasicBlock> blocks = find_blocks(program);
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
  return blocks;
}
}   // namespace spectral::cpu::ptx
