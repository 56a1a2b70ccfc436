// Copies from shared to global memory, in bulk groups: they read shared memory and write global memory at the waits
// that promise it, no sooner. PTX ISA, "cp.async.bulk", "cp.async.bulk.tensor", "cp.reduce.async.bulk".
#include "barriers.h"
#include "bulk_operands.h"

namespace spectral::cpu::ptx {
namespace {
void do_read(Block& block, BulkStore& o) {
  o.data.resize(o.extent);
  if (o.box)
    for_units(o.box->map, o.offset, o.box->at, [&](uint32_t at, int64_t, int64_t) {
      std::memcpy(o.data.data() + (at - o.offset), block.shared + at, 16);
    });
  else
    std::memcpy(o.data.data(), block.shared + o.offset, o.extent);
  end_reader(block, o.offset, *o.step);
}
void do_write(const BulkStore& o) {
  auto write = [&](unsigned char* to, const unsigned char* from, size_t bytes) {
    if (o.reduction)
      o.reduction(to, from, bytes);
    else
      std::memcpy(to, from, bytes);
  };
  if (!o.box)
    return write(o.to, o.data.data(), o.extent);
  for_units(o.box->map, o.offset, o.box->at, [&](uint32_t at, int64_t row, int64_t byte) {
    const Inside in = inside(o.box->map, row, byte);   // what lies outside the tensor is not written
    if (in.hi > in.lo)
      write(
          const_cast<unsigned char*>(o.box->map.base) + row + byte + in.lo,
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
    if (o.data.empty())
      do_read(w.block(), o);
    if (!only_reads) {
      do_write(o);
      o.is_done = true;
    }
  }
  std::erase_if(async.stores, [](const BulkStore& o) { return o.is_done; });
}
void bulk_store(Warp& w, const Step& s) {
  WarpAsync& async = async_of(w);
  Block& block = w.block();
  each_lane(w.mask, [&](int k) {
    BulkStore o{&s, uint32_t(k), async.store_groups[k]};
    o.offset = shared_of(w, s, k);
    uint32_t align = 16;
    if (s.flags & kTensor) {
      take_box(w, s, k, o.box.emplace());
      o.extent = box_extent(o.box->map);
      align = 128;
    } else {
      o.extent = w.lanes<uint32_t>(places_of(w, s).size)[k];
      o.to = take_global_end(w, s, unsigned(k), far_of(w, s, k), o.extent);
    }
    o.reduction = reduction_of(w, s, o.box, false);
    check_shared_end(w, s, o.offset, o.extent, align, "the store's source");
    check_fenced(w, s, block, o.offset, o.offset + o.extent, "the store reads");
    if (Counters* c = block.counters()) {
      count_bulk(c->global_write, o.box, o.to, o.extent);
      if (o.reduction)
        count_bulk(c->global_read, o.box, o.to, o.extent);
      c->async_shared_bytes += o.box ? box_bytes(o.box->map) : o.extent;
    }
    block.writes.readers.push_back({o.offset, o.offset + o.extent, s.line});
    async.stores.push_back(std::move(o));
  });
}
}   // namespace

void commit_bulk_stores(Warp& w, const Step&) {
  WarpAsync& async = async_of(w);
  each_lane(w.mask, [&](int k) { ++async.store_groups[k]; });
  if (!is_late(*w.block().cluster))
    finish_stores(w, w.mask, 0, false);
}
void wait_bulk_stores(Warp& w, const Step& s) { finish_stores(w, w.mask, uint32_t(s.value), s.flags != 0); }

void finish_all_stores(Warp& w) {
  WarpAsync& async = async_of(w);
  for (const BulkStore& o : async.stores)
    if (o.data.empty()) {
      w.mask = 1u << o.lane;
      fail(w, *o.step, "the thread ends before this bulk store has read its shared memory (wait_group.read)");
    }
  for (uint32_t& g : async.store_groups)
    ++g;
  finish_stores(w, ~0u, 0, false);
}

// [map, {coordinates}] or [to], [from]{, size}
void build_bulk_store(Builder& b, size_t rank, bool reduces) {
  BulkPlaces p{};
  if (rank && reduces)
    take_reduction(b, p, false, false);
  take_tile_mode(b, rank);
  if (!b.take("bulk_group"))
    b.fail("expected .bulk_group");
  b.skip_cache_hints();
  if (!rank && reduces)
    take_reduction(b, p, true, false);
  b.expect_operands(rank ? 2 : 3, 4);
  set_global_end(b, p, b.memory(0), rank);
  set_shared_address(b, 1, &p.shared, &p.shared_offset);
  const uint32_t list = list_of(b, p);
  b.use_async_proxy();
  Step& s = b.emit(&bulk_store);
  s.c = uint32_t(rank);
  s.list = list;
  s.flags |= rank ? kTensor : 0u;
}
}   // namespace spectral::cpu::ptx
