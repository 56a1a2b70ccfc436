// Copies of blocks of memory and of boxes of tensors. PTX ISA, "Data Movement and Conversion: cp.async.bulk,
// cp.async.bulk.tensor".
#include "../tensor_copy.h"
#include "access.h"
#include "async.h"
#include "barriers.h"
#include "builder.h"
#include <algorithm>

namespace spectral::cpu::ptx {
namespace {
// ---- bulk loads: "cp.async.bulk", "cp.async.bulk.tensor"; the whole box's bytes are reported, also from outside the
// tensor ("Tensors", "Out-of-boundary access")
void do_load(Cluster& cluster, const BulkLoad& o) {
  if (!o.block->live_warps)
    fail(*o.warp, *o.step, "block %u of the cluster ended before this copy into it", o.block->rank);
  unsigned char* shared = o.block->shared;
  if (!o.is_tensor)
    std::memcpy(shared + o.offset, o.from, o.bytes);
  else
    for_units(o.map, o.offset, o.at, [&](uint32_t at, int64_t row, int64_t byte) {
      const Inside in = inside(o.map, row, byte);
      fill_outside(o.map, shared + at);
      if (in.hi > in.lo)
        std::memcpy(shared + at + in.lo, o.map.base + row + byte + in.lo, size_t(in.hi - in.lo));
    });
  Mbar m(*o.barrier);
  if (!m.valid)
    fail(*o.warp, *o.step, "the copy's mbarrier was overwritten before the copy completed");
  add_transactions(*o.warp, *o.step, m, -int64_t(o.bytes));
  cluster.arrive_at_phase(o.barrier, o.done);
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
// That the part of a box which the tensor has lies in one allocation.
void check_tensor(Warp& w, const Step& s, unsigned lane, const TensorMapCpu& t, const int* coordinates) {
  if (const BoxInTensor in = box_in_tensor(t, coordinates); in.first < in.end)
    w.block().cluster->check_global(w, s, lane, in.first, in.end);
}
// prefetch.tensormap: a hint, of a map that must be one.
void prefetch_map(Warp& w, const Step& s) {
  uint64_t at[32];
  gather_addresses(w, s, at);
  each_lane(w.mask, [&](int k) { read_map(w, s, unsigned(k), at[k]); });
}
// "Tensors, Swizzling modes", and "TMA Swizzle" in CUDA's programming guide.
// What the box of a copy is in shared memory: aligned, with a swizzle or none, and inside the block's.
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
// The part of a box that lies inside the tensor, by planes of its first two dimensions.
template <class Copy>
void count_tensor(GlobalTraffic& t, const Copy& o) {
  const int64_t elem = o.map.elem;
  const int64_t first = std::max<int64_t>(0, o.at[0] * elem);
  const int64_t end = std::min(int64_t(o.map.dim[0]) * elem, (o.at[0] + int64_t(o.map.box[0])) * elem);
  const uint32_t per_plane = o.map.box[1];
  const uint64_t copies = t.bulk_copies;
  uint64_t rows = 0;
  int64_t start = 0;
  for_rows(o.map, o.at, [&](uint32_t r, int64_t row) {
    if (row != kOutside && end > first && !rows++)
      start = row + first;
    if ((r + 1) % per_plane || !rows)
      return;
    t.bulk(reinterpret_cast<uint64_t>(o.map.base) + uint64_t(start), uint64_t(end - first), rows, o.map.stride[0]);
    rows = 0;
  });
  t.bulk_copies = copies + 1;   // however many planes it has
}
template <class Copy>
void count_bulk(GlobalTraffic& t, const Copy& o, const void* global) {
  if (o.is_tensor)
    count_tensor(t, o);
  else
    t.bulk(reinterpret_cast<uint64_t>(global), o.bytes, 1, 0);
}

// Places in the list of a bulk copy.
struct BulkPlaces {
  uint32_t source, source_offset;     // the address in global memory, or of the tensor map
  uint32_t barrier, barrier_offset;   // or the source in shared memory of a store
  uint32_t size;                      // of a copy without a tensor map
  uint32_t coordinates[TensorMapCpu::kMaxRank];
  uint32_t blocks;
};
enum BulkFlag : uint32_t { kTensor = 8, kMulticast = 16, kFromShared = 32, kWideBarrier = 64 };
const BulkPlaces& places_of(Warp& w, const Step& s) { return *reinterpret_cast<const BulkPlaces*>(w.list(s)); }
uint64_t source_of(Warp& w, const Step& s, int k) {
  const BulkPlaces& p = places_of(w, s);
  return w.lanes<uint64_t>(p.source)[k] + w.lanes<uint64_t>(p.source_offset)[k];
}

// Bytes and coordinates of a copy by its tensor map.
template <class Copy>
void take_box(Warp& w, const Step& s, int lane, Copy& o) {
  const auto rank = int(s.c);
  if (o.map.rank != rank)
    fail(w, s, "a copy of %d dimensions, by a tensor map of %d", rank, o.map.rank);
  o.bytes = box_bytes(o.map);
  for (int d = 0; d < rank; ++d)
    o.at[d] = w.lanes<int32_t>(places_of(w, s).coordinates[d])[lane];
  check_tensor(w, s, unsigned(lane), o.map, o.at);
}

void bulk_load(Warp& w, const Step& s) {
  const BulkPlaces& p = places_of(w, s);
  Cluster& cluster = *w.block().cluster;
  uint64_t to[32];
  gather_addresses(w, s, to);
  each_lane(w.mask, [&](int k) {
    BulkLoad o{&s, &w, nullptr, 0, 0, nullptr, (s.flags & kTensor) != 0, {}, {}, nullptr, 0};
    if (w.chain)
      o.done = w.chain->copy_done();
    uint32_t align = 16;
    if (o.is_tensor) {
      o.map = read_map(w, s, unsigned(k), source_of(w, s, k));
      take_box(w, s, k, o);
      align = 128;
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
    const ptrdiff_t barrier_offset = reinterpret_cast<unsigned char*>(first_barrier) -
                                     cluster.shared_at(reinterpret_cast<uint64_t>(first_barrier))->shared;
    uint32_t blocks = 1u << block->rank;
    if (s.flags & kMulticast)
      blocks = w.lanes<uint32_t>(p.blocks)[k] & 0xffff;
    if (!blocks || blocks >> cluster.blocks.size())
      fail(w, s, "the copy goes to blocks %04x of a cluster of %zu", blocks, cluster.blocks.size());
    if (Counters* c = w.block().counters()) {
      count_bulk(c->global_read, o, o.from);
      c->async_shared_bytes += uint64_t(std::popcount(blocks)) * o.bytes;
    }
    each_lane(blocks, [&](int r) {
      o.block = &cluster.blocks[size_t(r)];
      o.barrier = s.flags & kMulticast ? reinterpret_cast<uint64_t*>(o.block->shared + barrier_offset) : first_barrier;
      if (!Mbar(*o.barrier).valid)
        fail(w, s, "the copy's mbarrier in block %d is not initialised", r);
      check_init_fenced(w, s, *cluster.shared_at(reinterpret_cast<uint64_t>(o.barrier)), o.barrier);
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
    for_units(o.map, o.offset, o.at, [&](uint32_t at, int64_t, int64_t) {
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
  for_units(o.map, o.offset, o.at, [&](uint32_t at, int64_t row, int64_t byte) {
    const Inside in = inside(o.map, row, byte);   // what lies outside the tensor is not written
    if (in.hi > in.lo)
      std::memcpy(
          const_cast<unsigned char*>(o.map.base) + row + byte + in.lo,
          o.data.data() + (at - o.offset) + in.lo,
          size_t(in.hi - in.lo));
  });
}
// "cp.async.bulk.commit_group", "cp.async.bulk.wait_group": all groups but the newest `keep`; with .read, their reads.
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
    BulkStore o{&s, uint32_t(k), async.store_groups[k], 0, 0, (s.flags & kTensor) != 0, {}, {}, nullptr, false, {}};
    o.offset = w.lanes<uint32_t>(p.barrier)[k] + w.lanes<uint32_t>(p.barrier_offset)[k];
    uint32_t align = 16;
    const uint64_t target = source_of(w, s, k);
    if (o.is_tensor) {
      o.map = read_map(w, s, unsigned(k), target);
      take_box(w, s, k, o);
      align = 128;
    } else {
      o.bytes = w.lanes<uint32_t>(p.size)[k];
      o.to = const_cast<unsigned char*>(take_source(w, s, unsigned(k), target, o.bytes));
    }
    check_box(w, s, o.offset, o.bytes, align, "the store's source");
    check_fenced(w, s, block, o.offset, o.offset + o.bytes, "the store reads");
    if (Counters* c = block.counters()) {
      count_bulk(c->global_write, o, o.to);
      c->async_shared_bytes += o.bytes;
    }
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
void set_shared(Builder& b, BulkPlaces& p, const MemoryOperand& m, const Operand& o) {
  if (m.wide && !m.is_fixed)
    b.fail(o, "an address in shared memory has 32 bits here");
  p.barrier = m.wide ? b.constant(m.fixed, false) : m.base;
  p.barrier_offset = b.constant(uint64_t(m.offset), false);
}
void set_coordinates(Builder& b, BulkPlaces& p, const MemoryOperand& m, size_t rank) {
  if (!m.coordinates || m.coordinates->parts.size() != rank)
    b.fail("expected " + std::to_string(rank) + " coordinates");
  for (size_t d = 0; d < rank; ++d)
    p.coordinates[d] = b.read(m.coordinates->parts[d], Type::S32);
}
void set_source(Builder& b, BulkPlaces& p, const MemoryOperand& m) {
  p.source = m.base;
  p.source_offset = b.constant(uint64_t(m.offset), true);
}
uint32_t list_of(Builder& b, const BulkPlaces& p) {
  std::vector<uint32_t> places = {p.source, p.source_offset, p.barrier, p.barrier_offset, p.size};
  places.insert(places.end(), std::begin(p.coordinates), std::end(p.coordinates));
  places.push_back(p.blocks);
  return b.list(places);
}

void take_mode(Builder& b, size_t tensor) {
  if (b.peek().starts_with("im2col"))
    b.fail("copies in .im2col mode are not supported");
  if (tensor)
    b.take("tile");
}

// [to], [map, {coordinates}] or [from], size; [mbarrier]{, blocks}. `tensor`: its rank, 0: a copy without a map
void build_bulk_load(Builder& b, size_t tensor) {
  take_mode(b, tensor);
  if (!b.take("mbarrier::complete_tx::bytes"))
    b.fail("expected .mbarrier::complete_tx::bytes");
  const bool multicast = b.take("multicast::cluster");
  b.skip_cache_hints();
  const size_t barrier_at = tensor ? 2 : 3;
  b.expect_operands(barrier_at + (multicast ? 2 : 1), barrier_at + 3);
  BulkPlaces p{};
  const MemoryOperand to = b.memory(0);
  const MemoryOperand from = b.memory(1);
  set_source(b, p, from);
  if (tensor)
    set_coordinates(b, p, from, tensor);
  else
    p.size = b.read(2, Type::U32);
  set_shared(b, p, b.memory(barrier_at), b.operand(barrier_at));
  if (multicast)
    p.blocks = b.read(barrier_at + 1, Type::B16);
  const uint32_t list = list_of(b, p);
  b.use_async_proxy();
  Step& s = b.emit(&bulk_load);
  set_address(s, to);
  s.c = uint32_t(tensor);
  s.list = list;
  s.flags |= (tensor ? kTensor : 0u) | (multicast ? uint32_t(kMulticast) : 0u);
}
// [map, {coordinates}] or [to], [from]{, size}
void build_bulk_store(Builder& b, size_t tensor) {
  take_mode(b, tensor);
  if (!b.take("bulk_group"))
    b.fail("expected .bulk_group");
  b.skip_cache_hints();
  b.expect_operands(tensor ? 2 : 3, 4);
  BulkPlaces p{};
  const MemoryOperand to = b.memory(0);
  set_source(b, p, to);
  if (tensor)
    set_coordinates(b, p, to, tensor);
  else
    p.size = b.read(2, Type::U32);
  set_shared(b, p, b.memory(1), b.operand(1));
  const uint32_t list = list_of(b, p);
  b.use_async_proxy();
  Step& s = b.emit(&bulk_store);
  s.c = uint32_t(tensor);
  s.list = list;
  s.flags |= tensor ? kTensor : 0u;
}
}   // namespace

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
  size_t tensor = 0;
  if (b.take("tensor")) {
    tensor = size_t(1 + b.take_one_of({"1d", "2d", "3d", "4d", "5d"}));
    if (!tensor)
      b.fail("expected a number of dimensions, .1d to .5d");
  }
  if (b.take("shared::cluster")) {
    if (!b.take("global"))
      b.fail("copies into shared memory come from .global here");
    return build_bulk_load(b, tensor);
  }
  if (!b.take("global") || !b.take("shared::cta"))
    b.fail("expected .shared::cluster.global or .global.shared::cta");
  build_bulk_store(b, tensor);
}

void build_map_prefetch(Builder& b) {
  b.expect_operands(1);
  const Target target = take_target(b, b.operand(0), Space::Generic);
  Step& s = b.emit(&prefetch_map);
  set_address(s, target.memory);
}

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
void finish_all_stores(Warp& w) {
  WarpAsync& async = async_of(w);
  for (const BulkStore& o : async.stores)
    if (!o.has_read) {
      w.mask = 1u << o.lane;
      fail(w, *o.step, "the thread ends before this bulk store has read its shared memory (wait_group.read)");
    }
  for (uint32_t& g : async.store_groups)
    ++g;
  finish_stores(w, ~0u, 0, false);
}
void finish_copies(Cluster& cluster) {
  for (const Block& block : cluster.blocks)
    check_limits(block);
  if (const std::vector<BulkLoad>& late = cluster.copies.late; !late.empty())
    fail(*late[0].warp, *late[0].step, "the block ends before this copy into it");
  if (const std::vector<BulkLoad>& soon = cluster.copies.soon; !soon.empty())
    fail(*soon[0].warp, *soon[0].step, "the block ends before this copy into it");
}
}   // namespace spectral::cpu::ptx
