// Entry points by name, as the CUDA runtime and other loaders ask for them.
#include "driver.h"
#include <cctype>
#include <cstring>
#include <dlfcn.h>
#include <string>

using namespace spectral::cpu;

namespace {
// Names that came to mean another function with a version of CUDA; the later of a name first. Names that are not in
// here have meant their "_v2" since before CUDA 11, where there is one.
struct Renamed {
  const char* name;
  int since;
  const char* symbol;
};
constexpr Renamed kRenamed[] = {
    {"cuCtxCreate", 12050, "cuCtxCreate_v4"},
    {"cuCtxCreate", 11040, "cuCtxCreate_v3"},
    {"cuCtxCreate", 3020, "cuCtxCreate_v2"},
    {"cuDeviceGetUuid", 11040, "cuDeviceGetUuid_v2"},
    {"cuDeviceGetUuid", 9020, "cuDeviceGetUuid"},
    {"cuEventElapsedTime", 12080, "cuEventElapsedTime_v2"},
    {"cuEventElapsedTime", 2000, "cuEventElapsedTime"},
    {"cuGetProcAddress", 12000, "cuGetProcAddress_v2"},
    {"cuGetProcAddress", 11030, "cuGetProcAddress"},
    {"cuMemAdvise", 12020, "cuMemAdvise_v2"},
    {"cuMemAdvise", 8000, "cuMemAdvise"},
    {"cuMemPrefetchAsync", 12020, "cuMemPrefetchAsync_v2"},
    {"cuMemPrefetchAsync", 8000, "cuMemPrefetchAsync"},
    {"cuStreamGetCtx", 12050, "cuStreamGetCtx_v2"},
    {"cuStreamGetCtx", 9020, "cuStreamGetCtx"},
};

// This library's function, null if it has none of the name.
void* own_symbol(const std::string& name) {
  static void* const self = [] {
    Dl_info where;
    dladdr(reinterpret_cast<void*>(&cuInit), &where);
    return dlopen(where.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  }();
  return dlsym(self, name.c_str());
}
CUdriverProcAddressQueryResult find(const char* name, int version, void** function) {
  *function = nullptr;
  if (std::strncmp(name, "cu", 2) || !std::isupper(name[2]))   // not the other libraries' functions, which are here too
    return CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  bool later = false;
  for (const Renamed& r : kRenamed) {
    if (std::strcmp(r.name, name))
      continue;
    later = true;
    if (version >= r.since) {
      *function = own_symbol(r.symbol);
      return *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    }
  }
  if (later)
    return CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
  *function = own_symbol(std::string(name) + "_v2");
  if (!*function)
    *function = own_symbol(name);
  return *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
}
}   // namespace

extern "C" {
// The default stream of a thread, which the flags can ask for, is the device's here: it waits for more, never for less.
CUresult cuGetProcAddress(
    const char* name, void** function, int version, cuuint64_t flags, CUdriverProcAddressQueryResult* result) {
  clear_error();
  if (!name || !function || flags > 2)
    return CUDA_ERROR_INVALID_VALUE;
  const CUdriverProcAddressQueryResult found = find(name, version, function);
  if (result)
    *result = found;
  return CUDA_SUCCESS;
}
CUresult cuGetExportTable(const void** table, const CUuuid* id) {
  clear_error();
  if (!table || !id)
    return CUDA_ERROR_INVALID_VALUE;
  *table = nullptr;   // the tables are the driver's own business with its runtime
  return CUDA_ERROR_NOT_FOUND;
}
}
#undef cuGetProcAddress
// Of CUDA 11: a name that is not found is an error.
extern "C" CUresult cuGetProcAddress(const char* name, void** function, int version, cuuint64_t flags) {
  SPECTRAL_TRY(cuGetProcAddress_v2(name, function, version, flags, nullptr));
  return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
