// Libraries and their kernels. On a GPU a library is loaded into every context; here it is one module, in the context
// that was current when it was loaded, and other contexts cannot use it.
#include "driver.h"
#include <algorithm>

struct CUkern_st {
  CUlibrary library;
  CUfunction function;
};
struct CUlib_st {
  CUcontext context;
  CUmodule module;   // null once its context is destroyed
  std::vector<std::unique_ptr<CUkern_st>> kernels;
};

using namespace spectral::cpu;

namespace {
std::mutex mutex;   // guards the two, and the modules of libraries
std::unordered_set<CUlibrary> libraries;
std::unordered_set<CUkernel> kernels;

CUresult check_usable(CUlibrary l) {   // called with the mutex held
  if (!l->module)
    return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  if (l->context == current_context())
    return CUDA_SUCCESS;
  set_error("library: on the CPU device it can be used in the context that it was loaded in");
  return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult module_of(CUlibrary l, CUmodule* m) {
  SPECTRAL_TRY(check_context());
  std::lock_guard lock(mutex);
  if (!libraries.count(l))
    return CUDA_ERROR_INVALID_HANDLE;
  SPECTRAL_TRY(check_usable(l));
  *m = l->module;
  return CUDA_SUCCESS;
}
CUresult function_of(CUkernel k, CUfunction* f) {
  SPECTRAL_TRY(check_context());
  std::lock_guard lock(mutex);
  if (!kernels.count(k))
    return CUDA_ERROR_INVALID_HANDLE;
  SPECTRAL_TRY(check_usable(k->library));
  *f = k->function;
  return CUDA_SUCCESS;
}
void add_library(CUlibrary* out, CUmodule m) {
  auto l = std::make_unique<CUlib_st>();
  l->context = current_context();
  l->module = m;
  std::lock_guard lock(mutex);
  for (auto& f : m->kernels) {
    l->kernels.push_back(std::make_unique<CUkern_st>(CUkern_st{l.get(), f.get()}));
    kernels.insert(l->kernels.back().get());
  }
  libraries.insert(*out = l.release());
}
CUresult check_device(CUdevice device) { return device == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE; }
}   // namespace

namespace spectral::cpu {
void forget_modules_of_libraries(CUcontext c) {
  std::lock_guard lock(mutex);
  for (CUlibrary l : libraries)
    if (l->context == c)
      l->module = nullptr;
}
CUfunction launched(CUfunction f) {
  if (functions.has(f))
    return f;
  CUfunction of_kernel = nullptr;
  return function_of(reinterpret_cast<CUkernel>(f), &of_kernel) ? f : of_kernel;
}
}   // namespace spectral::cpu

extern "C" {
// Its options concern what is kept of the image; nothing of it is needed once it is loaded.
CUresult cuLibraryLoadData(
    CUlibrary* l, const void* image, CUjit_option* jit, void** jit_values, unsigned jit_count, CUlibraryOption*, void**,
    unsigned) {
  SPECTRAL_TRY(check_context());
  if (!l)
    return CUDA_ERROR_INVALID_VALUE;
  CUmodule m;
  SPECTRAL_TRY(cuModuleLoadDataEx(&m, image, jit_count, jit, jit_values));
  add_library(l, m);
  return CUDA_SUCCESS;
}
CUresult cuLibraryLoadFromFile(
    CUlibrary* l, const char* file, CUjit_option*, void**, unsigned, CUlibraryOption*, void**, unsigned) {
  SPECTRAL_TRY(check_context());
  if (!l)
    return CUDA_ERROR_INVALID_VALUE;
  CUmodule m;
  SPECTRAL_TRY(cuModuleLoad(&m, file));
  add_library(l, m);
  return CUDA_SUCCESS;
}
CUresult cuLibraryUnload(CUlibrary l) {
  SPECTRAL_TRY(check_initialised());
  CUmodule m;
  {
    std::lock_guard lock(mutex);
    if (!libraries.erase(l))
      return CUDA_ERROR_INVALID_HANDLE;
    for (auto& k : l->kernels)
      kernels.erase(k.get());
    m = l->module;
    delete l;
  }
  return m ? cuModuleUnload(m) : CUDA_SUCCESS;
}
CUresult cuLibraryGetKernel(CUkernel* k, CUlibrary l, const char* name) {
  SPECTRAL_TRY(check_initialised());
  if (!k || !name)
    return CUDA_ERROR_INVALID_VALUE;
  CUmodule m;
  CUfunction f;
  SPECTRAL_TRY(module_of(l, &m));
  SPECTRAL_TRY(cuModuleGetFunction(&f, m, name));
  std::lock_guard lock(mutex);
  for (auto& kernel : l->kernels)
    if (kernel->function == f)
      *k = kernel.get();
  return CUDA_SUCCESS;
}
CUresult cuLibraryGetKernelCount(unsigned* count, CUlibrary l) {
  CUmodule m;
  SPECTRAL_TRY(module_of(l, &m));
  return cuModuleGetFunctionCount(count, m);
}
CUresult cuLibraryEnumerateKernels(CUkernel* found, unsigned count, CUlibrary l) {
  CUmodule m;
  SPECTRAL_TRY(module_of(l, &m));
  if (!found || !count)
    return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < std::min(size_t(count), l->kernels.size()); ++i)
    found[i] = l->kernels[i].get();
  return CUDA_SUCCESS;
}
CUresult cuLibraryGetModule(CUmodule* m, CUlibrary l) {
  SPECTRAL_TRY(check_initialised());
  return m ? module_of(l, m) : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuLibraryGetGlobal(CUdeviceptr* address, size_t* bytes, CUlibrary l, const char* name) {
  CUmodule m;
  SPECTRAL_TRY(module_of(l, &m));
  return cuModuleGetGlobal(address, bytes, m, name);
}
// No module has managed variables or functions for both sides.
CUresult cuLibraryGetManaged(CUdeviceptr*, size_t*, CUlibrary l, const char* name) {
  CUmodule m;
  SPECTRAL_TRY(module_of(l, &m));
  return name ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuLibraryGetUnifiedFunction(void**, CUlibrary l, const char* name) {
  CUmodule m;
  SPECTRAL_TRY(module_of(l, &m));
  return name ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuKernelGetFunction(CUfunction* f, CUkernel k) {
  SPECTRAL_TRY(check_initialised());
  return f ? function_of(k, f) : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuKernelGetLibrary(CUlibrary* l, CUkernel k) {
  SPECTRAL_TRY(check_initialised());
  if (!l)
    return CUDA_ERROR_INVALID_VALUE;
  std::lock_guard lock(mutex);
  if (!kernels.count(k))
    return CUDA_ERROR_INVALID_HANDLE;
  *l = k->library;
  return CUDA_SUCCESS;
}
CUresult cuKernelGetName(const char** name, CUkernel k) {
  CUfunction f;
  SPECTRAL_TRY(function_of(k, &f));
  return cuFuncGetName(name, f);
}
CUresult cuKernelGetParamInfo(CUkernel k, size_t index, size_t* offset, size_t* size) {
  CUfunction f;
  SPECTRAL_TRY(function_of(k, &f));
  return cuFuncGetParamInfo(f, index, offset, size);
}
CUresult cuKernelGetAttribute(int* value, CUfunction_attribute attribute, CUkernel k, CUdevice device) {
  CUfunction f;
  SPECTRAL_TRY(function_of(k, &f));
  SPECTRAL_TRY(check_device(device));
  return cuFuncGetAttribute(value, attribute, f);
}
CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel k, CUdevice device) {
  CUfunction f;
  SPECTRAL_TRY(function_of(k, &f));
  SPECTRAL_TRY(check_device(device));
  return cuFuncSetAttribute(f, attribute, value);
}
CUresult cuKernelSetCacheConfig(CUkernel k, CUfunc_cache config, CUdevice device) {
  CUfunction f;
  SPECTRAL_TRY(function_of(k, &f));
  SPECTRAL_TRY(check_device(device));
  return cuFuncSetCacheConfig(f, config);
}
}
