// A warp while it runs: 32 lanes with their registers. Lanes that took different ways at a branch are groups, each with
// its own place in the program; the group furthest behind goes first, so that groups meet again where their ways do. In
// a shuffled schedule lanes part without a branch too.
#pragma once
#include "program.h"
#include <bit>
#include <cstring>

namespace spectral::cpu::ptx {
class Block;
class Chain;

// Why a group does not go on.
enum class Wait : uint8_t {
  None,
  Lanes,     // for other lanes of the warp to reach the same instruction
  Barrier,   // of the block; which is in `what`
  Cluster,
  Phase,      // of the mbarrier at address `what`
  Warpgroup   // for the other three warps
};
struct Group {
  uint32_t pc;
  uint32_t lanes;
  Wait wait = Wait::None;
  uint64_t what = 0;
  uint32_t wanted = 0;   // Lanes: which are to come; Phase: the parity
  bool woken = false;    // Phase: it has completed, which the group has not seen yet
  bool tired = false;    // has used up its turn: others go first, even those further on
};

enum class Turn : uint8_t { Ended, Waits, Yields };

class Warp {
 public:
  void start(Block& block, const Program& program, unsigned index, uint32_t lanes);
  // Before its first turn, and null after its last.
  void use_registers(unsigned char* registers);
  unsigned char* registers() const { return registers_; }
  Turn run();   // until every group waits or has ended, or the turn is over

  // ---- for steps
  uint32_t mask = 0;   // the lanes that take the current step
  template <class T>
  T* lanes(uint32_t place) {
    return reinterpret_cast<T*>(registers_ + place);
  }
  uint32_t& predicate(uint32_t number) { return predicates_[number]; }
  const uint32_t* list(const Step& s) const { return &program_->lists[s.list]; }
  Block& block() { return *block_; }
  const Program& program() const { return *program_; }
  unsigned index() const { return index_; }
  uint32_t alive() const { return alive_; }
  bool is_whole() const { return mask == alive_; }   // every lane that has not ended takes the current step
  // Lanes from this one on have ended; 32, or kNarrow for a warp of which few are left.
  static constexpr unsigned kNarrow = 8;
  unsigned width() const { return width_; }
  uint32_t next_step() const { return index_of(next_); }
  std::vector<uint64_t>& calls_of(unsigned lane);   // what calls keep until they return, the last at the end
  const Step& current_step() const { return *step_; }

  void jump(uint32_t target);   // the lanes of the mask; the others go on
  void end_lanes();             // those of the mask
  // True if all of `wanted` that are alive take this step together; else the group waits for the others and repeats
  // the step.
  bool together(uint32_t wanted);
  void may_part();                        // behind a step that lanes have taken together
  void leave_for_later(uint32_t lanes);   // of the mask: they repeat the step by themselves
  void wait_after(Wait, uint64_t what);   // goes on behind this step when woken
  void wait_and_repeat(Wait, uint64_t what, uint32_t wanted);
  void yield() {
    look_around();
    yields_ = true;
  }
  // Every group that waits for it; whether there was one. A fault if one has not yet seen the phase before this one.
  bool wake(Wait, uint64_t what);
  const std::vector<Group>& waiting() const { return others_; }

  unsigned char* local = nullptr;   // [32][local_stride]
  Chain* chain = nullptr;           // in a launch that is counted
  bool queued = true;               // in the cluster's queue
  static constexpr uint64_t kNoPhase = ~uint64_t(0);
  uint64_t cluster_phase = kNoPhase;   // of the cluster's barrier, between arriving and waiting

 private:
  enum class Way : uint8_t { Passes, Takes, Counts };   // over or all invariants; all, which are counted
  template <Way kWay>
  void take_steps();
  const Step* first_step() const { return program_->steps.data(); }
  uint32_t index_of(const Step* s) const { return uint32_t(s - first_step()); }
  void look_around() { limit_ = until_ = first_step(); }   // before the next step
  bool regroup();
  void part_at_random();
  void set_alive(uint32_t lanes);
  void part(const Group&);   // leaves the current group
  void part_and_repeat(Wait, uint64_t what, uint32_t wanted);

  unsigned char* registers_ = nullptr;
  uint32_t* predicates_ = nullptr;
  const Program* program_ = nullptr;
  Block* block_ = nullptr;
  const Step* step_ = nullptr;    // that is taken
  const Step* next_ = nullptr;    // that comes next
  const Step* until_ = nullptr;   // where another group may be met: at or beyond it the groups are looked at
  const Step* limit_ = nullptr;   // the same, or the first step where there has been a jump: one comparison for both
  bool has_jumped_ = false;       // next_ is not what follows the step
  Group current_{0, 0};
  std::vector<Group> others_;
  std::vector<std::vector<uint64_t>> calls_;   // of each lane, once one has called
  uint32_t alive_ = 0;
  unsigned width_ = 32;
  unsigned index_ = 0;
  int turn_ = 0;   // backward jumps left in this turn
  bool yields_ = false;
};
}   // namespace spectral::cpu::ptx
