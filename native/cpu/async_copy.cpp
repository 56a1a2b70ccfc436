// cp.async, mbarriers and TMA: recorded at issue and done as late as is legal, or at a random moment of a
// shuffled schedule, so that a missing wait is seen.
#include "worker.h"
#include "tensor_map.h"

namespace spectral::cpu {

// ---- cp.async: done at the wait that needs it, so a missing wait reads stale data
static void cp_do(const CpOp& o) {
  TSAN(__tsan_read_range(const_cast<void*>(o.src), o.valid); __tsan_write_range(o.dst, 16));
  std::memcpy(o.dst, o.src, o.valid);
  if (o.valid < 16) std::memset(static_cast<char*>(o.dst) + o.valid, 0, 16 - o.valid);
}
void cp_async(void* dst, const void* src, int valid, Where w) {
  Fiber* f = self();
  if (reinterpret_cast<uintptr_t>(dst) % 16 || (valid && reinterpret_cast<uintptr_t>(src) % 16))
    f->worker->fail(&w, "cp.async: misaligned, %p <- %p", dst, src);
  if (valid < 0 || valid > 16) f->worker->fail(&w, "cp.async: %d bytes of 16", valid);
  TSAN(__tsan_write_range(dst, 16));                  // from here until the wait, at any moment
  f->cp.push_back({dst, src, valid});
}
void cp_async_commit() {
  Fiber* f = self();
  f->cp_end.push_back(int(f->cp.size()));
  if (!f->worker->late()) cp_async_wait(0);
}
void cp_async_wait(int keep) {
  Fiber* f = self();
  int done = int(f->cp_end.size()) - keep;
  if (done <= 0) return;
  int n = f->cp_end[done - 1];
  for (int i = 0; i < n; ++i) cp_do(f->cp[i]);
  f->cp.erase(f->cp.begin(), f->cp.begin() + n);
  f->cp_end.erase(f->cp_end.begin(), f->cp_end.begin() + done);
  for (int& e : f->cp_end) e -= n;
}

// ---- mbarrier: pending 20 bits, count 20, tx 21 (signed), phase 1, tag 2
namespace {
struct Mbar {
  uint32_t pending, count; int tx; unsigned phase; bool valid;
  explicit Mbar(uint64_t v)
      : pending(v & 0xfffff), count(v >> 20 & 0xfffff), tx(int(int64_t(v << 3) >> 43)), phase(v >> 61 & 1), valid(v >> 62 == 2) {}
  uint64_t pack() const {
    return pending | uint64_t(count) << 20 | uint64_t(tx & 0x1fffff) << 40 | uint64_t(phase) << 61 | uint64_t(2) << 62;
  }
};
}  // namespace
void mbar_init(uint64_t* b, int count) {
  self()->worker->mbars.push_back(b);
  *b = uint64_t(count) | uint64_t(count) << 20 | uint64_t(2) << 62;
}
void Worker::mbar_check(uint64_t* b) {
  Mbar m(*b);
  if (m.pending || m.tx) return;
  m.phase ^= 1, m.pending = m.count;
  *b = m.pack();
  size_t k = 0;
  for (auto& e : mbar_waiters)
    if (e.bar == b) ready(e.f); else mbar_waiters[k++] = e;
  mbar_waiters.resize(k);
}
void mbar_arrive(uint64_t* b, int expect, Where w) {
  Worker& k = *self()->worker;
  Mbar m(*b);
  if (!m.valid) k.fail(&w, "mbarrier %p is not initialised", (void*)b);
  if (!m.pending) k.fail(&w, "mbarrier %p: more than %u arrivals in a phase", (void*)b, m.count);
  TSAN(__tsan_release(b));
  --m.pending, m.tx += expect;
  *b = m.pack();
  k.mbar_check(b);
}
void mbar_wait(uint64_t* b, int parity, Where w) {
  Fiber* f = self();
  Worker& k = *f->worker;
  Mbar m(*b);
  if (!m.valid) k.fail(&w, "mbarrier %p is not initialised", (void*)b);
  if (int(m.phase) == parity) k.mbar_waiters.push_back({f, b}), k.wait(f, "mbarrier", b, parity, w);
  TSAN(__tsan_acquire(b));
}

uint32_t shared_offset(const void* p, Where w) {
  Worker& k = *self()->worker;
  auto o = static_cast<const unsigned char*>(p) - k.smem;
  if (o < 0 || size_t(o) >= k.smem_size) k.fail(&w, "%p is not in dynamic shared memory", p);
  return uint32_t(o);
}

// ---- TMA: queued, and done when nothing else can run (or at a random moment of a shuffled schedule)
namespace { struct alignas(64) TensorMapCpuBits { TensorMapCpu map; char pad[128 - sizeof(TensorMapCpu)]; }; }
void tma_load_2d(void* dst, const TensorMap* map, uint64_t* bar, int x, int y, Where w) {
  Worker& k = *self()->worker;
  const TensorMapCpu t = std::bit_cast<TensorMapCpuBits>(*map).map;
  if (t.magic != TensorMapCpu::kMagic) k.fail(&w, "TMA: the tensor map was not encoded");
  if (!Mbar(*bar).valid) k.fail(&w, "TMA: mbarrier %p is not initialised", (void*)bar);
  uint32_t off = shared_offset(dst, w), bytes = t.box[0] * t.box[1] * t.elem;
  if (off % (t.swizzle ? 1024 : 128)) k.fail(&w, "TMA: destination at shared offset %u is not aligned for its swizzle", off);
  if (off + bytes > k.smem_size) k.fail(&w, "TMA: box of %u bytes at shared offset %u ends outside shared memory (%zu)", bytes, off, k.smem_size);
  TmaOp op{*map, dst, bar, x, y, w};
  TSAN(__tsan_release(&k.tma));
  uint32_t when = options.eager ? 0 : options.seed ? k.rnd() % 3 : 2;   // at once, at random, as late as possible
  when == 0 ? k.tma_run(op) : (when == 1 ? k.tma : k.tma_late).push_back(op);
}
void Worker::tma_run(const TmaOp& o) {
  const TensorMapCpu t = std::bit_cast<TensorMapCpuBits>(o.map).map;
  const unsigned row = t.box[0] * t.elem, first = uint32_t(static_cast<unsigned char*>(o.dst) - smem);
  const int64_t x0 = o.x * int64_t(t.elem), w = int64_t(t.dim[0]) * t.elem;   // in bytes
  TSAN(__tsan_switch_to_fiber(tsan_copies, 1); __tsan_acquire(&tma); __tsan_write_range(o.dst, row * t.box[1]); __tsan_release(o.bar);
       __tsan_switch_to_fiber(self()->tsan, 1));
  for (unsigned r = 0; r < t.box[1]; ++r) {
    const int64_t y = o.y + int64_t(r);
    const bool row_in = y >= 0 && y < int64_t(t.dim[1]);
    for (unsigned c = 0; c < row; c += 16) {
      uint32_t off = first + r * row + c;
      unsigned char* d = smem + (t.swizzle ? swizzle128(off) : off);
      int64_t x = x0 + c;
      if (row_in && x >= 0 && x + 16 <= w) { std::memcpy(d, t.base + y * t.stride + x, 16); continue; }
      std::memset(d, 0, 16);                          // outside the tensor is zero
      int64_t lo = std::max<int64_t>(0, -x), hi = row_in ? std::min<int64_t>(16, w - x) : 0;
      if (hi > lo) std::memcpy(d + lo, t.base + y * t.stride + x + lo, hi - lo);
    }
  }
  Mbar m(*o.bar);
  if (!m.valid) fail(&o.where, "TMA: mbarrier was overwritten before the copy completed");
  m.tx -= int(row * t.box[1]);
  *o.bar = m.pack();
  mbar_check(o.bar);
}

}  // namespace spectral::cpu
