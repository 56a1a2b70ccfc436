// Initialisation, the one device, contexts.
#include "capture.h"
#include "memory.h"
#include "pool.h"
#include "profiles.h"
#include <cstdio>
#include <cstring>

namespace spectral::cpu {
Handles<CUmod_st> modules;
Handles<CUfunc_st> functions;
Handles<CUstream_st> streams;
Handles<CUevent_st> events;

namespace {
std::atomic<bool> initialised{false};
std::mutex mutex;   // guards all below
CUctx_st primary;
std::unordered_set<CUcontext> contexts;   // live ones; the primary while retained
thread_local CUcontext current = nullptr;
std::mutex reason_mutex;   // of the contexts' reasons

// Frees what the context owns and takes it out of use. Called with the mutex held.
void destroy(CUcontext c) {
  contexts.erase(c);
  forget_captures(c);
  for (CUstream s : streams.of(c))
    streams.remove(s), delete s;
  for (CUevent e : events.of(c))
    events.remove(e), delete e;
  unload_modules(c);
  free_memory(c);
  c->failure = CUDA_SUCCESS;
}
}   // namespace

CUresult check_initialised() {
  clear_error();
  return initialised ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}
CUcontext current_context() { return current; }
CUresult check_context() {
  SPECTRAL_TRY(check_initialised());
  if (!current)
    return CUDA_ERROR_INVALID_CONTEXT;
  {
    std::lock_guard l(mutex);
    if (!contexts.count(current))
      return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  }
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
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING: *value = 1; break;
    case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
    case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT:
    case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY:
    case CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH:
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED: *value = 0; break;
    default: return CUDA_ERROR_INVALID_VALUE;
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
  std::lock_guard l(mutex);
  if (!primary.retained)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (--primary.retained == 0)
    destroy(&primary);
  return CUDA_SUCCESS;
}
CUresult cuCtxCreate(CUcontext* context, unsigned, CUdevice device) {
  SPECTRAL_TRY(check_initialised());
  if (!context)
    return CUDA_ERROR_INVALID_VALUE;
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  std::lock_guard l(mutex);
  auto* c = new CUctx_st;
  c->previous = current;
  contexts.insert(c);
  *context = current = c;
  return CUDA_SUCCESS;
}
CUresult cuCtxDestroy(CUcontext c) {
  SPECTRAL_TRY(check_initialised());
  std::lock_guard l(mutex);
  if (!c || !contexts.count(c) || c->primary)
    return CUDA_ERROR_INVALID_CONTEXT;
  destroy(c);
  if (current == c)
    current = contexts.count(c->previous) ? c->previous : nullptr;
  delete c;
  return CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext c) {
  SPECTRAL_TRY(check_initialised());
  std::lock_guard l(mutex);
  if (c && !contexts.count(c))
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
  return verify_guards();
}
}
