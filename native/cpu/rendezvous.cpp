// Where lanes and threads meet: warp collectives and barriers. The last to arrive does the work for all.
#include "worker.h"

namespace spectral::cpu {
void Worker::warp_arrive(Fiber* f, unsigned mask, const char* name, void* arg, WarpFn fn, const Where& w) {
  Warp& wp = f->cta->warps[f->warp()];
  unsigned l = f->lane();
  if (plain)
    fail(&w, "%s in a kernel registered as plain", name);
  if (!(mask >> l & 1))
    fail(&w, "%s: the calling lane %u is not in its mask %08x", name, l, mask);
  wp.arg[l] = arg;
  wp.fiber[l] = f;
  wp.mask[l] = mask;
  wp.fn[l] = fn;
  wp.arrived |= 1u << l;
  TSAN(if (!arg) __tsan_release(&wp));   // only __syncwarp orders memory
  unsigned need = mask & ~wp.exited;
  if ((wp.arrived & need) != need) {
    wait(f, name, &wp, int(mask), w);
  } else {
    f->where = w;
    complete(wp, need, f);
  }
  TSAN(if (!arg) __tsan_acquire(&wp));
}

void Worker::complete(Warp& w, unsigned need, Fiber* me) {
  int l0 = std::countr_zero(need);
  for (unsigned r = need; r; r &= r - 1) {
    int l = std::countr_zero(r);
    if (w.fn[l] != w.fn[l0])
      fail(
          &w.fiber[l]->where,
          "lanes of one warp meet in different collectives: lane %d is at line %u",
          l0,
          w.fiber[l0]->where.line());
    if (const Thread& t = w.fiber[l]->t, &t0 = w.fiber[l0]->t; t.aligned != t0.aligned)
      fail(
          &w.fiber[l]->where,
          "lanes of one warp did not take the same ldmatrix, stmatrix and setmaxnreg: the last is that of line %u for "
          "lane %d, of line %u for lane %d",
          t0.aligned_line,
          l0,
          t.aligned_line,
          l);
  }
  w.fn[l0](w.arg, need);
  w.arrived &= ~need;
  for (unsigned r = need; r; r &= r - 1) {
    Fiber* f = w.fiber[std::countr_zero(r)];
    if (f != me)
      ready(f);
  }
  if (me)
    released(me);
}

void Worker::release(Barrier& b, Fiber* me) {
  b.arrived = 0;
  b.phase ^= 1;
  for (Fiber* f : b.waiters)
    ready(f);
  b.waiters.clear();
  if (me)
    released(me);
}

void Worker::bar(int id, int count, bool sync, const Where& w) {
  Fiber* f = self();
  if (plain)
    fail(&w, "barrier in a kernel registered as plain");
  if (count % 32)
    fail(&w, "barrier %d waits for %d threads: a barrier counts whole warps of 32", id, count);
  Barrier& b = f->cta->bars[id & 15];
  if (b.arrived && b.expected != count)
    fail(&w, "barrier %d: expected %d by those waiting, %d here", id, b.expected, count);
  b.expected = count;
  [[maybe_unused]] char* token = &b.token[b.phase];
  TSAN(__tsan_release(token));
  if (++b.arrived == (count ? count : int(f->cta->live))) {
    release(b, sync ? f : nullptr);
  } else if (sync) {
    b.waiters.push_back(f);
    wait(f, "barrier", &b, id, w);
  }
  TSAN(if (sync) __tsan_acquire(token));
}

// All threads of the cluster's blocks that have not ended; arriving and waiting are apart.
void Worker::cluster_arrive(const Where& w) {
  Fiber* f = self();
  if (plain)
    fail(&w, "cluster barrier in a kernel registered as plain");
  if (f->cluster_phase >= 0)
    fail(&w, "arrives at the cluster barrier a second time without waiting");
  f->cluster_phase = cluster_bar_.phase;
  TSAN(__tsan_release(&cluster_bar_.token[cluster_bar_.phase]));
  if (++cluster_bar_.arrived == int(live_))
    release(cluster_bar_, nullptr);
}
void Worker::cluster_wait(const Where& w) {
  Fiber* f = self();
  if (f->cluster_phase < 0)
    fail(&w, "waits at the cluster barrier without having arrived");
  [[maybe_unused]] char* token = &cluster_bar_.token[f->cluster_phase];
  if (f->cluster_phase == cluster_bar_.phase) {
    cluster_bar_.waiters.push_back(f);
    wait(f, "cluster barrier", &cluster_bar_, 0, w);
  }
  TSAN(__tsan_acquire(token));
  f->cluster_phase = -1;
}
void cluster_arrive(Where w) { hopper(w).cluster_arrive(w); }
void cluster_wait(Where w) { self()->worker->cluster_wait(w); }

void warp_op(unsigned mask, const char* name, void* arg, Where w, WarpFn fn) {
  Fiber* f = self();
  f->worker->warp_arrive(f, mask, name, arg, fn, w);
}
void bar_sync(int id, int count, Where w) { self()->worker->bar(id, count, true, w); }
void bar_arrive(int id, int count, Where w) { self()->worker->bar(id, count, false, w); }
unsigned char* dynamic_shared() { return self()->cta->smem; }

void fail_misaligned(const void* address, unsigned bytes, Where w) {
  self()->worker->fail(
      &w, "thread %u accesses %u bytes at %p, which is not a multiple of them", self()->t.linear, bytes, address);
}
void require_full_warp(unsigned mask, const char* name) {
  if (mask != ~0u)
    self()->worker->fail(&self()->where, "%s needs all 32 lanes of the warp, has %08x", name, mask);
}
}   // namespace spectral::cpu
