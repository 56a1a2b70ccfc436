// The schedule: which fiber runs next, the life of a cluster of blocks, and launching a grid on the pool.
#include "worker.h"
#include "pool.h"
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <pthread.h>
#include <sys/mman.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

extern "C" void* __tls_get_addr(size_t*);

namespace spectral::cpu {
namespace {
#ifdef SPECTRAL_TSAN
constexpr bool kFreshStacks = true;   // no two CUDA threads of a cluster may share a stack
#else
constexpr bool kFreshStacks = false;
#endif
}   // namespace

Worker& Worker::get() {
  static thread_local std::unique_ptr<Worker> w;   // on the heap: spectral_self puts this library's thread-locals into
  if (!w)
    w.reset(new Worker);   // the static TLS block, whose spare room is small after dlopen
  return *w;
}
Worker::~Worker() {
  for (char* stacks : stacks_)
    munmap(stacks, kStride * kMax);
  std::free(smem_);
}

// ---- who runs next
Fiber* Worker::fresh() {
  if (!free_.empty()) {
    Fiber* f = free_.back();
    free_.pop_back();
    return f;
  }
  Fiber* f = &fibers_[used_];
  f->worker = this;
  f->stack = stacks_[(used_ - 1) / kMax] + kStride * ((used_ - 1) % kMax) + kPage;
  ++used_;
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(f->stack, kStack);
#endif
  TSAN(f->tsan = fibers_[0].tsan);
  f->sp = make_stack(
      f->stack + kStack - used_ % 32 * 128, fiber_entry);   // equal offsets in a page would share few cache sets
  return f;
}

// Threads in order: those that can go on, then new ones. Threads that wait for nothing but copies are rare and are left
// to pick_slowly.
Fiber* Worker::pick() {
  if (!options.seed) {
    if (ready_head_ != ready_tail_)
      return ready_[ready_head_++ & kMask];
    if (started_ < total_)
      return fresh();
  }
  return pick_slowly();
}
Fiber* Worker::pick_slowly() {
  for (;;) {
    const unsigned n = ready_tail_ - ready_head_;
    const unsigned fresh_threads = started_ < total_;
    const unsigned all = n + fresh_threads + unsigned(tma.size());
    if (options.seed && all) {
      unsigned k = rnd() % all;
      if (k < n) {
        std::swap(ready_[(ready_head_ + k) & kMask], ready_[ready_head_ & kMask]);
        return ready_[ready_head_++ & kMask];
      }
      if (k < n + fresh_threads)
        return fresh();
      k -= n + fresh_threads;
      const TmaOp op = tma[k];
      tma[k] = tma.back();
      tma.pop_back();
      tma_run(op);
      continue;
    }
    if (n)
      return ready_[ready_head_++ & kMask];   // a copy has completed a barrier
    if (!tma_late.empty()) {
      const TmaOp op = tma_late.front();
      tma_late.erase(tma_late.begin());
      tma_run(op);
      continue;
    }
    if (!live_)
      return &fibers_[0];
    deadlock();
  }
}

void Worker::released(Fiber* me) {
  if (options.seed) {
    ready(me);
    suspend(me);
  }
}

// ---- a fiber runs threads until there are none; a thread that never waits costs no switch
void Worker::fiber_loop(Fiber* f) {
  for (;;) {
    if (plain) {
      for (Cta& cta : ctas) {
        f->t.grid = &cta.grid;
        f->cta = &cta;
        launch->kernel->loop(launch->args);
      }
      started_ = total_;
      live_ = 0;
    }
    while (started_ < total_) {
      const unsigned in_cluster = options.seed ? order_[started_] : started_;
      const unsigned rank = ctas.size() == 1 ? 0 : in_cluster / per_cta_;
      const unsigned id = in_cluster - rank * per_cta_;
      Cta& cta = ctas[rank];
      const unsigned bx = cta.grid.block_size.x;
      const unsigned by = cta.grid.block_size.y;
      ++started_;
      f->t.linear = id;
      f->t.index = by == 1 && cta.grid.block_size.z == 1 ? uint3{id, 0, 0} : uint3{id % bx, id / bx % by, id / bx / by};
      f->t.grid = &cta.grid;
      f->cta = &cta;
      f->wg_fenced = false;
      f->wg_sums.clear();
      f->t.aligned = 0;
      f->cluster_phase = -1;
      if (tracks_writes)
        charge(f);
      TSAN(__tsan_switch_to_fiber(f->tsan = tsan_threads[in_cluster], 1); __tsan_acquire(&started_));
      launch->kernel->call(launch->args);
      TSAN(__tsan_release(&live_); __tsan_switch_to_fiber(f->tsan = fibers_[0].tsan, 1));
      thread_exit(f);
      if (ready_head_ != ready_tail_ || options.seed || kFreshStacks)
        break;
    }
    auto& unused = kFreshStacks ? spent_ : free_;
    unused.push_back(f);
    Fiber* n = pick();
    if (n != f)
      switch_to(f, n);
  }
}

void Worker::thread_exit(Fiber* f) {
  if (!f->cp.empty()) {
    cp_async_commit();
    cp_async_wait(0);
  }
  if (!f->wg.empty())
    fail(&f->wg.back().where, "thread exits without waiting for this wgmma");
  finish_bulk_stores(f);
  --live_;
  --f->cta->live;
  Warp& w = f->cta->warps[f->warp()];
  w.exited |= 1u << f->lane();
  for (unsigned r = w.arrived; r; r &= r - 1) {
    unsigned need = w.mask[std::countr_zero(r)] & ~w.exited;
    if ((w.arrived & need) == need) {
      complete(w, need, nullptr);
      break;
    }
  }
  Barrier& b = f->cta->bars[0];
  if (b.arrived && b.expected == 0 && b.arrived == int(f->cta->live))
    release(b, nullptr);
  if (f->cluster_phase == cluster_bar_.phase)
    --cluster_bar_.arrived;   // arrived and will not wait
  if (cluster_bar_.arrived && cluster_bar_.arrived == int(live_))
    release(cluster_bar_, nullptr);
}

// The last cluster's barriers are not valid in the next.
void Worker::forget_barriers() {
  for (uint64_t* b : mbars)
    *b = 0;
  mbars.clear();
  unfenced_inits.clear();
}

void Worker::run_cluster(uint64_t index) {
  const dim3& g = launch->grid;
  const dim3& b = launch->block;
  const unsigned size = launch->cluster;
  const unsigned across = g.x / size;
  per_cta_ = b.x * b.y * b.z;
  total_ = live_ = per_cta_ * size;
  started_ = 0;
  const unsigned nw = ceil_div(per_cta_, 32u);
  for (unsigned r = 0; r < size; ++r) {
    Cta& cta = ctas[r];
    cta.grid = {
        {unsigned(index % across) * size + r, unsigned(index / across % g.y), unsigned(index / across / g.y)},
        b,
        g,
        r,
        size};
    cta.live = per_cta_;
    if (cta.warps.size() < nw) {
      cta.warps.resize(nw);
      cta.groups.resize(nw / 4 + 1);
    }
    for (unsigned i = 0; i < nw; ++i) {
      cta.warps[i].arrived = 0;
      cta.warps[i].exited = i == per_cta_ / 32 ? ~0u << per_cta_ % 32 : 0;
    }
  }
  plain = launch->kernel->loop;
  if (options.seed) {
    rng_ = uint32_t(options.seed * 2654435761u + index * 40503u) | 1;
    for (int i = 0; i < 8; ++i)
      rnd();
    order_.resize(total_);
    for (unsigned i = 0; i < total_; ++i) {
      unsigned k = rnd() % (i + 1);
      order_[i] = order_[k];
      order_[k] = i;
    }
  }
  forget_barriers();
  size_t where[2] = {launch->statics.module, 0};
  auto* statics = launch->statics.size ? static_cast<unsigned char*>(__tls_get_addr(where))
                                       : nullptr;   // allocated here, not by some fiber
  if (options.poison)
    for (Cta& cta : ctas)
      std::memset(cta.smem, 0xcd, smem_size);
  charged_ = nullptr;
  tracks_writes = launch->kernel->hopper;
  if (tracks_writes)
    for (Cta& cta : ctas)
      cta.writes.start(cta.smem, smem_size);
  if (statics && (options.poison || size > 1))
    std::memset(statics, 0xcd, launch->statics.size);
  free_.insert(free_.end(), spent_.begin(), spent_.end());
  spent_.clear();
  Fiber* f = fresh();
  f->t.grid = &ctas[0].grid;
  f->cta = &ctas[0];
  TSAN(while (tsan_threads.size() < total_) tsan_threads.push_back(__tsan_create_fiber(0)); __tsan_release(&started_));
  switch_to(&fibers_[0], f);
  TSAN(__tsan_acquire(&live_));
  if (size > 1 && statics && !launch->failed &&
      std::any_of(statics, statics + launch->statics.size, [](unsigned char c) { return c != 0xcd; })) {
    const_cast<Launch*>(launch)->fail(
        std::string("kernel ") + launch->kernel->name + ": a __shared__ variable was written in a cluster of " +
        std::to_string(size) +
        " blocks, which share one copy of it on the CPU device; such a kernel keeps all in dynamic shared memory");
  }
}

// One region for the blocks of a cluster, each with its exact size, so that AddressSanitizer sees the ends.
void Worker::take_shared_memory() {
  const size_t size = launch->smem;
  const size_t stride = ceil_div(size, size_t(1024)) * 1024 + 1024;
  if (size == smem_size && launch->cluster == ctas.size() && smem_)
    return;
  std::free(smem_);
  smem_ = static_cast<unsigned char*>(std::aligned_alloc(1024, stride * launch->cluster));
  smem_size = size;
  if (ctas.size() != launch->cluster)
    ctas = std::vector<Cta>(launch->cluster);
  for (unsigned r = 0; r < launch->cluster; ++r) {
    ctas[r].smem = smem_ + r * stride;
#ifdef __SANITIZE_ADDRESS__
    __asan_poison_memory_region(ctas[r].smem + size, stride - size);
#endif
  }
}

void Worker::know_own_stack() {
  fibers_.resize(1);
  fibers_[0].worker = this;
  TSAN(fibers_[0].tsan = __tsan_get_current_fiber(); tsan_copies = __tsan_create_fiber(0));
#ifdef __SANITIZE_ADDRESS__
  pthread_attr_t at;
  void* lo;
  size_t sz;
  pthread_getattr_np(pthread_self(), &at);
  pthread_attr_getstack(&at, &lo, &sz);
  pthread_attr_destroy(&at);
  fibers_[0].wait_obj = lo;
  fibers_[0].wait_arg = sz / kPage;
#endif
}
void Worker::take_stacks(size_t fibers) {
  while (stacks_.size() * kMax < fibers) {
    void* p = mmap(nullptr, kStride * kMax, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
      std::perror("fiber stacks");
      std::abort();
    }
    char* const stacks = static_cast<char*>(p);
    for (unsigned i = 0; i < kMax; ++i)
      mprotect(stacks + i * kStride, kPage, PROT_NONE);
    stacks_.push_back(stacks);
    fibers_.resize(stacks_.size() * kMax + 1);
  }
}

void Worker::run(Launch& l) {
  if (fibers_.empty())
    know_own_stack();
  take_stacks(size_t(l.cluster) * l.block.x * l.block.y * l.block.z);
  launch = &l;
  TSAN(__tsan_acquire(&l));
  take_shared_memory();
  uint64_t chunk = l.clusters / 256 + 1;
  Thread* outer = spectral_self;
  for (uint64_t i; !l.failed && (i = l.next.fetch_add(chunk)) < l.clusters;)
    for (uint64_t e = std::min(i + chunk, l.clusters); i < e && !l.failed; ++i)
      run_cluster(i);
  forget_barriers();   // what they lie in may be freed, or unloaded, before the next launch
  spectral_self = outer;
  launch = nullptr;
  TSAN(__tsan_release(&l));
}

void launch(Launch& l) {
  // A plain kernel of a block or two is over before another thread has woken.
  const bool parallel =
      l.clusters > 1 && !(l.kernel->loop && l.clusters * l.cluster * l.block.x * l.block.y * l.block.z <= 1024);
  TSAN(__tsan_release(&l));   // what the host did before; the pool's own locks are suppressed
  run_on_pool([](void* data) { Worker::get().run(*static_cast<Launch*>(data)); }, &l, parallel);
  TSAN(__tsan_acquire(&l));
}
}   // namespace spectral::cpu
