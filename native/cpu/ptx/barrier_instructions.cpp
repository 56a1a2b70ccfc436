// Barriers of blocks and clusters, mbarriers, fences. PTX ISA, "Parallel Synchronization and Communication".
#include "../mbarrier.h"
#include "access.h"
#include "barriers.h"
#include "dispatch.h"

namespace spectral::cpu::ptx {
namespace {
// ---- "bar, barrier": .aligned forms need the whole warp; arrivals count whole warps in either
unsigned uniform(Warp& w, const Step& s, uint32_t place, const char* what) {
  const uint32_t* values = w.lanes<uint32_t>(place);
  const uint32_t first = values[std::countr_zero(w.mask)];
  each_lane(w.mask, [&](int k) {
    if (values[k] != first)
      fail(w, s, "lanes of one warp name different %s, %u and %u", what, first, values[k]);
  });
  return first;
}
enum BarrierFlag : uint32_t { kHasCount = 1, kFlipVote = 2 };
struct BarrierName {
  unsigned id, count;
};
BarrierName name_of_barrier(Warp& w, const Step& s) {
  const unsigned id = uniform(w, s, s.a, "barriers");
  if (id > 15)
    fail(w, s, "barrier %u: a block has barriers 0 to 15", id);
  return {id, s.flags & kHasCount ? uniform(w, s, s.b, "numbers of threads") : 0};
}
void wait_at(Warp& w, const BarrierName& b, bool is_last) {
  if (!is_last) {
    w.wait_after(Wait::Barrier, b.id);
    return;
  }
  if (w.chain)
    w.chain->wait_for(w.block().barriers[b.id].clock);
  if (options.seed)
    w.yield();
}
void barrier_sync(Warp& w, const Step& s) {
  if (!w.together(~0u))
    return;
  const BarrierName b = name_of_barrier(w, s);
  wait_at(w, b, w.block().arrive(w, s, b.id, b.count));
}
void barrier_arrive(Warp& w, const Step& s) {
  if (!w.together(~0u))
    return;
  const BarrierName b = name_of_barrier(w, s);
  w.block().arrive(w, s, b.id, b.count);
}
void barrier_vote(Warp& w, const Step& s) {
  if (!w.together(~0u))
    return;
  const BarrierName b = name_of_barrier(w, s);
  const uint32_t yes = (w.predicate(s.c) ^ (s.flags & kFlipVote ? ~0u : 0u)) & w.mask;
  NamedBarrier& barrier = w.block().barriers[b.id];
  barrier.yes += unsigned(std::popcount(yes));
  barrier.all &= yes == w.mask;
  wait_at(w, b, w.block().arrive(w, s, b.id, b.count));
}
enum class Reduce : int64_t { Popc, And, Or };
void barrier_result(Warp& w, const Step& s) {
  const NamedBarrier& b = w.block().barriers[uniform(w, s, s.a, "barriers")];
  switch (Reduce(s.value)) {
    case Reduce::Popc: return write_lanes<uint32_t>(w, s.d, [&](int) { return b.result_yes; });
    case Reduce::And: return write_predicate(w, s.d, b.result_all ? ~0u : 0u);
    case Reduce::Or: return write_predicate(w, s.d, b.result_yes ? ~0u : 0u);
  }
}

Step& emit_barrier(Builder& b, Run run, size_t first) {
  const uint32_t id = b.read(first, Type::U32);
  const bool counts = b.count() > first + 1;
  const uint32_t count = counts ? b.read(first + 1, Type::U32) : 0;
  Step& s = b.emit(run);
  s.a = id;
  s.b = count;
  s.flags = counts ? kHasCount : 0u;
  return s;
}
void build_reduction(Builder& b) {
  const int operation = b.take_one_of({"popc", "and", "or"});
  b.take("aligned");
  const Type t = b.take_type();
  if (operation < 0 || t != (operation ? Type::Pred : Type::U32))
    b.fail("expected .popc.u32, .and.pred or .or.pred");
  b.expect_operands(3, 4);
  bool flip;
  const uint32_t vote = b.read_predicate(b.operand(b.count() - 1), &flip);
  const uint32_t id = b.read(1, Type::U32);
  const bool counts = b.count() == 4;
  const uint32_t count = counts ? b.read(2, Type::U32) : 0;
  Step& s = b.emit(&barrier_vote);
  s.a = id;
  s.b = count;
  s.c = vote;
  s.flags = (counts ? kHasCount : 0u) | (flip ? kFlipVote : 0u);
  const uint32_t again = b.read(1, Type::U32);
  const uint32_t to = operation ? b.write_predicate(b.operand(0)) : b.write(0, t);
  Step& result = b.emit(&barrier_result);
  result.kind = StepClass::Part;
  result.a = again;
  result.d = to;
  result.value = operation;
}

// "bar.warp.sync"
void sync_lanes(Warp& w, const Step& s) { meet(w, s, s.a, "bar.warp.sync"); }

// ---- "barrier.cluster"
void cluster_arrive(Warp& w, const Step& s) {
  if (!w.together(~0u))
    return;
  if (w.cluster_phase != Warp::kNoPhase)
    fail(w, s, "arrives at the cluster's barrier a second time without waiting");
  w.block().cluster->arrive_at_cluster(w);
}
void cluster_wait(Warp& w, const Step& s) {
  if (w.together(~0u))
    w.block().cluster->wait_at_cluster(w, s);
}
void build_cluster_barrier(Builder& b) {
  const int action = b.take_one_of({"arrive", "wait"});
  if (action < 0)
    b.fail("expected .arrive or .wait");
  b.take_one_of({"release", "relaxed", "acquire"});
  b.take("aligned");
  b.expect_operands(0);
  b.emit(action ? &cluster_wait : &cluster_arrive);
}
void build_bar(Builder& b) {
  if (b.take("cluster"))
    return build_cluster_barrier(b);
  if (b.take("warp")) {
    if (!b.take("sync"))
      b.fail("expected .sync");
    b.expect_operands(1);
    const uint32_t members = b.read(0, Type::B32);
    b.emit(&sync_lanes).a = members;
    return;
  }
  b.take("cta");
  const int action = b.take_one_of({"sync", "arrive", "red"});
  if (action < 0)
    b.fail("expected .sync, .arrive or .red");
  if (action == 2)
    return build_reduction(b);
  b.take("aligned");
  b.expect_operands(action ? 2 : 1, 2);
  emit_barrier(b, action ? &barrier_arrive : &barrier_sync, 0);
}

// ---- mbarrier: "Contents of the mbarrier object", "Tracking asynchronous operations", and the section of each
enum MbarrierFlag : uint32_t { kExpects = 8, kDrops = 16, kParity = 32, kTests = 64 };
void init(Warp& w, const Step& s) {
  uint64_t at[32];
  reach_barriers(w, s, at);
  const uint32_t* counts = w.lanes<uint32_t>(s.b);
  each_lane(w.mask, [&](int k) {
    if (counts[k] == 0 || counts[k] > Mbar::kMostArrivals)
      fail(w, s, "an mbarrier expects 1 to %u arrivals, not %u", Mbar::kMostArrivals, counts[k]);
    Mbar m(0);
    m.pending = m.count = counts[k];
    *reinterpret_cast<uint64_t*>(at[k]) = m.pack();
    mark_init(w, unsigned(k), shared_offset_of(w, at[k]));
  });
}
void invalidate(Warp& w, const Step& s) {
  uint64_t at[32];
  reach_barriers(w, s, at);
  each_lane(w.mask, [&](int k) {
    valid_barrier(w, s, at[k]);
    *reinterpret_cast<uint64_t*>(at[k]) = 0;
  });
}
void arrive(Warp& w, const Step& s) {
  uint64_t at[32];
  reach_barriers(w, s, at);
  const uint32_t* values = w.lanes<uint32_t>(s.b);   // a count, or bytes with .expect_tx
  uint64_t states[32] = {};
  each_lane(w.mask, [&](int k) {
    auto* bits = reinterpret_cast<uint64_t*>(at[k]);
    Mbar m = valid_barrier(w, s, at[k]);
    states[k] = *bits;
    const uint32_t count = s.flags & kExpects ? 1 : values[k];
    if (s.flags & kExpects)
      add_transactions(w, s, m, int64_t(values[k]));
    if (count == 0 || count > m.pending)
      fail(
          w,
          s,
          "%u arrivals at the mbarrier at shared offset %u, where %u are due",
          count,
          shared_offset_of(w, at[k]),
          m.pending);
    if (w.chain)
      w.block().cluster->arrive_at_phase(bits, w.chain->arrival());
    m.pending -= count;
    if (s.flags & kDrops)
      m.count -= count;
    store_barrier(*w.block().cluster, bits, m);
  });
  if (s.c)
    write_lanes<uint64_t>(w, s.d, [&](int k) { return states[k]; });
}
void change_transactions(Warp& w, const Step& s) {
  uint64_t at[32];
  reach_barriers(w, s, at);
  const uint32_t* bytes = w.lanes<uint32_t>(s.b);
  each_lane(w.mask, [&](int k) {
    Mbar m = valid_barrier(w, s, at[k]);
    add_transactions(w, s, m, s.flags & kExpects ? int64_t(bytes[k]) : -int64_t(bytes[k]));
    store_barrier(*w.block().cluster, reinterpret_cast<uint64_t*>(at[k]), m);
  });
}
// try_wait suspends until the phase is complete; test_wait looks.
void wait(Warp& w, const Step& s) {
  uint64_t at[32];
  reach_barriers(w, s, at);
  const bool by_parity = s.flags & kParity;
  uint32_t complete = 0;
  uint64_t first = 0;
  bool same = true;
  each_lane(w.mask, [&](int k) {
    const Mbar m = valid_barrier(w, s, at[k]);
    const unsigned phase = by_parity ? w.lanes<uint32_t>(s.b)[k] & 1 : Mbar(w.lanes<uint64_t>(s.b)[k]).phase;
    complete |= uint32_t(m.phase != phase) << k;
    same &= !first || first == at[k];
    first = at[k];
  });
  if (!complete && same && !(s.flags & kTests)) {
    w.wait_and_repeat(Wait::Phase, first, 0);
    return;
  }
  if (!complete)
    w.yield();
  if (w.chain)
    each_lane(complete, [&](int k) {
      const auto* bits = reinterpret_cast<const uint64_t*>(at[k]);
      w.chain->wait_for(w.block().cluster->end_of_phase(bits, Mbar(*bits).phase ^ 1));
    });
  write_predicate(w, s.d, complete);
}
// Of the state before the arrival that returned it.
void pending_count(Warp& w, const Step& s) {
  const uint64_t* states = w.lanes<uint64_t>(s.a);
  write_lanes<uint32_t>(w, s.d, [&](int k) { return Mbar(states[k]).pending; });
}

uint32_t take_barrier_space(Builder& b) {
  b.take_one_of({"release", "relaxed", "acquire"});
  b.take_one_of({"cta", "cluster"});
  return b.take_one_of({"shared", "shared::cta", "shared::cluster"}) < 0 ? uint32_t(kGenericBarrier) : 0u;
}
void expect_b64(Builder& b) {
  if (b.take_type() != Type::B64)
    b.fail("expected .b64");
}
void set_barrier(Step& s, const MemoryOperand& m, uint32_t flags) {
  set_address(s, m);
  s.flags |= flags;
}
void build_arrive(Builder& b, bool drops) {
  const bool expects = b.take("expect_tx");
  const bool no_complete = b.take("noComplete");
  uint32_t flags = take_barrier_space(b);
  flags |= (expects ? kExpects : 0u) | (drops ? kDrops : 0u);
  expect_b64(b);
  const size_t at = b.count() && b.operand(0).kind == OperandKind::Address ? 0 : 1;   // the state may be left out
  b.expect_operands(at + (expects || no_complete ? 2 : 1), at + 2);
  const MemoryOperand memory = b.memory(at);
  const uint32_t value = b.count() > at + 1 ? b.read(at + 1, Type::U32) : b.constant(1, false);
  const bool keeps = at == 1 && !b.is_sink(b.operand(0));
  const uint32_t state = keeps ? b.write(0, Type::B64) : 0;
  Step& s = b.emit(&arrive);
  set_barrier(s, memory, flags);
  s.b = value;
  s.c = keeps;
  s.d = state;
}
void build_wait(Builder& b, bool tests) {
  const bool parity = b.take("parity");
  const uint32_t flags = take_barrier_space(b) | (parity ? kParity : 0u) | (tests ? kTests : 0u);
  expect_b64(b);
  b.expect_operands(3, tests ? 3 : 4);   // the fourth is a hint how long to wait
  const MemoryOperand memory = b.memory(1);
  const uint32_t phase = b.read(2, parity ? Type::U32 : Type::B64);
  const uint32_t to = b.write_predicate(b.operand(0));
  Step& s = b.emit(&wait);
  set_barrier(s, memory, flags);
  s.b = phase;
  s.d = to;
}
void build_mbarrier(Builder& b) {
  const int action = b.take_one_of(
      {"init", "inval", "expect_tx", "complete_tx", "arrive", "arrive_drop", "test_wait", "try_wait", "pending_count"});
  switch (action) {
    case 4:
    case 5: return build_arrive(b, action == 5);
    case 6:
    case 7: return build_wait(b, action == 6);
    case 8: {
      expect_b64(b);
      b.expect_operands(2);
      const uint32_t from = b.read(1, Type::B64);
      const uint32_t to = b.write(0, Type::U32);
      Step& s = b.emit(&pending_count);
      s.a = from;
      s.d = to;
      return;
    }
    case 0:
    case 1:
    case 2:
    case 3: break;
    default: b.fail("expected an action on an mbarrier");
  }
  const uint32_t flags = take_barrier_space(b) | (action == 2 ? kExpects : 0u);
  expect_b64(b);
  b.expect_operands(action == 1 ? 1 : 2);
  const MemoryOperand memory = b.memory(0);
  const uint32_t value = action == 1 ? 0 : b.read(1, Type::U32);
  constexpr Run kRuns[] = {&init, &invalidate, &change_transactions, &change_transactions};
  Step& s = b.emit(kRuns[action]);
  set_barrier(s, memory, flags);
  s.b = value;
}

// ---- fences: accesses here happen in order, so only the one between proxies does something
void fence(Warp&, const Step&) { std::atomic_thread_fence(std::memory_order_seq_cst); }
void fence_proxy(Warp& w, const Step&) { publish_writes(w); }
void fence_init(Warp& w, const Step&) { publish_inits(w); }
void build_fence(Builder& b) {
  const bool inits = b.take("mbarrier_init");
  const bool async = b.take("proxy") && b.peek().starts_with("async");
  b.skip_modifiers();
  Run run = async ? &fence_proxy : &fence;
  if (inits)
    run = &fence_init;
  b.emit(run);
}

constexpr StepClass kClass = StepClass::Barrier;
constexpr InstructionRow kRows[] = {
    {"bar", kClass, build_bar},
    {"barrier", kClass, build_bar},
    {"membar", kClass, build_fence},
    {"fence", kClass, build_fence},
    {"mbarrier", kClass, build_mbarrier}};
}   // namespace

// ---- shared with the copies
void reach_barriers(Warp& w, const Step& s, uint64_t* at) {
  if (s.flags & kGenericBarrier)
    locate<Space::Generic>(w, s, at, 8);
  else
    locate<Space::Shared>(w, s, at, 8);
}
Mbar valid_barrier(Warp& w, const Step& s, uint64_t at) {
  const Mbar m(*reinterpret_cast<const uint64_t*>(at));
  if (!m.valid)
    fail(w, s, "the mbarrier at shared offset %u is not initialised", shared_offset_of(w, at));
  if (const Block* of = w.block().cluster->shared_at(at); of && of != &w.block())
    check_init_fenced(w, s, *of, reinterpret_cast<const void*>(at));
  return m;
}
unsigned shared_offset_of(Warp& w, uint64_t address) {
  const Block* of = w.block().cluster->shared_at(address);
  return of ? unsigned(address - reinterpret_cast<uint64_t>(of->shared)) : 0;
}
void add_transactions(const Warp& w, const Step& s, Mbar& m, int64_t bytes) {
  const int64_t sum = m.tx + bytes;
  if (!Mbar::counts(sum))
    fail(w, s, "an mbarrier counts up to %d bytes; here %lld would be due", Mbar::kMostBytes, (long long)sum);
  m.tx = int(sum);
}
// "Phase Completion of the mbarrier object"
void store_barrier(Cluster& cluster, uint64_t* bits, Mbar m) {
  const bool complete = m.pending == 0 && m.tx == 0;
  if (complete) {
    cluster.end_phase(bits, m.phase);
    m.phase ^= 1;
    m.pending = m.count;
  }
  *bits = m.pack();
  if (complete)
    cluster.wake(Wait::Phase, reinterpret_cast<uint64_t>(bits));
}

InstructionTable barrier_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
