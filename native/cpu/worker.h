// The heart of the CPU device: a CUDA thread is a fiber, a cluster of blocks (mostly one) stays on one worker
// (OS thread), and every waiting instruction is a rendezvous. A fiber runs CUDA threads until one of them waits, so a
// kernel without barriers costs no switch. Waits remember their source line; no runnable fiber is a deadlock and is
// reported.
#pragma once
#include "../device/spectral.cuh"
#include "options.h"
#include "shared_writes.h"
#include <algorithm>
#include <cstdarg>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

// ---- ThreadSanitizer sees every CUDA thread as a thread of its own (kernels instrumented, this library not)
#ifdef SPECTRAL_TSAN
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned);
void __tsan_switch_to_fiber(void*, unsigned);
void __tsan_acquire(void*);
void __tsan_release(void*);
void __tsan_read_range(void*, unsigned long);
void __tsan_write_range(void*, unsigned long);
}
#define TSAN(x) x
#else
#define TSAN(x)
#endif

namespace spectral::cpu {

struct CpOp {
  void* dst;
  const void* src;
  int valid;
};
struct WgOp {
  float* d;
  uint64_t a, b;
  int n, scale_d;
  bool b_depth_rows;
  Where where;
};
// A bulk store: reads shared memory and writes global memory at two moments, each as late as is legal.
struct BulkStore {
  TensorMap map;
  uint32_t offset;
  int x, y;
  Where where;
  std::vector<unsigned char> box;
};

struct Fiber {
  Thread t;   // must be first: spectral_self points here
  void* sp = nullptr;
  char* stack = nullptr;
  class Worker* worker = nullptr;
  const char* waits_on = nullptr;   // for the deadlock report
  const void* wait_obj = nullptr;
  int wait_arg = 0;
  Where where;
  std::vector<CpOp> cp;      // cp.async not yet done
  std::vector<int> cp_end;   // ends of committed groups
  std::vector<WgOp> wg;
  std::vector<int> wg_end;
  int wg_keep = 0;
  bool wg_fenced = false;
  // Sums of products. In flight: their values so far, while d itself holds NaN. Else what the last product left in d,
  // kept until the next wgmma.fence.
  struct Sums {
    float* d;
    std::vector<float> values;
    bool in_flight;
  };
  std::vector<Sums> wg_sums;
  std::vector<BulkStore> bulk;   // not yet written
  std::vector<int> bulk_end;     // ends of committed groups
  int bulk_read = 0;             // stores at the front of bulk that have read their shared memory
  int cluster_phase = -1;        // of the cluster barrier at which it has arrived and not yet waited
  struct Cta* cta = nullptr;
  void* fake_stack = nullptr;   // AddressSanitizer
  void* tsan = nullptr;         // ThreadSanitizer
  unsigned warp() const { return t.linear / 32; }
  unsigned lane() const { return t.linear % 32; }
};
inline Fiber* self() { return reinterpret_cast<Fiber*>(spectral_self); }

struct Warp {
  unsigned arrived = 0;
  unsigned exited = 0;
  void* arg[32];
  Fiber* fiber[32];
  unsigned mask[32];
  WarpFn fn[32];
};
struct WarpGroup {
  int arrived = 0;
  Fiber* fiber[128];
};
struct Barrier {
  int arrived = 0;
  int expected = 0;
  int phase = 0;
  std::vector<Fiber*> waiters;
  char token[2];
};
struct TmaOp {
  TensorMap map;
  uint32_t offset;
  uint64_t* bar;
  int x, y;
  struct Cta* cta;
  Where where;
};

// A block that is being run, and what its threads share.
struct Cta {
  Grid grid;
  unsigned char* smem = nullptr;
  unsigned live = 0;
  std::vector<Warp> warps;
  std::vector<WarpGroup> groups;
  Barrier bars[16];
  SharedWrites writes;
  struct Reader {
    uint32_t begin, end;
    Where where;
  };
  std::vector<Reader> readers;   // bulk stores that have not read their shared memory yet
  void forget();                 // what a faulty block left
};

// A kernel module's thread-local block: its __shared__ variables.
struct StaticShared {
  size_t module = 0;
  size_t size = 0;
};

struct Launch {
  const KernelInfo* kernel;
  StaticShared statics;
  const void* args;
  dim3 grid, block;
  unsigned smem;
  unsigned cluster;   // blocks that run together, neighbours along x
  uint64_t clusters;
  std::atomic<uint64_t> next;
  std::atomic<bool> failed;
  std::atomic<bool> illegal;   // failed by an access to memory that is not mapped
  std::mutex mutex{};
  std::string reason{};   // why it failed, where it did; of several faults the last
  void fail(const std::string& why) {
    std::lock_guard l(mutex);
    reason = why;
    failed = true;
  }
};

class Worker {
 public:
  static Worker& get();   // this OS thread's
  void run(Launch&);      // takes clusters until none are left
  [[noreturn]] void fail(const Where*, const char* fmt, ...) __attribute__((format(printf, 3, 4)));
  [[noreturn]] void fail_access(const char* text);                   // an access to memory that is not mapped
  bool runs_kernel(const Fiber*, uintptr_t sp, size_t room) const;   // and has that much of its stack left below sp
  void suspend(Fiber* me) {
    next_ = pick();
    if (next_ != me)
      switch_to(me, next_);
    if (tracks_writes)
      charge(me);
  }
  void wait(Fiber* me, const char* on, const void* obj, int arg, const Where& w) {
    me->waits_on = on;
    me->wait_obj = obj;
    me->wait_arg = arg;
    me->where = w;
    suspend(me);
  }
  void ready(Fiber* f) {
    f->waits_on = nullptr;
    ready_[ready_tail_++ & kMask] = f;
  }
  void released(Fiber* me);   // the last to arrive goes on, or takes its chance in a shuffled schedule
  void warp_arrive(Fiber*, unsigned mask, const char* name, void* arg, WarpFn, const Where&);
  void bar(int id, int count, bool sync, const Where&);
  void cluster_arrive(const Where&);
  void cluster_wait(const Where&);
  void mbar_check(uint64_t*);   // wakes waiters if the phase has completed
  void tma_run(const TmaOp&);
  // ---- writes of shared memory, in kernels of Hopper alone (shared_writes.cpp)
  void charge(const Fiber*);   // with what changes in its block's shared memory from now on
  void note_writes();          // what has changed since
  void publish_writes(const Fiber*);
  void check_published(const Cta&, uint32_t begin, uint32_t end, const char* what, const Where&);
  bool late() { return !options.eager && (!options.seed || (rnd() & 1)); }
  uint32_t rnd() {
    rng_ ^= rng_ << 13;
    rng_ ^= rng_ >> 17;
    return rng_ ^= rng_ << 5;
  }

  const Launch* launch = nullptr;
  std::vector<Cta> ctas;   // of the cluster that is being run
  size_t smem_size = 0;    // of each of them
  bool plain = false;
  bool tracks_writes = false;
  std::vector<TmaOp> tma, tma_late;   // late ones wait until nothing else can run
  std::vector<uint64_t*> mbars;       // initialised in this cluster
  struct Init {
    const uint64_t* bar;
    const Cta* cta;
    unsigned thread;
  };
  std::vector<Init> unfenced_inits;   // mbarriers that copies and other blocks may not see yet
  std::vector<void*> tsan_threads;
  void* tsan_copies = nullptr;   // the TMA engine
  struct MbarWait {
    Fiber* f;
    uint64_t* bar;
  };
  std::vector<MbarWait> mbar_waiters;
  std::vector<float> scratch;   // for the matrix products
  ~Worker();

 private:
  static constexpr unsigned kMax = 1024;             // threads of a block; stacks come for as many at a time
  static constexpr unsigned kMask = 16 * kMax - 1;   // a cluster has up to eight blocks
  friend void fiber_entry();
  void run_cluster(uint64_t index);
  void take_shared_memory();
  void take_stacks(size_t fibers);   // as many at least, beside the worker's own
  void know_own_stack();
  void forget_barriers();
  void fiber_loop(Fiber*);
  Fiber* pick();
  Fiber* pick_slowly();
  Fiber* fresh();
  void switch_to(Fiber* from, Fiber* to);
  void start_stack(Fiber*, char* top);
  void thread_exit(Fiber*);
  void complete(Warp&, unsigned need, Fiber* me);
  void release(Barrier&, Fiber* me);
  [[noreturn]] void deadlock();
  std::deque<Fiber> fibers_;   // [0] is the worker's own context; none ever moves
  std::vector<Fiber*> free_, spent_;
  std::vector<unsigned> order_;   // shuffled starting order
  Fiber* ready_[kMask + 1];
  unsigned ready_head_ = 0;
  unsigned ready_tail_ = 0;
  unsigned started_ = 0;
  unsigned total_ = 0;
  unsigned live_ = 0;
  unsigned used_ = 1;
  unsigned per_cta_ = 0;
  Fiber* next_ = nullptr;
  Cta* charged_ = nullptr;   // the block whose shared memory changes; null: none yet
  unsigned charged_writer_ = 0;
  Barrier cluster_bar_;
  unsigned char* smem_ = nullptr;
  uint32_t rng_ = 1;
  std::string report_;
  std::vector<char*> stacks_;   // of kMax fibers each
};

uint32_t own_offset(const void*, const Where&);   // in the calling thread's dynamic shared memory, or a reported fault
void finish_bulk_stores(Fiber*);                  // at a thread's end
Worker& hopper(const Where&);   // the calling thread's; a fault in a kernel that is for other GPUs too

void launch(Launch&);   // runs the grid on the pool; throws nothing, sets failed

// ---- stacks (fiber.cpp)
constexpr size_t kPage = 4096;
#ifdef __SANITIZE_ADDRESS__
constexpr size_t kStack = 512 << 10;
#else
constexpr size_t kStack = 64 << 10;
#endif
constexpr size_t kStride = kStack + kPage;      // the odd page guards
void* make_stack(char* top, void (*entry)());   // the stack pointer to switch to
void fiber_entry();
}   // namespace spectral::cpu
