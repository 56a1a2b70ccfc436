// Shuffles, votes and reductions over the lanes of a warp. PTX ISA, "Data Movement and Conversion: shfl.sync" and
// "Parallel Synchronization and Communication" (vote, match, redux, activemask, elect). All lanes that the mask names
// must come together at the instruction.
#include "barriers.h"
#include "block.h"
#include "dispatch.h"

namespace spectral::cpu::ptx {
namespace {
// ---- shfl.sync: c holds the clamp in its low five bits and the segment's mask eight bits above
enum class Shuffle { Up, Down, Bfly, Idx };
template <Shuffle kMode>
void shuffle(Warp& w, const Step& s) {
  if (!meet(w, s, w.list(s)[0], "shfl.sync"))
    return;
  uint32_t a[32];
  std::memcpy(a, w.lanes<uint32_t>(s.a), sizeof a);
  const uint32_t* b = w.lanes<uint32_t>(s.b);
  const uint32_t* c = w.lanes<uint32_t>(s.c);
  uint32_t from[32];
  uint32_t in_range = 0;
  for (uint32_t k = 0; k < 32; ++k) {
    const uint32_t by = b[k] & 31;
    const uint32_t segment = c[k] >> 8 & 31;
    const uint32_t most = (k & segment) | (c[k] & 31 & ~segment);
    const uint32_t least = k & segment;
    uint32_t lane = 0;
    bool ok = false;
    switch (kMode) {
      case Shuffle::Up:
        lane = k - by;
        ok = int(lane) >= int(most);
        break;
      case Shuffle::Down:
        lane = k + by;
        ok = lane <= most;
        break;
      case Shuffle::Bfly:
        lane = k ^ by;
        ok = lane <= most;
        break;
      case Shuffle::Idx:
        lane = least | (by & ~segment);
        ok = lane <= most;
        break;
    }
    from[k] = ok ? lane & 31 : k;
    in_range |= uint32_t(ok) << k;
  }
  constexpr uint32_t kUnknown = 0xfff7fff7;   // the value of a lane that does not take part is undefined: a NaN shows
  const uint32_t present = w.mask;
  write_lanes<uint32_t>(w, s.d, [&](int k) { return present >> from[k] & 1 ? a[from[k]] : kUnknown; });
  if (s.value)
    write_predicate(w, w.list(s)[1], in_range);
}
void build_shfl(Builder& b) {
  if (!b.take("sync"))
    b.fail("only shfl.sync is supported");
  const int mode = b.take_one_of({"up", "down", "bfly", "idx"});
  const Type t = b.take_type();
  if (mode < 0 || t != Type::B32)
    b.fail("expected .up, .down, .bfly or .idx, and .b32");
  b.expect_operands(5);
  const Operand& to = b.operand(0);
  const bool two = to.kind == OperandKind::Pair;
  const uint32_t members = b.read(4, t);
  const uint32_t in_range = two ? b.write_predicate(to.parts[1]) : 0;
  const uint32_t list = b.list({members, in_range});
  constexpr Run kRuns[] = {
      &shuffle<Shuffle::Up>, &shuffle<Shuffle::Down>, &shuffle<Shuffle::Bfly>, &shuffle<Shuffle::Idx>};
  Step& s = emit_to(b, kRuns[mode], two ? to.parts[0] : to, t, {t, t, t});
  s.list = list;
  s.value = two;
}

// ---- vote.sync
enum class Vote : int64_t { All, Any, Uni, Ballot };
void vote(Warp& w, const Step& s) {
  if (!meet(w, s, s.b, "vote.sync"))
    return;
  const uint32_t yes = (w.predicate(s.a) ^ (s.flags ? ~0u : 0u)) & w.mask;
  switch (Vote(s.value)) {
    case Vote::All: return write_predicate(w, s.d, yes == w.mask ? ~0u : 0u);
    case Vote::Any: return write_predicate(w, s.d, yes ? ~0u : 0u);
    case Vote::Uni: return write_predicate(w, s.d, yes == w.mask || !yes ? ~0u : 0u);
    case Vote::Ballot: return write_lanes<uint32_t>(w, s.d, [&](int) { return yes; });
  }
}
void build_vote(Builder& b) {
  if (!b.take("sync"))
    b.fail("only vote.sync is supported");
  const int mode = b.take_one_of({"all", "any", "uni", "ballot"});
  const Type t = b.take_type();
  const bool ballot = mode == int(Vote::Ballot);
  if (mode < 0 || t != (ballot ? Type::B32 : Type::Pred))
    b.fail("expected .all, .any or .uni with .pred, or .ballot.b32");
  b.expect_operands(3);
  bool flip = false;
  const Operand& source = b.operand(1);
  uint32_t from = 0;   // the predicate that is always true
  if (source.kind == OperandKind::Immediate)
    flip = source.value == 0;
  else
    from = b.read_predicate(source, &flip);
  const uint32_t members = b.read(2, Type::B32);
  const uint32_t to = ballot ? b.write(0, t) : b.write_predicate(b.operand(0));
  Step& s = b.emit(&vote);
  s.a = from;
  s.b = members;
  s.d = to;
  s.value = mode;
  s.flags = flip;
}

// ---- match.sync: the lanes that hold the same value
template <class L>
void match(Warp& w, const Step& s) {
  if (!meet(w, s, s.b, "match.sync"))
    return;
  const L* a = w.lanes<L>(s.a);
  uint32_t same[32] = {};
  each_lane(w.mask, [&](int k) { each_lane(w.mask, [&](int o) { same[k] |= uint32_t(a[o] == a[k]) << o; }); });
  const bool all = s.flags;
  const uint32_t mask = w.mask;
  uint32_t everyone = 0;
  each_lane(mask, [&](int k) { everyone |= uint32_t(same[k] == mask) << k; });
  write_lanes<uint32_t>(w, s.d, [&](int k) { return all && same[k] != mask ? 0u : same[k]; });
  if (s.value)
    write_predicate(w, s.c, everyone);
}
void build_match(Builder& b) {
  const int mode = b.take_one_of({"any", "all"});
  if (mode < 0 || !b.take("sync"))
    b.fail("expected .any.sync or .all.sync");
  const Type t = b.take_type();
  if (t != Type::B32 && t != Type::B64)
    b.fail("expected .b32 or .b64");
  b.expect_operands(3);
  const Operand& to = b.operand(0);
  const bool two = to.kind == OperandKind::Pair;
  const uint32_t predicate = two ? b.write_predicate(to.parts[1]) : 0;
  const Run run = t == Type::B64 ? &match<uint64_t> : &match<uint32_t>;
  Step& s = emit_to(b, run, two ? to.parts[0] : to, Type::B32, {t, Type::B32});
  s.c = predicate;
  s.value = two;
  s.flags = uint32_t(mode);
}

// ---- redux.sync
enum class Reduce : int64_t { Add, Min, Max, And, Or, Xor };
template <class T>
T reduced(Reduce operation, T a, T b) {
  switch (operation) {
    case Reduce::Add: return T(Unsigned<T>(a) + Unsigned<T>(b));
    case Reduce::Min: return b < a ? b : a;
    case Reduce::Max: return a < b ? b : a;
    case Reduce::And: return a & b;
    case Reduce::Or: return a | b;
    case Reduce::Xor: return a ^ b;
  }
  return a;
}
template <class T>
void reduce(Warp& w, const Step& s) {
  if (!meet(w, s, s.b, "redux.sync"))
    return;
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  const int first = std::countr_zero(w.mask);
  T sum = T(a[first]);
  each_lane(w.mask & ~(1u << first), [&](int k) { sum = reduced<T>(Reduce(s.value), sum, T(a[k])); });
  write_lanes<T>(w, s.d, [&](int) { return sum; });
}
void build_redux(Builder& b) {
  if (!b.take("sync"))
    b.fail("expected .sync");
  const int operation = b.take_one_of({"add", "min", "max", "and", "or", "xor"});
  const Type t = b.take_type();
  const bool bits = operation >= int(Reduce::And);
  const bool ok = bits ? t == Type::B32 : t == Type::U32 || t == Type::S32;
  if (operation < 0 || !ok)
    b.fail("this reduction is not supported");
  const Run run = t == Type::S32 ? &reduce<int32_t> : &reduce<uint32_t>;
  emit_typed(b, run, t, {t, Type::B32}).value = operation;
}

void active_mask(Warp& w, const Step& s) {
  const uint32_t mask = w.mask;
  write_lanes<uint32_t>(w, s.d, [&](int) { return mask; });
}
void build_activemask(Builder& b) {
  const Type t = b.take_type();
  b.expect_operands(1);
  const uint32_t to = b.write(0, t);
  b.emit(&active_mask).d = to;
}

void elect(Warp& w, const Step& s) {   // the lowest lane
  if (!meet(w, s, s.b, "elect.sync"))
    return;
  const auto leader = uint32_t(std::countr_zero(w.mask));
  write_predicate(w, s.c, 1u << leader);
  write_lanes<uint32_t>(w, s.d, [&](int) { return leader; });
}
void build_elect(Builder& b) {
  if (!b.take("sync"))
    b.fail("expected .sync");
  b.expect_operands(2);
  const Operand& to = b.operand(0);
  if (to.kind != OperandKind::Pair)
    b.fail(to, "expected two results");
  const uint32_t members = b.read(1, Type::B32);
  const uint32_t leader = b.write(to.parts[0], Type::B32);
  const uint32_t predicate = b.write_predicate(to.parts[1]);
  Step& s = b.emit(&elect);
  s.b = members;
  s.c = predicate;
  s.d = leader;
}

constexpr StepClass kClass = StepClass::Collective;
constexpr InstructionRow kRows[] = {
    {"shfl", kClass, build_shfl},
    {"vote", kClass, build_vote},
    {"match", kClass, build_match},
    {"activemask", kClass, build_activemask},
    {"redux", kClass, build_redux},
    {"elect", kClass, build_elect}};
}   // namespace

bool whole_warp(Warp& w, const Step& s, const char* name) {
  if (!w.together(~0u))
    return false;
  if (w.mask != ~0u)
    fail(w, s, "%s needs all 32 lanes of the warp, has %08x", name, w.mask);
  return true;
}
bool meet(Warp& w, const Step& s, uint32_t mask_place, const char* name) {
  const uint32_t* masks = w.lanes<uint32_t>(mask_place);
  uint32_t wanted = 0;
  uint32_t complete = 0;
  for (uint32_t rest = w.mask; rest;) {
    const uint32_t members = masks[std::countr_zero(rest)];
    uint32_t same = 0;
    for (int k = 0; k < 32; ++k)
      same |= uint32_t(masks[k] == members) << k;
    same &= rest;
    each_lane(same & ~members, [&](int k) {
      fail(w, s, "%s: lane %d takes part and is not in its mask %08x", name, k, members);
    });
    each_lane(members & w.mask & ~same, [&](int k) {
      fail(w, s, "%s: lanes of one warp name different masks, %08x and %08x", name, members, masks[k]);
    });
    if (!complete && !(members & w.alive() & ~same))
      complete = same;
    wanted |= members;
    rest &= ~same;
  }
  if (!complete)
    return w.together(wanted);   // which it is not yet
  if (complete != w.mask)
    w.leave_for_later(w.mask & ~complete);
  w.may_part();
  return true;
}

InstructionTable warp_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
