#include "warp.h"
#include "block.h"
#include "steps.h"
#include <algorithm>
#include <immintrin.h>

namespace spectral::cpu::ptx {
namespace {
constexpr int kTurn = 4096;         // backward jumps before other warps have theirs: a warp may spin on what they write
constexpr uint32_t kTogether = 8;   // in a shuffled schedule lanes part once in so many chances
bool may_meet(const Group& g) { return g.wait == Wait::None || g.wait == Wait::Lanes; }
}   // namespace

void Warp::start(Block& block, const Program& program, unsigned index, uint32_t lanes) {
  block_ = &block;
  program_ = &program;
  index_ = index;
  registers_ = nullptr;
  set_alive(lanes);
  next_ = first_step() + program.first_step;
  look_around();
  has_jumped_ = false;
  current_ = {program.first_step, lanes};
  others_.clear();
  calls_.clear();
  yields_ = false;
  queued = true;
  cluster_phase = kNoPhase;
}

void Warp::use_registers(unsigned char* registers) {
  registers_ = registers;
  if (!registers)
    return;
  predicates_ = reinterpret_cast<uint32_t*>(registers + program_->register_bytes);
  predicates_[0] = ~0u;
}

// Where the next step lies must not wait for memory, so that the processor runs ahead of the steps: it is not read back
// from next_, and from Step::next only where steps are passed over.
template <Warp::Way kWay>
void Warp::take_steps() {
  const auto past_invariants = [](const Step* s) { return kWay == Way::Passes && s->is_invariant ? s + s->next : s; };
  for (const Step* s = next_;;) {
    if (s >= limit_) {
      if (has_jumped_) {
        has_jumped_ = false;
        limit_ = until_;
      } else {
        next_ = s;
        if (!regroup())
          return;
      }
      s = past_invariants(next_);
      continue;   // other groups may stand before it
    }
    const Step* follower = s + 1;
    if (kWay == Way::Passes && s->passes_over) [[unlikely]]
      follower = s + s->next;
    step_ = s;
    next_ = follower;
    mask = current_.lanes;
    if (s->guard)
      mask &= predicates_[s->guard] ^ s->guard_flip;
    if (kWay == Way::Counts) {
      Counters& counters = *block_->counters();
      counters.count(*s, mask);
      counters.at_instruction(chain->instructions());
      chain->take(index_of(s), *s, mask, current_.lanes);
    }
    if (mask)
      s->run(*this, *s);
    s = follower;
  }
}

Turn Warp::run() {
  turn_ = kTurn;
  if (block_->counters())
    take_steps<Way::Counts>();
  else if (block_->cluster->has_invariants())
    take_steps<Way::Passes>();
  else
    take_steps<Way::Takes>();
  _mm256_zeroupper();   // for all steps of the turn
  if (yields_) {
    yields_ = false;
    return Turn::Yields;
  }
  return others_.empty() ? Turn::Ended : Turn::Waits;
}

// Joins groups that have met, and chooses the one furthest behind. False: the turn is over.
bool Warp::regroup() {
  if (others_.empty() && !yields_) {   // no group to meet
    current_.tired = false;
    current_.woken = false;
    limit_ = until_ = first_step() + (current_.lanes ? program_->steps.size() : 0);
    part_at_random();
    return current_.lanes != 0;
  }
  if (current_.lanes) {
    current_.pc = index_of(next_);
    current_.tired = yields_;
    others_.push_back(current_);
    current_.lanes = 0;
  }
  for (size_t i = 0; i < others_.size(); ++i)
    for (size_t k = others_.size() - 1; k > i; --k)
      if (others_[i].pc == others_[k].pc && may_meet(others_[i]) && may_meet(others_[k])) {
        others_[i].lanes |= others_[k].lanes;
        others_[i].woken &= others_[k].woken && others_[i].what == others_[k].what;
        others_[i].wait = Wait::None;
        others_[i].tired |= others_[k].tired;
        others_.erase(others_.begin() + ptrdiff_t(k));
      }
  for (Group& g : others_)
    if (g.wait == Wait::Lanes && !(g.wanted & alive_ & ~g.lanes))
      g.wait = Wait::None;
  look_around();
  if (yields_)
    return false;
  auto better = [](const Group& a, const Group& b) { return a.tired != b.tired ? b.tired : a.pc < b.pc; };
  auto best = others_.end();
  for (auto g = others_.begin(); g != others_.end(); ++g)
    if (g->wait == Wait::None && (best == others_.end() || better(*g, *best)))
      best = g;
  if (best == others_.end())
    return false;
  if (best->tired)   // so are all that could go on: each has another turn
    for (Group& g : others_)
      g.tired = false;
  current_ = *best;
  current_.tired = false;
  current_.woken = false;
  next_ = first_step() + current_.pc;
  others_.erase(best);
  until_ = first_step() + program_->steps.size();
  for (const Group& g : others_)
    if (may_meet(g) && g.pc > current_.pc)
      until_ = std::min(until_, first_step() + g.pc);
  limit_ = until_;
  part_at_random();
  return true;
}

// Lanes stay together only where an instruction makes them (PTX ISA, "Independent Thread Scheduling"). In a shuffled
// schedule some stay behind until the others wait for them.
void Warp::part_at_random() {
  if (!options.seed || chain || !current_.lanes || next_->kind == StepClass::Part)
    return;
  Cluster& cluster = *block_->cluster;
  if (cluster.random() % kTogether)
    return;
  const uint32_t behind = current_.lanes & cluster.random();
  if (!behind || behind == current_.lanes)
    return;
  current_.lanes &= ~behind;
  Group& group = others_.emplace_back(index_of(next_), behind);
  group.tired = true;
}

void Warp::jump(uint32_t target) {
  const Step* const to = first_step() + target;
  if (to < next_ && --turn_ < 0)
    yield();
  if (mask == current_.lanes) {
    next_ = to;
    has_jumped_ = true;
    limit_ = first_step();
    return;
  }
  if (Counters* c = block_->counters())
    ++c->divergent_branches;
  else if (to->run == &end_threads && !to->guard)
    return end_lanes();   // now, so that they do not slow down the others; counted, they may meet those there
  current_.lanes &= ~mask;
  others_.push_back({target, mask});
  look_around();
}

std::vector<uint64_t>& Warp::calls_of(unsigned lane) {
  if (calls_.empty())
    calls_.resize(32);
  return calls_[lane];
}

void Warp::set_alive(uint32_t lanes) {
  alive_ = lanes;
  width_ = lanes >> kNarrow ? 32 : kNarrow;
}
void Warp::end_lanes() {
  set_alive(alive_ & ~mask);
  current_.lanes &= ~mask;
  look_around();
}

// Leaves the current group, to take the step again when the wait is over.
void Warp::part_and_repeat(Wait wait, uint64_t what, uint32_t wanted) {
  if (Counters* c = block_->counters())
    c->take_back(current_step(), mask);
  part({index_of(step_), mask, wait, what, wanted});
}
void Warp::part(const Group& g) {
  current_.lanes &= ~g.lanes;
  others_.push_back(g);
  look_around();
}
bool Warp::together(uint32_t wanted) {
  if (wanted & alive_ & ~mask) {
    part_and_repeat(Wait::Lanes, 0, wanted);
    return false;
  }
  may_part();
  return true;
}
void Warp::may_part() {
  if (options.seed)
    look_around();
}
void Warp::leave_for_later(uint32_t lanes) {
  mask &= ~lanes;
  part({index_of(step_), lanes});
}
void Warp::wait_after(Wait wait, uint64_t what) { part({index_of(next_), mask, wait, what}); }
void Warp::wait_and_repeat(Wait wait, uint64_t what, uint32_t wanted) { part_and_repeat(wait, what, wanted); }

bool Warp::wake(Wait wait, uint64_t what) {
  bool any = false;
  for (Group& g : others_)
    if (g.wait == wait && g.what == what) {
      g.wait = Wait::None;
      g.woken = wait == Wait::Phase;
      any = true;
    } else if (g.woken && wait == Wait::Phase && g.what == what) {
      mask = g.lanes;
      fail(*this, program_->steps[g.pc], "the mbarrier completes another phase before this wait has seen the last one");
    }
  return any;
}
}   // namespace spectral::cpu::ptx
