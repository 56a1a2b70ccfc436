// Copies into shared memory, from global memory or from another block of the cluster, that complete on an mbarrier. PTX
// ISA, "cp.async.bulk", "cp.async.bulk.tensor", "cp.reduce.async.bulk".
#include "barriers.h"
#include "bulk_operands.h"

namespace spectral::cpu::ptx {
namespace {
// All bytes of the box are reported, also those outside the tensor ("Tensors", "Out-of-boundary access").
void do_load(Cluster& cluster, const BulkLoad& o) {
  if (!o.block->live_warps)
    fail(*o.warp, *o.step, "block %u of the cluster ended before this copy into it", o.block->rank);
  unsigned char* shared = o.block->shared;
  if (o.box) {
    const TensorMapCpu& map = o.box->map;
    for_units(map, o.offset, o.box->at, [&](uint32_t at, int64_t row, int64_t byte) {
      const Inside in = inside(map, row, byte);
      fill_outside(map, shared + at);
      if (in.hi > in.lo)
        std::memcpy(shared + at + in.lo, map.base + row + byte + in.lo, size_t(in.hi - in.lo));
    });
  } else {
    const unsigned char* from = o.data.empty() ? o.from : o.data.data();
    if (o.reduction)
      o.reduction(shared + o.offset, from, o.bytes);
    else
      std::memmove(shared + o.offset, from, o.bytes);
  }
  if (o.source)
    end_reader(*o.source, uint32_t(o.from - o.source->shared), *o.step);
  Mbar m(*o.barrier);
  if (!m.valid)
    fail(*o.warp, *o.step, "the copy's mbarrier was overwritten before the copy completed");
  add_transactions(*o.warp, *o.step, m, -int64_t(o.bytes));
  cluster.arrive_at_phase(o.barrier, o.done);
  store_barrier(cluster, o.barrier, m);
}
// The source of a copy within a cluster, in the shared memory of the own block.
void take_own_source(Warp& w, const Step& s, int lane, BulkLoad& o) {
  const BulkPlaces& p = places_of(w, s);
  Block& own = w.block();
  const uint32_t address = w.lanes<uint32_t>(p.far)[lane] + w.lanes<uint32_t>(p.far_offset)[lane];
  check_size(w, s, unsigned(lane), address, o.bytes);
  o.from = own.cluster->shared_address(w, s, unsigned(lane), address, o.bytes);
  if (own.cluster->shared_at(reinterpret_cast<uint64_t>(o.from)) != &own)
    fail(w, s, "the copy's source is in another block's shared memory; it is .shared::cta");
  const auto offset = uint32_t(o.from - own.shared);
  check_fenced(w, s, own, offset, offset + o.bytes, "the copy reads");
  own.writes.readers.push_back({offset, offset + o.bytes, s.line});
  o.source = &own;
}
void count(Counters& c, const BulkLoad& o, unsigned blocks) {
  if (o.source)
    c.async_shared_bytes += o.bytes;
  else
    count_bulk(c.global_read, o.box, o.from, o.bytes);
  c.async_shared_bytes += uint64_t(blocks) * o.bytes;
}
void bulk_load(Warp& w, const Step& s) {
  const BulkPlaces& p = places_of(w, s);
  Cluster& cluster = *w.block().cluster;
  uint64_t to[32];
  gather_addresses(w, s, to);
  each_lane(w.mask, [&](int k) {
    BulkLoad o{&s, &w};
    if (w.chain)
      o.done = w.chain->copy_done();
    uint32_t align = 16;
    if (s.flags & kTensor) {
      take_box(w, s, k, o.box.emplace());
      o.bytes = box_bytes(o.box->map);
      o.extent = box_extent(o.box->map);
      align = 128;
    } else {
      o.extent = o.bytes = w.lanes<uint32_t>(p.size)[k];
      if (s.flags & kWithinCluster)
        take_own_source(w, s, k, o);
      else
        o.from = take_global_end(w, s, unsigned(k), far_of(w, s, k), o.bytes);
    }
    o.reduction = reduction_of(w, s, o.box, true);
    auto* first_barrier =
        reinterpret_cast<uint64_t*>(cluster.shared_address(w, s, unsigned(k), shared_of(w, s, k), sizeof(uint64_t)));
    auto* first = cluster.shared_address(w, s, unsigned(k), uint32_t(to[k]), 1);
    Block* const block = cluster.shared_at(reinterpret_cast<uint64_t>(first));
    o.offset = uint32_t(first - block->shared);
    check_shared_end(w, s, o.offset, o.extent, align, "the copy");
    const ptrdiff_t barrier_offset = reinterpret_cast<unsigned char*>(first_barrier) -
                                     cluster.shared_at(reinterpret_cast<uint64_t>(first_barrier))->shared;
    uint32_t blocks = 1u << block->rank;
    if (s.flags & kMulticast)
      blocks = w.lanes<uint32_t>(p.blocks)[k] & 0xffff;
    if (!blocks || blocks >> cluster.blocks.size())
      fail(w, s, "the copy goes to blocks %04x of a cluster of %zu", blocks, cluster.blocks.size());
    if (Counters* c = w.block().counters())
      count(*c, o, unsigned(std::popcount(blocks)));
    each_lane(blocks, [&](int r) {
      o.block = &cluster.blocks[size_t(r)];
      o.barrier = s.flags & kMulticast ? reinterpret_cast<uint64_t*>(o.block->shared + barrier_offset) : first_barrier;
      if (!Mbar(*o.barrier).valid)
        fail(w, s, "the copy's mbarrier in block %d is not initialised", r);
      check_init_fenced(w, s, *cluster.shared_at(reinterpret_cast<uint64_t>(o.barrier)), o.barrier);
      check_readers(w, s, *o.block, o.offset, o.offset + o.extent, "the copy overwrites");
      check_fenced(w, s, *o.block, o.offset, o.offset + o.extent, "the copy overwrites");
      queue_load(cluster, o);
    });
  });
}
}   // namespace

void queue_load(Cluster& cluster, const BulkLoad& o) {
  const uint32_t when = options.eager ? 0 : options.seed ? cluster.random() % 3 : 2;   // at once, at random, late
  if (when == 0)
    do_load(cluster, o);
  else
    (when == 1 ? cluster.copies.soon : cluster.copies.late).push_back(o);
}

// [to], [map, {coordinates}] or [from], size; [mbarrier]{, blocks}
void build_bulk_load(Builder& b, size_t rank, bool within_cluster, bool reduces) {
  take_tile_mode(b, rank);
  if (!b.take("mbarrier::complete_tx::bytes"))
    b.fail("expected .mbarrier::complete_tx::bytes");
  const bool multicast = !within_cluster && b.take("multicast::cluster");
  if (!within_cluster)
    b.skip_cache_hints();
  BulkPlaces p{};
  if (reduces)
    take_reduction(b, p, true, true);
  const size_t barrier_at = rank ? 2 : 3;
  b.expect_operands(barrier_at + (multicast ? 2 : 1), barrier_at + (within_cluster ? 1 : 3));
  const MemoryOperand to = b.memory(0);
  if (within_cluster) {
    set_shared_address(b, 1, &p.far, &p.far_offset);
    p.size = b.read(2, Type::U32);
  } else {
    set_global_end(b, p, b.memory(1), rank);
  }
  set_shared_address(b, barrier_at, &p.shared, &p.shared_offset);
  if (multicast)
    p.blocks = b.read(barrier_at + 1, Type::B16);
  const uint32_t list = list_of(b, p);
  b.use_async_proxy();
  Step& s = b.emit(&bulk_load);
  set_address(s, to);
  s.c = uint32_t(rank);
  s.list = list;
  s.flags |= (rank ? kTensor : 0u) | (multicast ? kMulticast : 0u) | (within_cluster ? kWithinCluster : 0u);
}

// ---- the cluster's part
void make_some_copies(Cluster& cluster) {
  make_some_arrival(cluster);
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
  return make_late_arrival(cluster);
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
