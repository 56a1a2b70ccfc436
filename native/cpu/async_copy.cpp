// cp.async and mbarriers. A copy is recorded at issue and done as late as is legal, or at a random moment of a
// shuffled schedule, so that a missing wait is seen.
#include "mbarrier.h"

namespace spectral::cpu {

// ---- cp.async: done at the wait that needs it, so a missing wait reads stale data
static void cp_do(const CpOp& o) {
  TSAN(__tsan_read_range(const_cast<void*>(o.src), o.valid); __tsan_write_range(o.dst, 16));
  std::memcpy(o.dst, o.src, o.valid);
  if (o.valid < 16)
    std::memset(static_cast<char*>(o.dst) + o.valid, 0, 16 - o.valid);
}
void cp_async(void* dst, const void* src, int valid, Where w) {
  Fiber* f = self();
  if (reinterpret_cast<uintptr_t>(dst) % 16 || (valid && reinterpret_cast<uintptr_t>(src) % 16))
    f->worker->fail(&w, "cp.async: misaligned, %p <- %p", dst, src);
  if (valid < 0 || valid > 16)
    f->worker->fail(&w, "cp.async: %d bytes of 16", valid);
  TSAN(__tsan_write_range(dst, 16));   // from here until the wait, at any moment
  if (f->worker->late())
    f->cp.push_back({dst, src, valid});
  else
    cp_do({dst, src, valid});
}
void cp_async_commit() {
  Fiber* f = self();
  f->cp_end.push_back(int(f->cp.size()));
  if (!f->worker->late())
    cp_async_wait(0);
}
void cp_async_wait(int keep) {
  Fiber* f = self();
  int done = int(f->cp_end.size()) - keep;
  if (done <= 0)
    return;
  int n = f->cp_end[done - 1];
  for (int i = 0; i < n; ++i)
    cp_do(f->cp[i]);
  f->cp.erase(f->cp.begin(), f->cp.begin() + n);
  f->cp_end.erase(f->cp_end.begin(), f->cp_end.begin() + done);
  for (int& e : f->cp_end)
    e -= n;
}

// ---- mbarriers
void mbar_init(uint64_t* b, int count, Where w) {
  Worker& k = hopper(w);
  if (k.ctas.size() > 1)
    own_offset(b, w);   // a __shared__ variable would be the same in all blocks of the cluster
  k.mbars.push_back(b);
  *b = uint64_t(count) | uint64_t(count) << 20 | uint64_t(2) << 62;
  k.unfenced_inits.push_back({b, self()->cta, self()->t.linear});
}
void mbar_init_fence() {
  Fiber* f = self();
  std::erase_if(
      f->worker->unfenced_inits, [&](const Worker::Init& i) { return i.cta == f->cta && i.thread == f->t.linear; });
}
void check_init_fenced(const uint64_t* b, const Where& w) {
  Worker& k = *self()->worker;
  for (const Worker::Init& i : k.unfenced_inits)
    if (i.bar == b)
      k.fail(
          &w,
          "mbarrier %p was initialised by thread %u without a fence (mbar_init_fence) since",
          static_cast<const void*>(b),
          i.thread);
}
void add_transactions(Mbar& m, int64_t bytes, const Where& w) {
  const int64_t sum = m.tx + bytes;
  if (!Mbar::counts(sum))
    self()->worker->fail(
        &w, "an mbarrier counts up to %d bytes; here %lld would be due", Mbar::kMostBytes, static_cast<long long>(sum));
  m.tx = int(sum);
}
void Worker::mbar_check(uint64_t* b) {
  Mbar m(*b);
  if (m.pending || m.tx)
    return;
  m.phase ^= 1;
  m.pending = m.count;
  *b = m.pack();
  size_t k = 0;
  for (auto& e : mbar_waiters)
    if (e.bar == b)
      ready(e.f);
    else
      mbar_waiters[k++] = e;
  mbar_waiters.resize(k);
}
uint64_t* mbar_of_block(uint64_t* b, unsigned rank, const Where& w) {
  Worker& k = *self()->worker;
  if (rank >= k.ctas.size())
    k.fail(&w, "block %u of a cluster of %zu", rank, k.ctas.size());
  if (k.ctas.size() == 1)
    return b;
  const Cta& cta = k.ctas[rank];
  if (!cta.live)
    k.fail(&w, "block %u of the cluster has ended, and its shared memory with it", rank);
  return reinterpret_cast<uint64_t*>(cta.smem + own_offset(b, w));
}
void mbar_arrive_at(uint64_t* b, unsigned rank, Where w) {
  uint64_t* const there = mbar_of_block(b, rank, w);
  if (rank != self()->cta->grid.cluster_rank)
    check_init_fenced(there, w);
  mbar_arrive(there, 0, w);
}
void mbar_arrive(uint64_t* b, int expect, Where w) {
  Worker& k = *self()->worker;
  Mbar m(*b);
  if (!m.valid)
    k.fail(&w, "mbarrier %p is not initialised", (void*)b);
  if (!m.pending)
    k.fail(&w, "mbarrier %p: more than %u arrivals in a phase", (void*)b, m.count);
  TSAN(__tsan_release(b));
  --m.pending;
  add_transactions(m, expect, w);
  *b = m.pack();
  k.mbar_check(b);
}
void mbar_wait(uint64_t* b, int parity, Where w) {
  Fiber* f = self();
  Worker& k = *f->worker;
  Mbar m(*b);
  if (!m.valid)
    k.fail(&w, "mbarrier %p is not initialised", (void*)b);
  if (int(m.phase) == parity) {
    k.mbar_waiters.push_back({f, b});
    k.wait(f, "mbarrier", b, parity, w);
    if (int(Mbar(*b).phase) == parity)
      k.fail(&w, "mbarrier %p completes another phase before this wait has seen the last one", (void*)b);
  }
  TSAN(__tsan_acquire(b));
}

uint32_t own_offset(const void* p, const Where& w) {
  Worker& k = *self()->worker;
  auto o = static_cast<const unsigned char*>(p) - self()->cta->smem;
  if (o < 0 || size_t(o) >= k.smem_size)
    k.fail(&w, "%p is not in the block's dynamic shared memory", p);
  return uint32_t(o);
}
uint32_t shared_offset(const void* p, Where w) { return own_offset(p, w); }
}   // namespace spectral::cpu
