// What a fault says: kernel, block, thread, source line. The block is left where it is and its fibers are
// thrown away; nothing on an abandoned stack is destroyed, so text lives in the worker.
#include "worker.h"
#include <cstdio>
#include <cstdlib>

namespace spectral::cpu {
void Cta::forget() {
  for (auto& b : bars) {
    b.arrived = 0;
    b.waiters.clear();
  }
  for (auto& g : groups)
    g.arrived = 0;
  readers.clear();
}

void Worker::fail(const Where* w, const char* fmt, ...) {
  char msg[4096];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(msg, sizeof msg, fmt, ap);
  va_end(ap);
  report_.assign("kernel ").append(launch->kernel->name);
  Fiber* me = self();
  const uint3 b = (w ? me->cta : &ctas[0])->grid.block;
  char where[64];
  snprintf(where, sizeof where, ", block (%u,%u,%u)", b.x, b.y, b.z);
  report_.append(where);
  if (w) {
    snprintf(where, sizeof where, ", thread %u at ", self()->t.linear);
    report_.append(where).append(w->file_name());
    snprintf(where, sizeof where, ":%u", unsigned(w->line()));
    report_.append(where);
  }
  const_cast<Launch*>(launch)->fail(report_.append(": ").append(msg));
  free_.clear();
  spent_.clear();
  used_ = 1;
  ready_head_ = ready_tail_ = 0;
  live_ = 0;
  started_ = total_ = 0;
  tma.clear();
  tma_late.clear();
  mbar_waiters.clear();
  for (Cta& cta : ctas)
    cta.forget();
  cluster_bar_.arrived = 0;
  cluster_bar_.waiters.clear();
  for (auto& f : fibers_) {
    f.cp.clear();
    f.cp_end.clear();
    f.wg.clear();
    f.wg_end.clear();
    f.bulk.clear();
    f.bulk_end.clear();
    f.bulk_read = 0;
    f.waits_on = nullptr;
  }
  switch_to(me, &fibers_[0]);
  std::abort();
}

void Worker::fail_access(const char* text) {
  const_cast<Launch*>(launch)->illegal = true;
  fail(nullptr, "%s", text);
}

bool Worker::runs_kernel(const Fiber* f, uintptr_t sp, size_t room) const {
  const auto lowest = reinterpret_cast<uintptr_t>(f->stack);
  return launch && f != &fibers_[0] && sp >= lowest + room && sp <= lowest + kStack;
}

void Worker::deadlock() {
  char msg[3500] = "deadlock, every live thread waits:";
  size_t n = std::strlen(msg);
  auto add = [&](const char* fmt, auto... a) {
    if (n < sizeof msg)
      n += snprintf(msg + n, sizeof msg - n, fmt, a...);
  };
  for (unsigned i = 1; i < used_; ++i) {
    Fiber& f = fibers_[i];
    if (!f.waits_on)
      continue;
    bool in[kMax] = {};   // the threads that wait at the same place for the same thing
    for (unsigned k = i; k < used_; ++k) {
      Fiber& o = fibers_[k];
      if (o.waits_on && o.wait_obj == f.wait_obj && o.wait_arg == f.wait_arg && o.cta == f.cta &&
          o.where.line() == f.where.line()) {
        in[o.t.linear] = true;
        if (k != i)
          o.waits_on = nullptr;
      }
    }
    if (ctas.size() > 1)
      add("\n  block %u of the cluster, threads", f.cta->grid.cluster_rank);
    else
      add("\n  threads");
    for (unsigned t = 0; t < kMax; ++t) {
      if (!in[t] || (t && in[t - 1]))
        continue;
      unsigned e = t;
      while (e + 1 < kMax && in[e + 1])
        ++e;
      if (e == t)
        add(" %u", t);
      else
        add(" %u-%u", t, e);
    }
    add(" at %s:%u on %s", f.where.file_name(), unsigned(f.where.line()), f.waits_on);
    if (!std::strcmp(f.waits_on, "mbarrier")) {
      uint64_t v = *static_cast<const uint64_t*>(f.wait_obj);
      add(" %p parity %d (arrivals still due %d of %d, bytes still due %d)",
          f.wait_obj,
          f.wait_arg,
          int(v & 0xfffff),
          int(v >> 20 & 0xfffff),
          int(int64_t(v << 3) >> 43));
    } else if (!std::strcmp(f.waits_on, "barrier")) {
      const Barrier& r = f.cta->bars[f.wait_arg];
      add(" %d (%d of %d arrived)", f.wait_arg, r.arrived, r.expected ? r.expected : int(f.cta->live));
    } else if (f.wait_obj == &cluster_bar_) {
      add(" (%d of %d arrived)", cluster_bar_.arrived, int(live_));
    } else if (f.wait_obj >= f.cta->warps.data() && f.wait_obj < f.cta->warps.data() + f.cta->warps.size()) {
      const Warp& w = *static_cast<const Warp*>(f.wait_obj);
      add(" (mask %08x, arrived %08x, exited %08x)", unsigned(f.wait_arg), w.arrived, w.exited);
    }
  }
  fail(nullptr, "%s", msg);
}

}   // namespace spectral::cpu
