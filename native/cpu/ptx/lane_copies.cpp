// Copies of single lanes into shared memory. PTX ISA, "Data Movement and Conversion: cp.async, cp.async.commit_group,
// cp.async.wait_group, cp.async.wait_all".
#include "access.h"
#include "barriers.h"
#include "builder.h"
#include <algorithm>

namespace spectral::cpu::ptx {
namespace {
void copy_lanes(Warp& w, const LaneCopy& c, uint32_t lanes) {
  uint64_t at[32];
  each_lane(lanes, [&](int k) {
    std::memcpy(c.to[k], c.from[k], c.valid[k]);
    std::memset(c.to[k] + c.valid[k], 0, c.bytes - c.valid[k]);
    at[k] = reinterpret_cast<uint64_t>(c.to[k]);
  });
  if (w.program().uses_async_proxy)   // cp.async writes through the generic proxy, and now
    mark_writes(w, *c.step, lanes, at, c.bytes);
}
enum CopyFlag : uint32_t { kHasSize = 8, kIgnores = 16, kFlipIgnore = 32 };
// List: places of the source's address and of its offset.
void copy_async(Warp& w, const Step& s) {
  LaneCopy c;
  c.step = &s;
  c.bytes = s.c;
  const uint32_t* list = w.list(s);
  uint64_t to[32];
  reach<Space::Shared>(w, s, to, c.bytes, Effect::Writes);
  const uint64_t* source = w.lanes<uint64_t>(list[0]);
  const uint64_t offset = w.lanes<uint64_t>(list[1])[0];
  const uint32_t ignored = s.flags & kIgnores ? w.predicate(s.b) ^ (s.flags & kFlipIgnore ? ~0u : 0u) : 0;
  Cluster& cluster = *w.block().cluster;
  uint64_t from[32];
  Piece pieces[32];
  size_t reading = 0;
  each_lane(w.mask, [&](int k) {
    from[k] = source[k] + offset;
    c.to[k] = reinterpret_cast<unsigned char*>(to[k]);
    c.from[k] = c.to[k];
    c.valid[k] = s.flags & kHasSize ? w.lanes<uint32_t>(s.b)[k] : ignored >> k & 1 ? 0 : c.bytes;
    if (c.valid[k] > c.bytes)
      fail(w, s, "cp.async of %u bytes reads %u", c.bytes, c.valid[k]);
    if (!c.valid[k])
      return;   // what is not read may have any address
    pieces[reading++] = {from[k], c.valid[k]};
    if (from[k] % c.bytes)
      fail_access(
          CUDA_ERROR_MISALIGNED_ADDRESS,
          w,
          s,
          unsigned(k),
          "cp.async reads %u bytes at address 0x%llx, which is not a multiple of them",
          c.bytes,
          static_cast<unsigned long long>(from[k]));
    cluster.check_global(w, s, unsigned(k), from[k], from[k] + c.valid[k]);
    c.from[k] = reinterpret_cast<const unsigned char*>(from[k]);
  });
  if (Counters* counters = w.block().counters(); counters && reading)
    counters->global_read.request(pieces, reading);
  if (w.chain)
    w.chain->copies.add(w.chain->copy_done());
  WarpAsync& async = async_of(w);
  for (uint32_t left = w.mask; left;) {   // lanes that have committed equally often fill one group
    c.group = async.groups[std::countr_zero(left)];
    c.lanes = 0;
    each_lane(left, [&](int k) { c.lanes |= uint32_t(async.groups[k] == c.group) << k; });
    left &= ~c.lanes;
    if (is_late(cluster))
      async.copies.push_back(c);
    else
      copy_lanes(w, c, c.lanes);
  }
}
// All but the newest `keep` groups of each lane of the mask.
void finish_groups(Warp& w, uint32_t keep) {
  const WarpAsync& async = async_of(w);
  uint32_t end[32];
  for (int k = 0; k < 32; ++k)
    end[k] = async.groups[k] - std::min(keep, async.groups[k]);
  finish_lane_copies(w, w.mask, end);
}
void commit_lane_copies(Warp& w, const Step&) {
  WarpAsync& async = async_of(w);
  if (w.chain)
    w.chain->copies.commit();
  each_lane(w.mask, [&](int k) { ++async.groups[k]; });
  if (!is_late(*w.block().cluster))
    finish_groups(w, 0);
}
void wait_lane_copies(Warp& w, const Step& s) {
  WarpAsync& async = async_of(w);
  if (s.flags) {   // wait_all: what is not committed too
    each_lane(w.mask, [&](int k) { ++async.groups[k]; });
    if (w.chain)
      w.chain->copies.commit();
  }
  finish_groups(w, uint32_t(s.value));
  if (w.chain)
    w.chain->wait_for(w.chain->copies.wait(uint64_t(s.value)));
}
// ---- building
void build_lane_copy(Builder& b) {
  const bool whole = b.take_one_of({"ca", "cg"}) == 1;
  if (!b.take("shared") && !b.take("shared::cta"))
    b.fail("expected .shared");
  if (!b.take("global"))
    b.fail("expected .global");
  b.skip_cache_hints();
  b.expect_operands(3, 5);
  const int64_t bytes = b.read_immediate(2, 4, 16);
  if ((bytes != 4 && bytes != 8 && bytes != 16) || (whole && bytes != 16))
    b.fail(b.operand(2), "copies have 4, 8 or 16 bytes, with .cg 16");
  const MemoryOperand to = b.memory(0);
  const MemoryOperand from = b.memory(1);
  if (!from.wide)
    b.fail(b.operand(1), "an address in global memory has 64 bits");
  uint32_t flags = 0;
  uint32_t size = 0;
  if (b.count() > 3 && b.register_type(b.operand(3)) != Type::B64) {
    bool flip = false;
    const bool ignores = b.is_predicate(b.operand(3));
    size = ignores ? b.read_predicate(b.operand(3), &flip) : b.read(3, Type::U32);
    flags = (ignores ? kIgnores : kHasSize) | (flip ? uint32_t(kFlipIgnore) : 0u);
  }
  const uint32_t list = b.list({from.base, b.constant(uint64_t(from.offset), true)});
  Step& s = b.emit(&copy_async);
  set_address(s, to);
  s.b = size;
  s.c = uint32_t(bytes);
  s.list = list;
  s.flags |= flags;
}
void build_cp(Builder& b) {
  const bool reduces = b.take("reduce");
  if (!b.take("async"))
    b.fail("expected .async");
  if (b.take("bulk"))
    return build_bulk(b, reduces);
  if (reduces)
    b.fail("expected .bulk");
  if (b.take("commit_group")) {
    b.expect_operands(0);
    b.emit(&commit_lane_copies);
    return;
  }
  if (b.take("wait_group"))
    return build_wait_group(b, &wait_lane_copies, 0);
  if (b.take("wait_all")) {
    b.expect_operands(0);
    b.emit(&wait_lane_copies).flags = 1;
    return;
  }
  if (b.take("mbarrier"))
    return build_copy_arrival(b);
  build_lane_copy(b);
}

constexpr InstructionRow kRows[] = {{"cp", StepClass::AsyncCopy, build_cp}};
}   // namespace

InstructionTable async_instructions() { return {kRows, std::size(kRows)}; }

void finish_lane_copies(Warp& w, uint32_t mask, const uint32_t (&end)[32]) {
  WarpAsync& async = async_of(w);
  for (LaneCopy& c : async.copies) {
    uint32_t due = 0;
    each_lane(c.lanes & mask, [&](int k) { due |= uint32_t(c.group < end[k]) << k; });
    copy_lanes(w, c, due);
    c.lanes &= ~due;
  }
  std::erase_if(async.copies, [](const LaneCopy& c) { return !c.lanes; });
}
void finish_all_lane_copies(Warp& w) {
  uint32_t end[32];
  std::fill(std::begin(end), std::end(end), UINT32_MAX);
  finish_lane_copies(w, ~0u, end);
}
}   // namespace spectral::cpu::ptx
