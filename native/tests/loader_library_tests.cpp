// Libraries and their kernels, entry points by name, and the calls for what the device lacks.
#include "../cpu/loader_api.h"
#include "host.h"
#include <dlfcn.h>

namespace {
struct NothingArgs {
  int unused = 0;
};
constexpr char kPtx[] = R"(
.version 8.0
.target sm_80
.address_size 64
.global .align 4 .b32 counter;
.visible .entry bump(.param .u32 by) {
  .reg .b32 %r<3>;
  ld.param.u32 %r1, [by];
  atom.global.add.u32 %r2, [counter], %r1;
  ret;
}
.visible .entry rest() { ret; }
)";

void libraries() {
  CUlibrary l = nullptr;
  CUmodule m = nullptr;
  CUkernel k = nullptr;
  CUkernel all[3] = {};
  CUfunction f = nullptr;
  CUlibrary owner = nullptr;
  const char* name = nullptr;
  unsigned count = 0;
  int value = 0;
  size_t offset = 9;
  size_t size = 0;
  CUdeviceptr counter = 0;
  CHECK_STATUS(cuLibraryLoadData(nullptr, kPtx, nullptr, nullptr, 0, nullptr, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuLibraryLoadData(&l, "nonsense", nullptr, nullptr, 0, nullptr, nullptr, 0), CUDA_ERROR_INVALID_IMAGE);
  CHECK_STATUS(
      cuLibraryLoadFromFile(&l, "/no/such", nullptr, nullptr, 0, nullptr, nullptr, 0), CUDA_ERROR_FILE_NOT_FOUND);
  CHECK_STATUS(cuLibraryLoadData(&l, kPtx, nullptr, nullptr, 0, nullptr, nullptr, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuLibraryGetKernelCount(&count, l), CUDA_SUCCESS);
  CHECK(count == 2);
  CHECK_STATUS(cuLibraryEnumerateKernels(all, 3, l), CUDA_SUCCESS);
  CHECK(all[0] && all[1] && !all[2]);
  CHECK_STATUS(cuLibraryGetKernel(&k, l, "bump"), CUDA_SUCCESS);
  CHECK(k == all[0] || k == all[1]);
  CHECK_STATUS(cuLibraryGetKernel(&k, l, "none"), CUDA_ERROR_NOT_FOUND);
  CHECK_STATUS(cuLibraryGetKernel(&k, reinterpret_cast<CUlibrary>(&l), "bump"), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuLibraryGetModule(&m, l), CUDA_SUCCESS);
  CHECK_STATUS(cuKernelGetFunction(&f, k), CUDA_SUCCESS);
  CHECK_STATUS(cuKernelGetFunction(&f, reinterpret_cast<CUkernel>(&k)), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuKernelGetFunction(nullptr, k), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuKernelGetLibrary(&owner, k), CUDA_SUCCESS);
  CHECK(owner == l);
  CHECK_STATUS(cuKernelGetName(&name, k), CUDA_SUCCESS);
  CHECK(std::string(name) == "bump");
  CHECK_STATUS(cuKernelGetParamInfo(k, 0, &offset, &size), CUDA_SUCCESS);
  CHECK(offset == 0 && size == 4);
  CHECK_STATUS(cuKernelGetParamInfo(k, 1, &offset, &size), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 64 << 10, k, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, k, 0), CUDA_SUCCESS);
  CHECK(value == 64 << 10);
  CHECK_STATUS(cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, k, 1), CUDA_ERROR_INVALID_DEVICE);
  CHECK_STATUS(cuKernelSetCacheConfig(k, CUfunc_cache(8), 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuLibraryGetGlobal(&counter, &size, l, "counter"), CUDA_SUCCESS);
  CHECK(size == 4);
  CHECK_STATUS(cuLibraryGetGlobal(&counter, &size, l, "none"), CUDA_ERROR_NOT_FOUND);
  CHECK_STATUS(cuLibraryGetManaged(&counter, &size, l, "counter"), CUDA_ERROR_NOT_FOUND);

  // A kernel is launched as a function is, by either handle.
  unsigned by = 3;
  void* params[] = {&by};
  CHECK_STATUS(cuMemsetD32(counter, 0, 1), CUDA_SUCCESS);
  CHECK_STATUS(
      cuLaunchKernel(reinterpret_cast<CUfunction>(k), 2, 1, 1, 32, 1, 1, 0, nullptr, params, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuMemcpyDtoH(&value, counter, 4), CUDA_SUCCESS);
  CHECK(value == 3 * 65);

  CUcontext other = nullptr;   // here a library stays where it was loaded
  CHECK_STATUS(cuCtxCreate(&other, 0, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuKernelGetFunction(&f, k), CUDA_ERROR_NOT_SUPPORTED);
  CHECK(std::strstr(spectralCpuLastError(), "context that it was loaded in"));
  CUlibrary gone = nullptr;
  CHECK_STATUS(cuLibraryLoadData(&gone, kPtx, nullptr, nullptr, 0, nullptr, nullptr, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxDestroy(other), CUDA_SUCCESS);
  CHECK_STATUS(cuLibraryGetModule(&m, gone), CUDA_ERROR_CONTEXT_IS_DESTROYED);
  CHECK_STATUS(cuLibraryUnload(gone), CUDA_SUCCESS);
  CHECK_STATUS(cuLibraryUnload(l), CUDA_SUCCESS);
  CHECK_STATUS(cuLibraryUnload(l), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuKernelGetFunction(&f, k), CUDA_ERROR_INVALID_HANDLE);
}

void symbols() {
  void* p = nullptr;
  CUdriverProcAddressQueryResult found = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  const auto own = [](const char* name) { return dlsym(RTLD_DEFAULT, name); };
  CHECK_STATUS(cuGetProcAddress("cuMemAlloc", &p, 12000, 0, &found), CUDA_SUCCESS);
  CHECK(p == own("cuMemAlloc_v2") && found == CU_GET_PROC_ADDRESS_SUCCESS);
  CHECK_STATUS(cuGetProcAddress("cuInit", &p, 12000, 0, nullptr), CUDA_SUCCESS);
  CHECK(p == own("cuInit"));
  CHECK_STATUS(cuGetProcAddress("cuCtxCreate", &p, 11040, 0, &found), CUDA_SUCCESS);
  CHECK(p == own("cuCtxCreate_v3"));
  CHECK_STATUS(cuGetProcAddress("cuCtxCreate", &p, 11000, 0, &found), CUDA_SUCCESS);
  CHECK(p == own("cuCtxCreate_v2"));
  CHECK_STATUS(cuGetProcAddress("cuMemAdvise", &p, 12010, 0, &found), CUDA_SUCCESS);
  CHECK(p == own("cuMemAdvise"));
  CHECK_STATUS(cuGetProcAddress("cuEventElapsedTime", &p, 12080, 0, &found), CUDA_SUCCESS);
  CHECK(p == own("cuEventElapsedTime_v2"));
  CHECK_STATUS(cuGetProcAddress("cuDeviceGetUuid", &p, 9000, 0, &found), CUDA_SUCCESS);
  CHECK(!p && found == CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
  CHECK_STATUS(cuGetProcAddress("cublasCreate", &p, 12000, 0, &found), CUDA_SUCCESS);   // of another library
  CHECK(!p && found == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
  CHECK_STATUS(cuGetProcAddress(nullptr, &p, 12000, 0, &found), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuGetProcAddress("cuInit", nullptr, 12000, 0, &found), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuGetProcAddress("cuInit", &p, 12000, 8, &found), CUDA_ERROR_INVALID_VALUE);
  const void* table = &p;
  CUuuid id{};
  CHECK_STATUS(cuGetExportTable(&table, &id), CUDA_ERROR_NOT_FOUND);
  CHECK(!table);
  CHECK_STATUS(cuGetExportTable(&table, nullptr), CUDA_ERROR_INVALID_VALUE);
}

void lacking() {
  const auto status = [](const char* name) {
    auto* call = reinterpret_cast<CUresult (*)(void*, void*)>(dlsym(RTLD_DEFAULT, name));
    return call ? call(nullptr, nullptr) : CUDA_ERROR_UNKNOWN;
  };
  CHECK_STATUS(status("cuArrayCreate_v2"), CUDA_ERROR_NOT_SUPPORTED);
  CHECK(std::string(spectralCpuLastError()) == "cuArrayCreate_v2: the CPU device has no arrays, textures or surfaces");
  CHECK_STATUS(status("cuLaunchCooperativeKernel"), CUDA_ERROR_NOT_SUPPORTED);
  CHECK(std::strstr(spectralCpuLastError(), "all run at once"));
  CHECK_STATUS(status("cuStreamWaitValue32_v2"), CUDA_ERROR_NOT_SUPPORTED);
  CHECK_STATUS(status("cuMemCreate"), CUDA_ERROR_NOT_SUPPORTED);
  CHECK_STATUS(status("cuIpcGetMemHandle"), CUDA_ERROR_NOT_SUPPORTED);
}
}   // namespace

TEST_GROUP(loader_libraries) {
  libraries();
  symbols();
  lacking();
}
