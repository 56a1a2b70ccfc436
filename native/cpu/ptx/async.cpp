// Copies under way: cp.async, bulk and tensor copies, and the fence between the writes of threads and the
// asynchronous proxy. PTX ISA, "Data Movement and Conversion: cp.async, cp.async.bulk, cp.async.bulk.tensor".
#include "async.h"
#include "../tensor_copy.h"
#include "access.h"
#include "barriers.h"
#include "builder.h"
#include <algorithm>

namespace spectral::cpu::ptx {
void WarpAsync::clear() {
  copies.clear();
  stores.clear();
  std::fill(std::begin(groups), std::end(groups), 0);
  std::fill(std::begin(store_groups), std::end(store_groups), 0);
}
void WarpgroupAsync::clear() {
  for (int i = 0; i < 4; ++i) {
    ops[i].clear();
    ends[i].clear();
    fenced[i] = false;
  }
  arrived = 0;
}

void check_fenced(const Warp& w, const Step& s, const Block& block, uint32_t begin, uint32_t end, const char* what) {
  const std::vector<uint16_t>& writer = block.writes.writer;
  if (writer.empty())
    return;
  for (uint32_t i = begin / 4; i < (end + 3) / 4; ++i)
    if (writer[i])
      fail(
          w,
          s,
          "%s shared offset %u, written by thread %u without a fence.proxy.async since",
          what,
          4 * i,
          writer[i] - 1u);
}

namespace {
WarpAsync& async_of(Warp& w) { return w.block().async[w.index()]; }

// ---- cp.async of lanes
void copy_lanes(const LaneCopy& c, uint32_t lanes) {
  each_lane(lanes, [&](int k) {
    std::memcpy(c.to[k], c.from[k], c.valid[k]);
    std::memset(c.to[k] + c.valid[k], 0, c.bytes - c.valid[k]);
  });
}
enum CopyFlag : uint32_t { kHasSize = 8, kIgnores = 16, kFlipIgnore = 32 };
// List: places of the source's address and of its offset.
void copy_async(Warp& w, const Step& s) {
  LaneCopy c;
  c.bytes = s.c;
  const uint32_t* list = w.list(s);
  uint64_t to[32];
  reach<Space::Shared>(w, s, to, c.bytes, Effect::Writes);
  const uint64_t* source = w.lanes<uint64_t>(list[0]);
  const uint64_t offset = w.lanes<uint64_t>(list[1])[0];
  const uint32_t ignored = s.flags & kIgnores ? w.predicate(s.b) ^ (s.flags & kFlipIgnore ? ~0u : 0u) : 0;
  Cluster& cluster = *w.block().cluster;
  uint64_t from[32];
  uint32_t reading = 0;
  each_lane(w.mask, [&](int k) {
    from[k] = source[k] + offset;
    c.valid[k] = s.flags & kHasSize ? w.lanes<uint32_t>(s.b)[k] : ignored >> k & 1 ? 0 : c.bytes;
    if (c.valid[k] > c.bytes)
      fail(w, s, "cp.async of %u bytes reads %u", c.bytes, c.valid[k]);
    if (!c.valid[k])
      return;   // what is not read may have any address
    reading |= 1u << k;
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
    c.to[k] = reinterpret_cast<unsigned char*>(to[k]);
    c.from[k] = reinterpret_cast<const unsigned char*>(from[k]);
  });
  each_lane(w.mask & ~reading, [&](int k) {
    c.to[k] = reinterpret_cast<unsigned char*>(to[k]);
    c.from[k] = c.to[k];
  });
  if (Counters* counters = w.block().counters(); counters && reading)
    counters->global_access(from, reading, c.bytes, false);
  WarpAsync& async = async_of(w);
  for (uint32_t left = w.mask; left;) {   // lanes that have committed equally often fill one group
    c.group = async.groups[std::countr_zero(left)];
    c.lanes = 0;
    each_lane(left, [&](int k) { c.lanes |= uint32_t(async.groups[k] == c.group) << k; });
    left &= ~c.lanes;
    if (options.eager)
      copy_lanes(c, c.lanes);
    else
      async.copies.push_back(c);
  }
}
// All but the newest `keep` groups of each lane of the mask.
void finish_lane_copies(WarpAsync& async, uint32_t mask, uint32_t keep) {
  for (LaneCopy& c : async.copies) {
    uint32_t due = 0;
    each_lane(c.lanes & mask, [&](int k) { due |= uint32_t(c.group + keep < async.groups[k]) << k; });
    copy_lanes(c, due);
    c.lanes &= ~due;
  }
  std::erase_if(async.copies, [](const LaneCopy& c) { return !c.lanes; });
}
bool is_late(Cluster& cluster) { return !options.eager && (!options.seed || (cluster.random() & 1)); }
void commit_lane_copies(Warp& w, const Step&) {
  WarpAsync& async = async_of(w);
  each_lane(w.mask, [&](int k) { ++async.groups[k]; });
  if (!is_late(*w.block().cluster))
    finish_lane_copies(async, w.mask, 0);
}
void wait_lane_copies(Warp& w, const Step& s) {
  WarpAsync& async = async_of(w);
  if (s.flags)   // wait_all: what is not committed too
    each_lane(w.mask, [&](int k) { ++async.groups[k]; });
  finish_lane_copies(async, w.mask, uint32_t(s.value));
}
// The mbarrier gets an arrival when the lane's copies so far are done: now, which is early but allowed.
void arrive_after_copies(Warp& w, const Step& s) {
  WarpAsync& async = async_of(w);
  each_lane(w.mask, [&](int k) { ++async.groups[k]; });
  finish_lane_copies(async, w.mask, 0);
  uint64_t at[32];
  reach_barriers(w, s, at);
  each_lane(w.mask, [&](int k) {
    auto* bits = reinterpret_cast<uint64_t*>(at[k]);
    Mbar m = valid_barrier(w, s, at[k]);
    const bool counts = s.c;   // .noinc: the arrival is one of those expected
    if (counts && !m.pending)
      fail(w, s, "more arrivals at the mbarrier at shared offset %u than are due", shared_offset_of(w, at[k]));
    m.pending -= counts;
    store_barrier(*w.block().cluster, bits, m);
  });
}

// ---- what the asynchronous proxy may see
void check_readers(const Warp& w, const Step& s, const Block& block, uint32_t begin, uint32_t end, const char* what) {
  for (const SharedWrites::Reader& r : block.writes.readers)
    if (begin < r.end && r.begin < end)
      fail(
          w,
          s,
          "%s shared offset %u, which the bulk store of PTX line %u may still be reading",
          what,
          std::max(begin, r.begin),
          r.line);
}

// ---- bulk loads
void do_load(Cluster& cluster, const BulkLoad& o) {
  if (!o.block->live_warps)
    fail(*o.warp, *o.step, "block %u of the cluster ended before this copy into it", o.block->rank);
  unsigned char* shared = o.block->shared;
  if (!o.is_tensor)
    std::memcpy(shared + o.offset, o.from, o.bytes);
  else
    for_units(o.map, o.offset, o.x, o.y, [&](uint32_t at, int64_t row, int64_t byte) {
      const Inside in = inside(o.map, row, byte);
      std::memset(shared + at, 0, 16);   // outside the tensor is zero
      if (in.hi > in.lo)
        std::memcpy(shared + at + in.lo, o.map.base + row * o.map.stride + byte + in.lo, size_t(in.hi - in.lo));
    });
  Mbar m(*o.barrier);
  if (!m.valid)
    fail(*o.warp, *o.step, "the copy's mbarrier was overwritten before the copy completed");
  m.tx -= int(o.bytes);
  store_barrier(cluster, o.barrier, m);
}
void queue_load(Cluster& cluster, const BulkLoad& o) {
  const uint32_t when = options.eager ? 0 : options.seed ? cluster.random() % 3 : 2;   // at once, at random, late
  if (when == 0)
    do_load(cluster, o);
  else
    (when == 1 ? cluster.copies.soon : cluster.copies.late).push_back(o);
}

TensorMapCpu read_map(Warp& w, const Step& s, unsigned lane, uint64_t address) {
  const uint64_t parameters = reinterpret_cast<uint64_t>(w.block().launch().parameters);
  const size_t size = w.program().parameter_bytes;
  TensorMap map;
  if (address % 64)
    fail_access(CUDA_ERROR_MISALIGNED_ADDRESS, w, s, lane, "a tensor map lies at a multiple of 64 bytes");
  if (address - parameters >= size || size - (address - parameters) < sizeof map)
    w.block().cluster->check_global(w, s, lane, address, address + sizeof map);
  std::memcpy(&map, reinterpret_cast<const void*>(address), sizeof map);
  const TensorMapCpu t = decode(map);
  if (t.magic != TensorMapCpu::kMagic)
    fail(w, s, "the tensor map was not encoded");
  return t;
}
// What the box of a copy is in shared memory: aligned for its swizzle, inside the block's.
void check_box(Warp& w, const Step& s, uint32_t offset, uint32_t bytes, uint32_t align, const char* what) {
  const size_t size = w.block().cluster->shared_bytes;
  if (offset % align)
    fail(w, s, "%s at shared offset %u is not at a multiple of %u", what, offset, align);
  if (offset + uint64_t(bytes) > size)
    fail(w, s, "%s of %u bytes at shared offset %u ends outside shared memory (%zu)", what, bytes, offset, size);
}

// The global memory of a copy without a tensor map.
const unsigned char* take_source(Warp& w, const Step& s, unsigned lane, uint64_t address, uint32_t bytes) {
  if (address % 16 || bytes % 16 || !bytes)
    fail_access(
        CUDA_ERROR_MISALIGNED_ADDRESS,
        w,
        s,
        lane,
        "a bulk copy of %u bytes at address 0x%llx: both are multiples of 16",
        bytes,
        static_cast<unsigned long long>(address));
  w.block().cluster->check_global(w, s, lane, address, address + bytes);
  return reinterpret_cast<const unsigned char*>(address);
}
template <class Copy>
void count_tensor(Counters& c, const Copy& o, bool writes) {
  const unsigned row_bytes = o.map.box[0] * o.map.elem;
  for (unsigned r = 0; r < o.map.box[1]; ++r) {
    const int64_t row = o.y + int64_t(r);
    const int64_t first = std::max<int64_t>(0, o.x * int64_t(o.map.elem));
    const int64_t end = std::min<int64_t>(int64_t(o.map.dim[0]) * o.map.elem, o.x * int64_t(o.map.elem) + row_bytes);
    if (row >= 0 && row < int64_t(o.map.dim[1]) && end > first)
      c.global_range(
          reinterpret_cast<uint64_t>(o.map.base) + uint64_t(row * o.map.stride + first), uint64_t(end - first), writes);
  }
}
void count_load(Counters& c, const BulkLoad& o) {
  if (o.is_tensor)
    count_tensor(c, o, false);
  else
    c.global_range(reinterpret_cast<uint64_t>(o.from), o.bytes, false);
}
void count_store(Counters& c, const BulkStore& o) {
  if (o.is_tensor)
    count_tensor(c, o, true);
  else
    c.global_range(reinterpret_cast<uint64_t>(o.to), o.bytes, true);
}

// Places in the list of a bulk copy.
struct BulkPlaces {
  uint32_t source, source_offset;     // the address in global memory, or of the tensor map
  uint32_t barrier, barrier_offset;   // or the source in shared memory of a store
  uint32_t size;                      // of a copy without a tensor map
  uint32_t x, y, blocks;
};
enum BulkFlag : uint32_t { kTensor = 8, kMulticast = 16, kFromShared = 32, kWideBarrier = 64 };
const BulkPlaces& places_of(Warp& w, const Step& s) { return *reinterpret_cast<const BulkPlaces*>(w.list(s)); }
uint64_t source_of(Warp& w, const Step& s, int k) {
  const BulkPlaces& p = places_of(w, s);
  return w.lanes<uint64_t>(p.source)[k] + w.lanes<uint64_t>(p.source_offset)[k];
}

void bulk_load(Warp& w, const Step& s) {
  const BulkPlaces& p = places_of(w, s);
  Cluster& cluster = *w.block().cluster;
  uint64_t to[32];
  gather_addresses(w, s, to);
  each_lane(w.mask, [&](int k) {
    BulkLoad o{&s, &w, nullptr, 0, 0, nullptr, (s.flags & kTensor) != 0, {}, 0, 0, nullptr};
    uint32_t align = 16;
    if (o.is_tensor) {
      o.map = read_map(w, s, unsigned(k), source_of(w, s, k));
      o.bytes = box_bytes(o.map);
      o.x = w.lanes<int32_t>(p.x)[k];
      o.y = w.lanes<int32_t>(p.y)[k];
      align = o.map.swizzle ? 1024 : 128;
    } else {
      o.bytes = w.lanes<uint32_t>(p.size)[k];
      o.from = take_source(w, s, unsigned(k), source_of(w, s, k), o.bytes);
    }
    const uint64_t address = to[k];
    const uint32_t barrier = w.lanes<uint32_t>(p.barrier)[k] + w.lanes<uint32_t>(p.barrier_offset)[k];
    auto* first_barrier =
        reinterpret_cast<uint64_t*>(cluster.shared_address(w, s, unsigned(k), barrier, sizeof(uint64_t)));
    auto* first = cluster.shared_address(w, s, unsigned(k), uint32_t(address), 1);
    Block* const block = cluster.shared_at(reinterpret_cast<uint64_t>(first));
    o.offset = uint32_t(first - block->shared);
    check_box(w, s, o.offset, o.bytes, align, "the copy");
    if (Counters* c = w.block().counters())
      count_load(*c, o);
    const ptrdiff_t barrier_offset = reinterpret_cast<unsigned char*>(first_barrier) -
                                     cluster.shared_at(reinterpret_cast<uint64_t>(first_barrier))->shared;
    uint32_t blocks = 1u << block->rank;
    if (s.flags & kMulticast)
      blocks = w.lanes<uint32_t>(p.blocks)[k] & 0xffff;
    if (!blocks || blocks >> cluster.blocks.size())
      fail(w, s, "the copy goes to blocks %04x of a cluster of %zu", blocks, cluster.blocks.size());
    each_lane(blocks, [&](int r) {
      o.block = &cluster.blocks[size_t(r)];
      o.barrier = s.flags & kMulticast ? reinterpret_cast<uint64_t*>(o.block->shared + barrier_offset) : first_barrier;
      if (!Mbar(*o.barrier).valid)
        fail(w, s, "the copy's mbarrier in block %d is not initialised", r);
      check_readers(w, s, *o.block, o.offset, o.offset + o.bytes, "the copy overwrites");
      check_fenced(w, s, *o.block, o.offset, o.offset + o.bytes, "the copy overwrites");
      queue_load(cluster, o);
    });
  });
}

// ---- bulk stores: they read shared memory and write global memory at the waits that promise it, no sooner
void do_read(Block& block, BulkStore& o) {
  o.data.resize(o.bytes);
  if (o.is_tensor)
    for_units(o.map, o.offset, o.x, o.y, [&](uint32_t at, int64_t, int64_t) {
      std::memcpy(o.data.data() + (at - o.offset), block.shared + at, 16);
    });
  else
    std::memcpy(o.data.data(), block.shared + o.offset, o.bytes);
  auto& readers = block.writes.readers;
  readers.erase(std::find_if(readers.begin(), readers.end(), [&](const SharedWrites::Reader& r) {
    return r.begin == o.offset && r.line == o.step->line;
  }));
  o.has_read = true;
}
void do_write(const BulkStore& o) {
  if (!o.is_tensor) {
    std::memcpy(o.to, o.data.data(), o.bytes);
    return;
  }
  for_units(o.map, o.offset, o.x, o.y, [&](uint32_t at, int64_t row, int64_t byte) {
    const Inside in = inside(o.map, row, byte);   // what lies outside the tensor is not written
    if (in.hi > in.lo)
      std::memcpy(
          const_cast<unsigned char*>(o.map.base) + row * o.map.stride + byte + in.lo,
          o.data.data() + (at - o.offset) + in.lo,
          size_t(in.hi - in.lo));
  });
}
void finish_stores(Warp& w, uint32_t mask, uint32_t keep, bool only_reads) {
  WarpAsync& async = async_of(w);
  for (BulkStore& o : async.stores) {
    const bool due = mask >> o.lane & 1 && o.group + keep < async.store_groups[o.lane];
    if (!due)
      continue;
    if (!o.has_read)
      do_read(w.block(), o);
    if (!only_reads) {
      do_write(o);
      o.bytes = 0;
    }
  }
  std::erase_if(async.stores, [](const BulkStore& o) { return !o.bytes; });
}
void bulk_store(Warp& w, const Step& s) {
  const BulkPlaces& p = places_of(w, s);
  WarpAsync& async = async_of(w);
  Block& block = w.block();
  each_lane(w.mask, [&](int k) {
    BulkStore o{&s, uint32_t(k), async.store_groups[k], 0, 0, (s.flags & kTensor) != 0, {}, 0, 0, nullptr, false, {}};
    o.offset = w.lanes<uint32_t>(p.barrier)[k] + w.lanes<uint32_t>(p.barrier_offset)[k];
    uint32_t align = 16;
    const uint64_t target = source_of(w, s, k);
    if (o.is_tensor) {
      o.map = read_map(w, s, unsigned(k), target);
      o.bytes = box_bytes(o.map);
      o.x = w.lanes<int32_t>(p.x)[k];
      o.y = w.lanes<int32_t>(p.y)[k];
      align = o.map.swizzle ? 1024 : 128;
    } else {
      o.bytes = w.lanes<uint32_t>(p.size)[k];
      o.to = const_cast<unsigned char*>(take_source(w, s, unsigned(k), target, o.bytes));
    }
    check_box(w, s, o.offset, o.bytes, align, "the store's source");
    check_fenced(w, s, block, o.offset, o.offset + o.bytes, "the store reads");
    if (Counters* c = block.counters())
      count_store(*c, o);
    block.writes.readers.push_back({o.offset, o.offset + o.bytes, s.line});
    async.stores.push_back(std::move(o));
  });
}
void commit_stores(Warp& w, const Step&) {
  WarpAsync& async = async_of(w);
  each_lane(w.mask, [&](int k) { ++async.store_groups[k]; });
  if (!is_late(*w.block().cluster))
    finish_stores(w, w.mask, 0, false);
}
void wait_stores(Warp& w, const Step& s) { finish_stores(w, w.mask, uint32_t(s.value), s.flags != 0); }

// ---- building
void build_lane_copy(Builder& b) {
  const bool whole = b.take_one_of({"ca", "cg"}) == 1;
  if (!b.take("shared") && !b.take("shared::cta"))
    b.fail("expected .shared");
  if (!b.take("global"))
    b.fail("expected .global");
  while (b.peek().starts_with("L2::"))
    b.skip_modifier();
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
void build_wait_group(Builder& b, Run run, uint32_t flags) {
  b.expect_operands(1);
  const int64_t keep = b.read_immediate(0, 0, 1 << 20);
  Step& s = b.emit(run);
  s.value = keep;
  s.flags = flags;
}
void build_copies_arrive(Builder& b) {
  if (!b.take("arrive"))
    b.fail("expected .arrive");
  const bool counts = b.take("noinc");
  const bool generic = b.take_one_of({"shared", "shared::cta"}) < 0;
  if (b.take_type() != Type::B64)
    b.fail("expected .b64");
  b.expect_operands(1);
  const MemoryOperand m = b.memory(0);
  Step& s = b.emit(&arrive_after_copies);
  set_address(s, m);
  s.flags |= generic ? kGenericBarrier : 0u;
  s.c = counts;
}

void set_shared(Builder& b, BulkPlaces& p, const MemoryOperand& m, const Operand& o) {
  if (m.wide && !m.is_fixed)
    b.fail(o, "an address in shared memory has 32 bits here");
  p.barrier = m.wide ? b.constant(m.fixed, false) : m.base;
  p.barrier_offset = b.constant(uint64_t(m.offset), false);
}
void set_coordinates(Builder& b, BulkPlaces& p, const MemoryOperand& m) {
  if (!m.coordinates || m.coordinates->parts.size() != 2)
    b.fail("expected two coordinates");
  p.x = b.read(m.coordinates->parts[0], Type::S32);
  p.y = b.read(m.coordinates->parts[1], Type::S32);
}
void set_source(Builder& b, BulkPlaces& p, const MemoryOperand& m) {
  p.source = m.base;
  p.source_offset = b.constant(uint64_t(m.offset), true);
}
uint32_t list_of(Builder& b, const BulkPlaces& p) {
  return b.list({p.source, p.source_offset, p.barrier, p.barrier_offset, p.size, p.x, p.y, p.blocks});
}
void skip_policy(Builder& b) {
  while (b.peek().starts_with("L2::"))
    b.skip_modifier();
}

// [to], [map, {x, y}] or [from], size; [mbarrier]{, blocks}
void build_bulk_load(Builder& b, bool tensor) {
  if (tensor)
    b.take("tile");
  if (!b.take("mbarrier::complete_tx::bytes"))
    b.fail("expected .mbarrier::complete_tx::bytes");
  const bool multicast = b.take("multicast::cluster");
  skip_policy(b);
  const size_t barrier_at = tensor ? 2 : 3;
  b.expect_operands(barrier_at + (multicast ? 2 : 1), barrier_at + 3);
  BulkPlaces p{};
  const MemoryOperand to = b.memory(0);
  const MemoryOperand from = b.memory(1);
  set_source(b, p, from);
  if (tensor)
    set_coordinates(b, p, from);
  else
    p.size = b.read(2, Type::U32);
  set_shared(b, p, b.memory(barrier_at), b.operand(barrier_at));
  if (multicast)
    p.blocks = b.read(barrier_at + 1, Type::B16);
  const uint32_t list = list_of(b, p);
  b.use_async_proxy();
  Step& s = b.emit(&bulk_load);
  set_address(s, to);
  s.list = list;
  s.flags |= (tensor ? kTensor : 0u) | (multicast ? uint32_t(kMulticast) : 0u);
}
// [map, {x, y}] or [to], [from]{, size}
void build_bulk_store(Builder& b, bool tensor) {
  if (tensor)
    b.take("tile");
  if (!b.take("bulk_group"))
    b.fail("expected .bulk_group");
  skip_policy(b);
  b.expect_operands(tensor ? 2 : 3, 4);
  BulkPlaces p{};
  const MemoryOperand to = b.memory(0);
  set_source(b, p, to);
  if (tensor)
    set_coordinates(b, p, to);
  else
    p.size = b.read(2, Type::U32);
  set_shared(b, p, b.memory(1), b.operand(1));
  const uint32_t list = list_of(b, p);
  b.use_async_proxy();
  Step& s = b.emit(&bulk_store);
  s.list = list;
  s.flags |= tensor ? kTensor : 0u;
}
void build_bulk(Builder& b) {
  if (b.take("commit_group")) {
    b.expect_operands(0);
    b.emit(&commit_stores);
    return;
  }
  if (b.take("wait_group")) {
    const bool only_reads = b.take("read");
    return build_wait_group(b, &wait_stores, only_reads);
  }
  if (b.take("prefetch")) {
    b.skip_modifiers();
    b.emit(&do_nothing);
    return;
  }
  const bool tensor = b.take("tensor");
  if (tensor && !b.take("2d"))
    b.fail("tensors of two dimensions are supported");
  if (b.take("shared::cluster")) {
    if (!b.take("global"))
      b.fail("copies into shared memory come from .global here");
    return build_bulk_load(b, tensor);
  }
  if (!b.take("global") || !b.take("shared::cta"))
    b.fail("expected .shared::cluster.global or .global.shared::cta");
  build_bulk_store(b, tensor);
}
void build_cp(Builder& b) {
  if (!b.take("async"))
    b.fail("expected .async");
  if (b.take("bulk"))
    return build_bulk(b);
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
    return build_copies_arrive(b);
  build_lane_copy(b);
}

constexpr InstructionRow kRows[] = {{"cp", StepClass::Async, build_cp}};
}   // namespace

InstructionTable async_instructions() { return {kRows, std::size(kRows)}; }

// ---- the cluster's part
void make_some_copies(Cluster& cluster) {
  std::vector<BulkLoad>& soon = cluster.copies.soon;
  if (soon.empty() || !(cluster.random() & 1))
    return;
  std::swap(soon[cluster.random() % soon.size()], soon.back());
  const BulkLoad o = soon.back();
  soon.pop_back();
  do_load(cluster, o);
}
bool make_late_copy(Cluster& cluster) {
  for (std::vector<BulkLoad>* list : {&cluster.copies.soon, &cluster.copies.late})
    if (!list->empty()) {
      const BulkLoad o = list->front();
      list->erase(list->begin());
      do_load(cluster, o);
      return true;
    }
  return false;
}
void finish_warp(Warp& w) {
  WarpAsync& async = async_of(w);
  for (uint32_t& g : async.groups)
    ++g;
  finish_lane_copies(async, ~0u, 0);
  for (const BulkStore& o : async.stores)
    if (!o.has_read) {
      w.mask = 1u << o.lane;
      fail(w, *o.step, "the thread ends before this bulk store has read its shared memory (wait_group.read)");
    }
  for (uint32_t& g : async.store_groups)
    ++g;
  finish_stores(w, ~0u, 0, false);
  w.mask = ~0u;
  publish_writes(w);
}
void finish_copies(Cluster& cluster) {
  if (const std::vector<BulkLoad>& late = cluster.copies.late; !late.empty())
    fail(*late[0].warp, *late[0].step, "the block ends before this copy into it");
  if (const std::vector<BulkLoad>& soon = cluster.copies.soon; !soon.empty())
    fail(*soon[0].warp, *soon[0].step, "the block ends before this copy into it");
}

// ---- writes of threads
void mark_writes(Warp& w, const Step& s, const uint64_t* at, unsigned bytes) {
  Block& own = w.block();
  if (own.writes.writer.empty())
    own.writes.writer.resize(own.cluster->shared_bytes / 4 + 1);
  each_lane(w.mask, [&](int k) {
    const uint64_t offset = at[k] - reinterpret_cast<uint64_t>(own.shared);
    if (offset >= own.cluster->shared_bytes)
      return;   // another block's
    check_readers(w, s, own, uint32_t(offset), uint32_t(offset + bytes), "this write goes to");
    for (uint64_t i = offset / 4; i < (offset + bytes + 3) / 4; ++i)
      own.writes.writer[i] = uint16_t(w.index() * 32 + unsigned(k) + 1);
  });
}
void publish_writes(Warp& w) {
  for (uint16_t& writer : w.block().writes.writer) {
    const unsigned thread = writer - 1u;
    if (writer && thread / 32 == w.index() && w.mask >> thread % 32 & 1)
      writer = 0;
  }
}
}   // namespace spectral::cpu::ptx
