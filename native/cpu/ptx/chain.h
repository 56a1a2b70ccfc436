// Chains of dependent instructions: how long a warp takes at least, however fast everything else is. Each register
// and predicate of a warp has the clock at which it is ready; an instruction starts when all that it reads are, and its
// results are ready a latency later. Warps do not hold each other up but where they wait for each other.
#pragma once
#include "program.h"
#include <algorithm>

namespace spectral::cpu::ptx {
// From the address to the data of a copy from global memory, which has them in L2.
constexpr uint64_t kCopyLatency = 200;

// Clocks from the start of an instruction to the start of one that reads its result.
uint64_t latency_of(const Step&);
bool accesses_memory(StepClass);

// When work that a warp commits in groups is done.
class GroupTimes {
 public:
  void add(uint64_t done) { open_ = std::max(open_, done); }
  void commit() {
    closed_.push_back(open_);
    open_ = 0;
  }
  // When all groups but the newest `keep` are; they are forgotten.
  uint64_t wait(uint64_t keep);
  void clear() {
    open_ = 0;
    closed_.clear();
  }

 private:
  uint64_t open_ = 0;
  std::vector<uint64_t> closed_;
};

class Chain {
 public:
  explicit Chain(const Program& program) : program_(&program), ready_(program.chain_slots) {}
  void start();
  // The lanes of `mask`, of the group's `lanes`, take the step.
  void take(uint32_t index, const Step&, uint32_t mask, uint32_t lanes);
  // What comes next starts no sooner.
  void wait_for(uint64_t clock) { floor_ = std::max(floor_, clock); }
  // When the warp arrives at a barrier in the current step: its accesses to memory have started.
  uint64_t arrival() const { return std::max(accesses_, start_); }
  uint64_t copy_done() const { return start_ + kCopyLatency; }   // that the current step starts
  uint64_t end() const { return std::max(end_, floor_); }
  uint64_t instructions() const { return instructions_; }   // taken so far

  GroupTimes copies;     // cp.async
  GroupTimes products;   // wgmma

 private:
  const Program* program_;
  std::vector<uint64_t> ready_;
  uint64_t floor_ = 0;
  uint64_t accesses_ = 0;   // the latest start of one
  uint64_t start_ = 0;      // of the current step
  uint64_t end_ = 0;
  uint64_t instructions_ = 0;
};
}   // namespace spectral::cpu::ptx
