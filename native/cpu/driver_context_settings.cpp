// What a context is asked about, and told to prefer: flags, limits, configurations.
#include "driver.h"

namespace spectral::cpu {
bool known_preference(CUfunc_cache c) { return c >= CU_FUNC_CACHE_PREFER_NONE && c <= CU_FUNC_CACHE_PREFER_EQUAL; }
bool known_preference(CUsharedconfig c) {
  return c >= CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE && c <= CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE;
}
}   // namespace spectral::cpu

using namespace spectral::cpu;

namespace {
constexpr unsigned kApiVersion = 3020;   // what a driver says of contexts made by cuCtxCreate_v2
constexpr size_t kMaxFetch = 128;        // bytes

// Null where the device has nothing that the limit would bound: kernels launch no kernels, and no cache is set apart.
size_t* find_limit(CUcontext c, CUlimit limit) {
  switch (limit) {
    case CU_LIMIT_STACK_SIZE: return &c->limits.stack;
    case CU_LIMIT_PRINTF_FIFO_SIZE: return &c->limits.print_buffer;
    case CU_LIMIT_MALLOC_HEAP_SIZE: return &c->limits.heap;
    case CU_LIMIT_MAX_L2_FETCH_GRANULARITY: return &c->limits.fetch;
    default: return nullptr;
  }
}
bool known(CUlimit limit) { return limit >= CU_LIMIT_STACK_SIZE && limit <= CU_LIMIT_PERSISTING_L2_CACHE_SIZE; }

template <class T>
CUresult get(T* value, T CUctx_st::*setting) {
  SPECTRAL_TRY(check_context());
  if (!value)
    return CUDA_ERROR_INVALID_VALUE;
  *value = current_context()->*setting;
  return CUDA_SUCCESS;
}
// The context that is meant: null is the current one.
CUresult find_context(CUcontext* c) {
  SPECTRAL_TRY(check_initialised());
  if (!*c)
    *c = current_context();
  return *c && is_live(*c) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}
}   // namespace

extern "C" {
CUresult cuCtxGetApiVersion(CUcontext c, unsigned* version) {
  SPECTRAL_TRY(find_context(&c));
  if (!version)
    return CUDA_ERROR_INVALID_VALUE;
  *version = kApiVersion;
  return CUDA_SUCCESS;
}
CUresult cuCtxGetId(CUcontext c, unsigned long long* id) {
  SPECTRAL_TRY(find_context(&c));
  if (!id)
    return CUDA_ERROR_INVALID_VALUE;
  *id = c->id;
  return CUDA_SUCCESS;
}
CUresult cuCtxGetFlags(unsigned* flags) { return get(flags, &CUctx_st::flags); }
CUresult cuCtxSetFlags(unsigned flags) {
  SPECTRAL_TRY(check_context());
  if (!known_flags(flags))
    return CUDA_ERROR_INVALID_VALUE;
  current_context()->flags = flags;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetLimit(size_t* value, CUlimit limit) {
  SPECTRAL_TRY(check_context());
  if (!value || !known(limit))
    return CUDA_ERROR_INVALID_VALUE;
  const size_t* found = find_limit(current_context(), limit);
  if (!found)
    return CUDA_ERROR_UNSUPPORTED_LIMIT;
  *value = *found;
  return CUDA_SUCCESS;
}
CUresult cuCtxSetLimit(CUlimit limit, size_t value) {
  SPECTRAL_TRY(check_context());
  if (!known(limit) || (limit == CU_LIMIT_MAX_L2_FETCH_GRANULARITY && value > kMaxFetch))
    return CUDA_ERROR_INVALID_VALUE;
  size_t* found = find_limit(current_context(), limit);
  if (!found)
    return CUDA_ERROR_UNSUPPORTED_LIMIT;
  if (limit == CU_LIMIT_MALLOC_HEAP_SIZE && current_context()->heap.has_memory())
    return CUDA_ERROR_INVALID_VALUE;   // a kernel has used it
  *found = value;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCacheConfig(CUfunc_cache* config) { return get(config, &CUctx_st::cache); }
CUresult cuCtxSetCacheConfig(CUfunc_cache config) {
  SPECTRAL_TRY(check_context());
  if (!known_preference(config))
    return CUDA_ERROR_INVALID_VALUE;
  current_context()->cache = config;
  return CUDA_SUCCESS;
}
CUresult cuCtxGetSharedMemConfig(CUsharedconfig* config) { return get(config, &CUctx_st::banks); }
CUresult cuCtxSetSharedMemConfig(CUsharedconfig config) {
  SPECTRAL_TRY(check_context());
  if (!known_preference(config))
    return CUDA_ERROR_INVALID_VALUE;
  current_context()->banks = config;
  return CUDA_SUCCESS;
}
// Zeros: streams have no priorities.
CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  SPECTRAL_TRY(check_context());
  if (least)
    *least = 0;
  if (greatest)
    *greatest = 0;
  return CUDA_SUCCESS;
}
CUresult cuCtxGetExecAffinity(CUexecAffinityParam* affinity, CUexecAffinityType type) {
  SPECTRAL_TRY(check_context());
  return affinity && type == CU_EXEC_AFFINITY_TYPE_SM_COUNT ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY
                                                            : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuCtxResetPersistingL2Cache() { return check_context(); }   // nothing persists

// A profiler would be told; there is none.
CUresult cuProfilerStart() { return check_context(); }
CUresult cuProfilerStop() { return check_context(); }
}
