// What a module is asked about its functions, and functions about themselves. Everything is loaded with its module.
#include "driver.h"
#include <algorithm>

using namespace spectral::cpu;

namespace {
CUresult check_function(CUfunction f) {
  SPECTRAL_TRY(check_context());
  return functions.has(f) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}
}   // namespace

extern "C" {
CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode* mode) {
  SPECTRAL_TRY(check_initialised());
  if (!mode)
    return CUDA_ERROR_INVALID_VALUE;
  *mode = CU_MODULE_EAGER_LOADING;
  return CUDA_SUCCESS;
}
CUresult cuModuleGetFunctionCount(unsigned* count, CUmodule m) {
  SPECTRAL_TRY(check_context());
  if (!count)
    return CUDA_ERROR_INVALID_VALUE;
  if (!modules.has(m))
    return CUDA_ERROR_INVALID_HANDLE;
  *count = unsigned(m->kernels.size());
  return CUDA_SUCCESS;
}
CUresult cuModuleEnumerateFunctions(CUfunction* found, unsigned count, CUmodule m) {
  SPECTRAL_TRY(check_context());
  if (!found || !count)
    return CUDA_ERROR_INVALID_VALUE;
  if (!modules.has(m))
    return CUDA_ERROR_INVALID_HANDLE;
  for (size_t i = 0; i < std::min(size_t(count), m->kernels.size()); ++i)
    found[i] = m->kernels[i].get();
  return CUDA_SUCCESS;
}

CUresult cuFuncGetModule(CUmodule* m, CUfunction f) {
  SPECTRAL_TRY(check_function(f));
  if (!m)
    return CUDA_ERROR_INVALID_VALUE;
  *m = f->module;
  return CUDA_SUCCESS;
}
CUresult cuFuncGetName(const char** name, CUfunction f) {
  SPECTRAL_TRY(check_function(f));
  if (!name)
    return CUDA_ERROR_INVALID_VALUE;
  *name = f->info.name;
  return CUDA_SUCCESS;
}
CUresult cuFuncIsLoaded(CUfunctionLoadingState* state, CUfunction f) {
  SPECTRAL_TRY(check_function(f));
  if (!state)
    return CUDA_ERROR_INVALID_VALUE;
  *state = CU_FUNCTION_LOADING_STATE_LOADED;
  return CUDA_SUCCESS;
}
CUresult cuFuncLoad(CUfunction f) { return check_function(f); }
// Preferences between shared memory and cache, and of the banks' width: there is nothing to choose here.
CUresult cuFuncSetCacheConfig(CUfunction f, CUfunc_cache config) {
  SPECTRAL_TRY(check_function(f));
  return known_preference(config) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuFuncSetSharedMemConfig(CUfunction f, CUsharedconfig config) {
  SPECTRAL_TRY(check_function(f));
  return known_preference(config) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
}
