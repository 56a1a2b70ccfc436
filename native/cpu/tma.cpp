// TMA: loads are queued, and done when nothing else can run (or at a random moment of a shuffled schedule); stores read
// shared memory and write global memory at the waits that promise it, no sooner. What threads write reaches the
// asynchronous proxy only through a fence, so a store of words that their writer has not fenced is a fault, and so is
// overwriting what a store may still read.
#include "mbarrier.h"
#include "memory.h"
#include "tensor_copy.h"

namespace spectral::cpu {
namespace {
TensorMapCpu check_map(Worker& k, const TensorMap* map, const Where& w) {
  if (reinterpret_cast<uintptr_t>(map) % alignof(TensorMap))
    k.fail(&w, "TMA: the tensor map at %p is not at a multiple of 64 bytes", static_cast<const void*>(map));
  const TensorMapCpu t = decode(*map);
  if (t.magic != TensorMapCpu::kMagic)
    k.fail(&w, "TMA: the tensor map was not encoded");
  if (t.rank != 2)
    k.fail(&w, "TMA: a copy of two dimensions, by a tensor map of %d", t.rank);
  return t;
}
void check_memory(Worker& k, const TensorMapCpu& t, int x, int y, const Where& w) {
  const int coordinates[TensorMapCpu::kMaxRank] = {x, y};
  const BoxInTensor in = box_in_tensor(t, coordinates);
  if (in.first < in.end && !inside_allocation(in.first, in.end - in.first))
    k.fail(
        &w,
        "TMA: the box at column %d, row %d of the tensor covers addresses 0x%llx to 0x%llx, which no allocation has",
        x,
        y,
        static_cast<unsigned long long>(in.first),
        static_cast<unsigned long long>(in.end - 1));
}
uint32_t check_box(Worker& k, const TensorMapCpu& t, const void* shared, const char* what, const Where& w) {
  const uint32_t offset = own_offset(shared, w);
  const uint32_t bytes = box_extent(t);
  // TMA asks for 128; our descriptors of tiles state no offset into the pattern, so swizzled ones start where it does
  if (offset % (t.swizzle ? 1024 : 128))
    k.fail(&w, "TMA: %s at shared offset %u is not aligned for its swizzle", what, offset);
  if (offset + bytes > k.smem_size)
    k.fail(&w, "TMA: box of %u bytes at shared offset %u ends outside shared memory (%zu)", bytes, offset, k.smem_size);
  return offset;
}
void check_readers(Worker& k, const Cta& cta, uint32_t begin, uint32_t end, const char* what, const Where& w) {
  for (const Cta::Reader& r : cta.readers)
    if (begin < r.end && r.begin < end)
      k.fail(
          &w,
          "%s at shared offset %u, which the bulk store of line %u may still be reading",
          what,
          std::max(begin, r.begin),
          unsigned(r.where.line()));
}
}   // namespace

// ---- loads
void tma_load_2d(void* dst, const TensorMap* map, uint64_t* bar, int x, int y, unsigned mask, Where w) {
  Worker& k = hopper(w);
  const TensorMapCpu t = check_map(k, map, w);
  const uint32_t offset = check_box(k, t, dst, "destination", w);
  check_memory(k, t, x, y, w);
  k.note_writes();
  if (!mask)
    mask = 1u << self()->cta->grid.cluster_rank;
  for (unsigned r = 0; mask >> r; ++r) {
    if (!(mask >> r & 1))
      continue;
    uint64_t* b = mbar_of_block(bar, r, w);
    Cta& cta = k.ctas[r];
    if (!Mbar(*b).valid)
      k.fail(&w, "TMA: mbarrier %p of block %u is not initialised", (void*)b, r);
    check_init_fenced(b, w);
    check_readers(k, cta, offset, offset + box_extent(t), "TMA load", w);
    k.check_published(cta, offset, offset + box_extent(t), "TMA: load over", w);
    TmaOp op{*map, offset, b, x, y, &cta, w};
    TSAN(__tsan_release(&k.tma));
    uint32_t when = 2;   // as late as possible; 0: at once, 1: at any moment from now on
    if (options.eager)
      when = 0;
    else if (options.seed)
      when = k.rnd() % 3;
    if (when == 0)
      k.tma_run(op);
    else if (when == 1)
      k.tma.push_back(op);
    else
      k.tma_late.push_back(op);
  }
}
void Worker::tma_run(const TmaOp& o) {
  const TensorMapCpu t = decode(o.map);
  unsigned char* smem = o.cta->smem;
  if (!o.cta->live)
    fail(&o.where, "TMA: block %u of the cluster ended before this copy into it", o.cta->grid.cluster_rank);
  TSAN(__tsan_switch_to_fiber(tsan_copies, 1); __tsan_acquire(&tma); __tsan_write_range(smem + o.offset, box_extent(t));
       __tsan_release(o.bar); __tsan_switch_to_fiber(self()->tsan, 1));
  note_writes();
  const int coordinates[TensorMapCpu::kMaxRank] = {o.x, o.y};
  for_units(t, o.offset, coordinates, [&](uint32_t at, int64_t row, int64_t byte) {
    const Inside in = inside(t, row, byte);
    if (in.hi - in.lo == 16) {
      std::memcpy(smem + at, t.base + (row + byte), 16);
      return;
    }
    fill_outside(t, smem + at);
    if (in.hi > in.lo)
      std::memcpy(smem + at + in.lo, t.base + (row + byte + in.lo), in.hi - in.lo);
  });
  o.cta->writes.copied(smem, o.offset, o.offset + box_extent(t));
  Mbar m(*o.bar);
  if (!m.valid)
    fail(&o.where, "TMA: mbarrier was overwritten before the copy completed");
  add_transactions(m, -int64_t(box_bytes(t)), o.where);
  *o.bar = m.pack();
  mbar_check(o.bar);
}

// ---- stores
namespace {
void bulk_do_read(Fiber* f, BulkStore& s) {
  const TensorMapCpu t = decode(s.map);
  const unsigned char* smem = f->cta->smem;
  TSAN(__tsan_read_range(const_cast<unsigned char*>(smem) + s.offset, box_extent(t)));
  s.box.resize(box_extent(t));
  const int coordinates[TensorMapCpu::kMaxRank] = {s.x, s.y};
  for_units(t, s.offset, coordinates, [&](uint32_t at, int64_t, int64_t) {
    std::memcpy(s.box.data() + (at - s.offset), smem + at, 16);
  });
  auto& readers = f->cta->readers;
  readers.erase(
      std::find_if(readers.begin(), readers.end(), [&](const Cta::Reader& r) { return r.begin == s.offset; }));
}
void bulk_do_write(BulkStore& s) {
  const TensorMapCpu t = decode(s.map);
  const int coordinates[TensorMapCpu::kMaxRank] = {s.x, s.y};
  for_units(t, s.offset, coordinates, [&](uint32_t at, int64_t row, int64_t byte) {
    const Inside in = inside(t, row, byte);   // what lies outside the tensor is not written
    if (in.hi <= in.lo)
      return;
    unsigned char* to = const_cast<unsigned char*>(t.base) + row + byte + in.lo;
    TSAN(__tsan_write_range(to, in.hi - in.lo));
    std::memcpy(to, s.box.data() + (at - s.offset) + in.lo, in.hi - in.lo);
  });
}
}   // namespace
void tma_store_2d(const TensorMap* map, const void* src, int x, int y, Where w) {
  Fiber* f = self();
  Worker& k = hopper(w);
  const TensorMapCpu t = check_map(k, map, w);
  const uint32_t offset = check_box(k, t, src, "source", w);
  check_memory(k, t, x, y, w);
  k.note_writes();
  k.check_published(*f->cta, offset, offset + box_extent(t), "TMA: store of", w);
  f->cta->readers.push_back({offset, offset + box_extent(t), w});
  f->bulk.push_back({*map, offset, x, y, w, {}});
}
void tensor_map_prefetch(const TensorMap* map, Where w) { check_map(hopper(w), map, w); }
void bulk_commit() {
  Fiber* f = self();
  f->bulk_end.push_back(int(f->bulk.size()));
  if (!f->worker->late())
    bulk_wait(0, false);
}
// On return all but the last `keep` of this thread's groups have been read, or, without read_only, written.
void bulk_wait(int keep, bool read_only) {
  Fiber* f = self();
  const int groups = int(f->bulk_end.size()) - keep;
  if (groups <= 0)
    return;
  const int n = f->bulk_end[groups - 1];
  for (; f->bulk_read < n; ++f->bulk_read)
    bulk_do_read(f, f->bulk[f->bulk_read]);
  if (read_only)
    return;
  for (int i = 0; i < n; ++i)
    bulk_do_write(f->bulk[i]);
  f->bulk.erase(f->bulk.begin(), f->bulk.begin() + n);
  f->bulk_end.erase(f->bulk_end.begin(), f->bulk_end.begin() + groups);
  for (int& e : f->bulk_end)
    e -= n;
  f->bulk_read -= n;
}
void finish_bulk_stores(Fiber* f) {
  if (f->bulk.empty())
    return;
  if (f->bulk_read < int(f->bulk.size()))
    f->worker->fail(
        &f->bulk[f->bulk_read].where,
        "thread exits before this bulk store has read its shared memory (wait_group.read)");
  bulk_wait(0, false);
}

// ---- stmatrix and the fence between what threads write and the asynchronous proxy
void stmatrix_writes(const void* word, Where w) {
  Worker& k = hopper(w);
  const uint32_t offset = own_offset(word, w);
  check_readers(k, *self()->cta, offset, offset + 4, "stmatrix", w);
}
void fence_proxy_async() {
  Fiber* f = self();
  f->worker->publish_writes(f);
  mbar_init_fence();
}
}   // namespace spectral::cpu
