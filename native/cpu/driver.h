// What the driver's entry points share: the objects behind handles, and the checks every call begins with.
// Calls are synchronous unless the option "async" is set: a call returns when its work is done, so streams order
// nothing further.
#pragma once
#include "device_heap.h"
#include "launch_shape.h"
#include "loader_api.h"
#include "worker.h"
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

namespace spectral::cpu {
struct CaptureMark;
struct EventMark;
}   // namespace spectral::cpu
namespace spectral::cpu::ptx {
class LoadedModule;
struct Program;
}   // namespace spectral::cpu::ptx

namespace spectral::cpu {
// What cuCtxSetLimit sets: sizes that the device takes note of. A GPU starts with the same.
struct ContextLimits {
  size_t stack = 1024;
  size_t print_buffer = 1 << 20;
  size_t heap = 8 << 20;
  size_t fetch = 64;   // bytes of an L2 fetch, a hint
};
}   // namespace spectral::cpu

struct CUctx_st {
  bool primary = false;
  int retained = 0;                              // primary context: retains without a release
  std::atomic<CUresult> failure{CUDA_SUCCESS};   // after a failed kernel the context is unusable, as on a real device
  std::string reason;                            // for the failure
  unsigned long long id = 0;                     // 0: the primary; counted from 1 for those of cuCtxCreate
  unsigned flags = 0;
  CUfunc_cache cache = CU_FUNC_CACHE_PREFER_NONE;   // this and the next two are kept, and change nothing here
  CUsharedconfig banks = CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE;
  spectral::cpu::ContextLimits limits;
  spectral::cpu::DeviceHeap heap;
};
struct CUfunc_st {
  spectral::cpu::KernelInfo info;
  CUmodule module;
  CUcontext context;
  int max_dynamic_shared = 0;
  int carveout = -1;                                      // percent of the L1 cache for shared memory: a hint; -1: none
  bool may_exceed_portable_cluster = false;               // of 8 blocks, up to 16
  const spectral::cpu::ptx::Program* program = nullptr;   // of a module of PTX
};
struct CUmod_st {
  CUmod_st();
  ~CUmod_st();   // where LoadedModule is known
  CUcontext context = nullptr;
  void* library = nullptr;
  int fd = -1;   // the image's memory file; stays open: dlopen takes an equal path for an equal library
  spectral::cpu::StaticShared statics;
  std::unique_ptr<spectral::cpu::ptx::LoadedModule> ptx;   // instead of a library
  std::vector<std::unique_ptr<CUfunc_st>> kernels;
};
struct CUstream_st {
  CUcontext context;
  bool non_blocking;
  unsigned long long id;
  std::map<CUstreamAttrID, CUstreamAttrValue> attributes =
      {};   // those that were set: hints, which change nothing here
};
struct CUevent_st {
  CUcontext context;
  bool timing;
  // Of the latest record: one, or none before it.
  std::shared_ptr<spectral::cpu::EventMark> mark;
  std::shared_ptr<spectral::cpu::CaptureMark> captured;   // in a stream that was being captured
};

namespace spectral::cpu {
constexpr int kMaxThreads = 1024;

// Live handles of one kind. A handle that is not in here was never given out or has been destroyed.
template <class T>
class Handles {
 public:
  T* add(T* h) {
    std::lock_guard l(mutex_);
    live_.insert(h);
    return h;
  }
  bool has(T* h) {
    std::lock_guard l(mutex_);
    return live_.count(h);
  }
  bool remove(T* h) {
    std::lock_guard l(mutex_);
    return live_.erase(h);
  }
  std::vector<T*> of(CUcontext c) {
    std::lock_guard l(mutex_);
    std::vector<T*> found;
    for (T* h : live_)
      if (h->context == c)
        found.push_back(h);
    return found;
  }

 private:
  std::mutex mutex_;
  std::unordered_set<T*> live_;
};
extern Handles<CUmod_st> modules;
extern Handles<CUfunc_st> functions;
extern Handles<CUstream_st> streams;
extern Handles<CUevent_st> events;

// The calls begin with one of these, which forget the reason for an earlier error.
CUresult check_initialised();
CUresult check_context();          // initialised, and this thread has a live, unfailed context
CUresult check_stream(CUstream);   // check_context, then the handle; null and the two built-in streams are fine
CUresult check_event(CUevent);
CUcontext current_context();
bool is_live(CUcontext);
bool known_flags(unsigned context_flags);
bool known_preference(CUfunc_cache);
bool known_preference(CUsharedconfig);
CUcontext exchange_context(CUcontext);                                   // for this thread; returns the former one
CUresult fail_context(CUcontext, CUresult, const std::string& reason);   // from now on; returns the status
void catch_bad_addresses();   // of kernels, from now on; other faults go to whoever handled them before
void forget_failure();        // of every context, for tests

CUresult launch_kernel(CUfunction, LaunchShape, CUstream, void** params, void** extra);

void unload_modules(CUcontext);   // what a destroyed context owned
void forget_links(CUcontext);
void forget_modules_of_libraries(CUcontext);   // before they are unloaded with their context
CUfunction launched(CUfunction);               // of a CUkernel, which may be passed for one: its function; else itself
void free_memory(CUcontext);
// SUCCESS, or LAUNCH_FAILED with the error text set when a guard zone was written (checking mode).
CUresult verify_guards();
}   // namespace spectral::cpu

#define SPECTRAL_TRY(call)             \
  if (const CUresult status_ = (call)) \
  return status_
