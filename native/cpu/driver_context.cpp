// Initialisation, the one device, contexts and the stack of them that each thread has.
#include "capture.h"
#include "memory.h"
#include "pool.h"
#include "profiles.h"
#include <cstdio>
#include <cstring>
#include <utility>

namespace spectral::cpu {
Handles<CUmod_st> modules;
Handles<CUfunc_st> functions;
Handles<CUstream_st> streams;
Handles<CUevent_st> events;

namespace {
constexpr int kLastAttribute = 143;   // of CUDA 12.8
std::atomic<bool> initialised{false};
std::mutex mutex;   // guards all below
CUctx_st primary;
std::unordered_set<CUcontext> contexts;   // live ones; the primary while retained
// The thread's stack of contexts: the current one, null when the stack is empty, and those that it covers. Apart,
// because most threads cover none and every call looks at the current one.
thread_local CUcontext current = nullptr;
thread_local std::unique_ptr<std::vector<CUcontext>> covered;
std::mutex reason_mutex;   // of the contexts' reasons

// Frees what the context owns and takes it out of use. Called with the mutex held.
void destroy(CUcontext c) {
  contexts.erase(c);
  forget_queues(c);
  forget_captures(c);
  for (CUstream s : streams.of(c))
    streams.remove(s), delete s;
  for (CUevent e : events.of(c))
    events.remove(e), delete e;
  forget_links(c);
  forget_modules_of_libraries(c);
  unload_modules(c);
  free_memory(c);
  c->heap.forget();
  c->failure = CUDA_SUCCESS;
}

void push(CUcontext c) {
  if (!covered)
    covered = std::make_unique<std::vector<CUcontext>>();
  if (current)
    covered->push_back(current);
  current = c;
}
void pop() {
  current = nullptr;
  if (!covered || covered->empty())
    return;
  current = covered->back();
  covered->pop_back();
}
}   // namespace

// One way to wait for the device, or none said.
bool known_flags(unsigned flags) {
  const unsigned waiting = flags & CU_CTX_SCHED_MASK;
  return !(flags & ~unsigned(CU_CTX_FLAGS_MASK)) &&
         (waiting == CU_CTX_SCHED_AUTO || waiting == CU_CTX_SCHED_SPIN || waiting == CU_CTX_SCHED_YIELD ||
          waiting == CU_CTX_SCHED_BLOCKING_SYNC);
}

CUresult check_initialised() {
  clear_error();
  return initialised ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}
CUcontext current_context() { return current; }
bool is_live(CUcontext c) {
  std::lock_guard l(mutex);
  return contexts.count(c);
}
CUcontext exchange_context(CUcontext c) { return std::exchange(current, c); }
CUresult check_context() {
  SPECTRAL_TRY(check_initialised());
  if (!current)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (!is_live(current))
    return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  const CUresult failure = current->failure;
  if (failure) {
    std::lock_guard l(reason_mutex);
    set_error(current->reason);
  }
  return failure;
}
CUresult fail_context(CUcontext c, CUresult status, const std::string& reason) {
  {
    std::lock_guard l(reason_mutex);
    c->reason = reason;
  }
  c->failure = status;
  set_error(reason);
  return status;
}
void forget_failure() {
  std::lock_guard l(mutex);
  for (CUcontext c : contexts)
    c->failure = CUDA_SUCCESS;
}
}   // namespace spectral::cpu

using namespace spectral::cpu;

extern "C" {
CUresult cuInit(unsigned flags) {
  if (flags)
    return CUDA_ERROR_INVALID_VALUE;
  static std::once_flag once;
  static bool readable = false;
  std::call_once(once, [] {
    readable = read_environment();
    catch_bad_addresses();
  });
  if (!readable)
    return CUDA_ERROR_INVALID_VALUE;
  initialised = true;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int* count) {
  SPECTRAL_TRY(check_initialised());
  if (!count)
    return CUDA_ERROR_INVALID_VALUE;
  *count = 1;
  return CUDA_SUCCESS;
}
CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  SPECTRAL_TRY(check_initialised());
  if (!device)
    return CUDA_ERROR_INVALID_VALUE;
  if (ordinal != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  *device = 0;
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetName(char* text, int size, CUdevice device) {
  SPECTRAL_TRY(check_initialised());
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  if (!text || size <= 0)
    return CUDA_ERROR_INVALID_VALUE;
  char model[128] = "x86-64 processor";
  if (FILE* f = std::fopen("/proc/cpuinfo", "r")) {
    for (char line[256]; std::fgets(line, sizeof line, f);)
      if (std::sscanf(line, "model name : %127[^\n]", model) == 1)
        break;
    std::fclose(f);
  }
  const char* as = *profile().name ? " as " : "";
  std::snprintf(
      text, size_t(size), "Spectral CPU device%s%s (%s, %d threads)", as, profile().name, model, thread_count());
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  SPECTRAL_TRY(check_initialised());
  if (!value)
    return CUDA_ERROR_INVALID_VALUE;
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  if (profile_attribute(attribute, value))
    return CUDA_SUCCESS;
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: *value = kMaxThreads; break;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: *value = 64; break;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: *value = 0x7fffffff; break;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: *value = 65535; break;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = 32; break;
    case CU_DEVICE_ATTRIBUTE_INTEGRATED:
    case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
    case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY:
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING: *value = 1; break;
    case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
    case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT:
    case CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH: *value = 0; break;
    case CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY: *value = 64 << 10; break;
    case CU_DEVICE_ATTRIBUTE_MAX_PITCH: *value = 0x7fffffff; break;
    case CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT: *value = 512; break;   // what cuMemAllocPitch rounds rows to
    default:   // what there is none of, as textures and peers; what no driver knows is refused
      if (attribute <= 0 || attribute > kLastAttribute)
        return CUDA_ERROR_INVALID_VALUE;
      *value = 0;
  }
  return CUDA_SUCCESS;
}
CUresult cuDeviceTotalMem(size_t* bytes, CUdevice device) {
  SPECTRAL_TRY(check_initialised());
  if (!bytes)
    return CUDA_ERROR_INVALID_VALUE;
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  *bytes = device_memory().total;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  SPECTRAL_TRY(check_initialised());
  if (!context)
    return CUDA_ERROR_INVALID_VALUE;
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  std::lock_guard l(mutex);
  primary.primary = true;
  ++primary.retained;
  contexts.insert(&primary);
  *context = &primary;
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
  SPECTRAL_TRY(check_initialised());
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  if (primary.retained == 1)
    finish_all(&primary);   // not under the mutex, which work may take
  std::lock_guard l(mutex);
  if (!primary.retained)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (--primary.retained == 0)
    destroy(&primary);
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
  SPECTRAL_TRY(check_initialised());
  if (!flags || !active)
    return CUDA_ERROR_INVALID_VALUE;
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  std::lock_guard l(mutex);
  *flags = primary.flags;
  *active = int(contexts.count(&primary));
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags) {
  SPECTRAL_TRY(check_initialised());
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  if (!known_flags(flags))
    return CUDA_ERROR_INVALID_VALUE;
  std::lock_guard l(mutex);
  primary.flags = flags;
  return CUDA_SUCCESS;
}
// The retains stay, as on a GPU; the next one makes the context usable again.
CUresult cuDevicePrimaryCtxReset(CUdevice device) {
  SPECTRAL_TRY(check_initialised());
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  finish_all(&primary);
  std::lock_guard l(mutex);
  destroy(&primary);
  return CUDA_SUCCESS;
}

CUresult cuCtxCreate(CUcontext* context, unsigned flags, CUdevice device) {
  SPECTRAL_TRY(check_initialised());
  if (!context || !known_flags(flags))
    return CUDA_ERROR_INVALID_VALUE;
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  std::lock_guard l(mutex);
  static unsigned long long created = 0;
  auto* c = new CUctx_st;
  c->id = ++created;
  c->flags = flags;
  contexts.insert(c);
  push(c);
  *context = c;
  return CUDA_SUCCESS;
}
CUresult cuCtxCreate_v3(CUcontext* context, CUexecAffinityParam* affinity, int count, unsigned flags, CUdevice device) {
  SPECTRAL_TRY(check_initialised());
  if (count < 0 || (count && !affinity))
    return CUDA_ERROR_INVALID_VALUE;
  return count ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY : cuCtxCreate(context, flags, device);
}
CUresult cuCtxCreate_v4(CUcontext* context, CUctxCreateParams* wanted, unsigned flags, CUdevice device) {
  SPECTRAL_TRY(check_initialised());
  if (!wanted)
    return cuCtxCreate(context, flags, device);
  if (wanted->cigParams)
    return CUDA_ERROR_NOT_SUPPORTED;
  return cuCtxCreate_v3(context, wanted->execAffinityParams, wanted->numExecAffinityParams, flags, device);
}
CUresult cuCtxDestroy(CUcontext c) {
  SPECTRAL_TRY(check_initialised());
  if (c)
    finish_all(c);
  std::lock_guard l(mutex);
  if (!c || !contexts.count(c) || c->primary)
    return CUDA_ERROR_INVALID_CONTEXT;
  destroy(c);
  if (current == c)
    pop();
  delete c;
  return CUDA_SUCCESS;
}
CUresult cuCtxPushCurrent(CUcontext c) {
  SPECTRAL_TRY(check_initialised());
  if (!is_live(c))
    return CUDA_ERROR_INVALID_CONTEXT;
  push(c);
  return CUDA_SUCCESS;
}
CUresult cuCtxPopCurrent(CUcontext* c) {
  SPECTRAL_TRY(check_initialised());
  if (!current)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (c)
    *c = current;
  pop();
  return CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext c) {
  SPECTRAL_TRY(check_initialised());
  if (!c) {
    pop();
    return CUDA_SUCCESS;
  }
  if (!is_live(c))
    return CUDA_ERROR_INVALID_CONTEXT;
  current = c;
  return CUDA_SUCCESS;
}
CUresult cuCtxGetCurrent(CUcontext* c) {
  SPECTRAL_TRY(check_initialised());
  if (!c)
    return CUDA_ERROR_INVALID_VALUE;
  *c = current;
  return CUDA_SUCCESS;
}
CUresult cuCtxGetDevice(CUdevice* device) {
  SPECTRAL_TRY(check_initialised());
  if (!current)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (!device)
    return CUDA_ERROR_INVALID_VALUE;
  *device = 0;
  return CUDA_SUCCESS;
}
CUresult cuCtxSynchronize() {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_unsafe());
  SPECTRAL_TRY(finish_context());
  return verify_guards();
}
}
