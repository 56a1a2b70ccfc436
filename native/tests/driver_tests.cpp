// Status codes of the driver entry points: what is refused, and with which code.
#include "host.h"
#include <thread>

namespace {
struct NothingArgs {
  int unused = 0;
};

void launches() {
  CUfunction f = kernel("nothing");
  CUfunction g = kernel("axpy_f32");
  NothingArgs args;
  void* params[] = {&args};
  auto go =
      [&](CUfunction k, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned smem) {
        return cuLaunchKernel(k, gx, gy, gz, bx, by, bz, smem, nullptr, params, nullptr);
      };
  CHECK_STATUS(go(f, 1, 1, 1, 32, 1, 1, 0), CUDA_SUCCESS);
  CHECK_STATUS(go(f, 3, 2, 2, 8, 4, 2, 0), CUDA_SUCCESS);
  CHECK_STATUS(go(f, 0, 1, 1, 32, 1, 1, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(go(f, 1, 1, 1, 0, 1, 1, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(go(f, 1, 65536, 1, 32, 1, 1, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(go(f, 0x80000000u, 1, 1, 32, 1, 1, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(go(f, 1, 1, 1, 2048, 1, 1, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(go(f, 1, 1, 1, 1, 1, 65, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(go(g, 1, 1, 1, 257, 1, 1, 0), CUDA_ERROR_INVALID_VALUE);   // beyond its launch bounds
  CHECK_STATUS(go(f, 1, 1, 1, 32, 1, 1, (48 << 10) + 1), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(
      cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 228 << 10), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_NUM_REGS, 1), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 227 << 10), CUDA_SUCCESS);
  CHECK_STATUS(go(f, 1, 1, 1, 32, 1, 1, 227 << 10), CUDA_SUCCESS);
  int value = 0;
  CHECK_STATUS(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, f), CUDA_SUCCESS);
  CHECK(value == 227 << 10);
  CHECK_STATUS(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, g), CUDA_SUCCESS);
  CHECK(value == 256);
  CHECK_STATUS(cuFuncGetAttribute(&value, CUfunction_attribute(99), g), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(go(nullptr, 1, 1, 1, 32, 1, 1, 0), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(go(reinterpret_cast<CUfunction>(&args), 1, 1, 1, 32, 1, 1, 0), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(
      cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, reinterpret_cast<CUstream>(&args), params, nullptr),
      CUDA_ERROR_INVALID_HANDLE);
}

void memory() {
  CUdeviceptr p = 0;
  CHECK_STATUS(cuMemAlloc(&p, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemAlloc(nullptr, 16), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemAlloc(&p, size_t(1) << 60), CUDA_ERROR_OUT_OF_MEMORY);
  CHECK_STATUS(cuMemAlloc(&p, 1000), CUDA_SUCCESS);
  CHECK(p % 256 == 0);
  char host[2000] = {};
  CHECK_STATUS(cuMemcpyHtoD(p, host, 1000), CUDA_SUCCESS);
  CHECK_STATUS(cuMemcpyHtoD(p, host, 1001), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemcpyDtoH(host, p + 500, 501), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemcpyDtoH(host, p + 1000, 1), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemcpyHtoD(p, nullptr, 4), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemcpyHtoD(0, host, 4), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemcpyHtoD(p, host, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuMemcpyDtoD(p, p + 8, 1000), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemsetD8(p, 7, 1000), CUDA_SUCCESS);
  CHECK_STATUS(cuMemsetD8(p, 7, 1001), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemsetD32(p + 2, 7, 4), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemsetD32Async(p + 4, 0x01020304, 2, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuMemcpyDtoDAsync(p + 100, p, 12, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuMemcpyDtoHAsync(host, p + 100, 16, nullptr), CUDA_SUCCESS);
  CHECK(!std::memcmp(host, "\7\7\7\7\4\3\2\1\4\3\2\1\7\7\7\7", 16));
  unsigned type = 0;
  CUdeviceptr start = 0;
  size_t size = 0;
  CHECK_STATUS(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 10), CUDA_SUCCESS);
  CHECK(type == CU_MEMORYTYPE_DEVICE);
  CHECK_STATUS(cuPointerGetAttribute(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, p + 10), CUDA_SUCCESS);
  CHECK_STATUS(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, p + 10), CUDA_SUCCESS);
  CHECK(start == p && size == 1000);
  CHECK_STATUS(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, p + 999), CUDA_SUCCESS);
  CHECK_STATUS(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, p + 1000), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(
      cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CUdeviceptr(host)), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemFree(p + 1), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemFreeHost(reinterpret_cast<void*>(p)), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemFree(p), CUDA_SUCCESS);
  CHECK_STATUS(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemcpyHtoD(p, host, 4), CUDA_ERROR_INVALID_VALUE);
  void* pinned = nullptr;
  CHECK_STATUS(cuMemHostAlloc(&pinned, 64, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CUdeviceptr(pinned)), CUDA_SUCCESS);
  CHECK(type == CU_MEMORYTYPE_HOST);
  CHECK_STATUS(cuMemFreeHost(pinned), CUDA_SUCCESS);
  CHECK_STATUS(cuMemFreeHost(pinned), CUDA_ERROR_INVALID_VALUE);
  size_t available = 0;
  size_t total = 0;
  CHECK_STATUS(cuMemGetInfo(&available, &total), CUDA_SUCCESS);
  CHECK(available > 0 && available <= total);
  CUdeviceptr some = 0;
  CUdeviceptr more = 0;
  CHECK_STATUS(cuMemAlloc(&some, 1 << 20), CUDA_SUCCESS);
  spectralCpuSetOption("memory", 16L << 20);   // what other tests left allocated counts too
  CHECK_STATUS(cuMemGetInfo(&available, &total), CUDA_SUCCESS);
  CHECK(total == 16 << 20 && available <= 15 << 20);
  CHECK_STATUS(cuDeviceTotalMem(&total, 0), CUDA_SUCCESS);
  CHECK(total == 16 << 20);
  CHECK_STATUS(cuMemAlloc(&more, available + 1), CUDA_ERROR_OUT_OF_MEMORY);
  CHECK_STATUS(cuMemAlloc(&more, available), CUDA_SUCCESS);
  CHECK_STATUS(cuMemHostAlloc(&pinned, 1 << 20, 0), CUDA_SUCCESS);   // no device memory
  CHECK_STATUS(cuMemFreeHost(pinned), CUDA_SUCCESS);
  CHECK_STATUS(cuMemFree(more), CUDA_SUCCESS);
  CHECK_STATUS(cuMemFree(some), CUDA_SUCCESS);
  spectralCpuSetOption("memory", 0);
}

void streams_and_events() {
  CUstream s = nullptr;
  CUevent a = nullptr;
  CUevent b = nullptr;
  CUevent untimed = nullptr;
  float ms = -1;
  CHECK_STATUS(cuStreamCreate(&s, 8), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuStreamCreate(nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
  CHECK_STATUS(cuEventCreate(&a, CU_EVENT_DEFAULT), CUDA_SUCCESS);
  CHECK_STATUS(cuEventCreate(&b, CU_EVENT_DEFAULT), CUDA_SUCCESS);
  CHECK_STATUS(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING), CUDA_SUCCESS);
  CHECK_STATUS(cuEventQuery(a), CUDA_SUCCESS);
  CHECK_STATUS(cuEventRecord(a, s), CUDA_SUCCESS);
  CHECK_STATUS(cuEventElapsedTime(&ms, a, b), CUDA_ERROR_INVALID_HANDLE);   // b was not recorded
  CHECK_STATUS(cuEventRecord(untimed, s), CUDA_SUCCESS);
  CHECK_STATUS(cuEventElapsedTime(&ms, a, untimed), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuEventRecord(b, s), CUDA_SUCCESS);
  CHECK_STATUS(cuEventElapsedTime(&ms, a, b), CUDA_SUCCESS);
  CHECK(ms >= 0);
  CHECK_STATUS(cuStreamWaitEvent(s, b, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamWaitEvent(s, reinterpret_cast<CUevent>(s), 0), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuStreamQuery(s), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamSynchronize(s), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamSynchronize(nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuEventSynchronize(b), CUDA_SUCCESS);
  CHECK_STATUS(cuEventDestroy(a), CUDA_SUCCESS);
  CHECK_STATUS(cuEventDestroy(a), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuEventRecord(a, s), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuEventDestroy(b), CUDA_SUCCESS);
  CHECK_STATUS(cuEventDestroy(untimed), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamDestroy(s), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamDestroy(s), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuStreamSynchronize(s), CUDA_ERROR_INVALID_HANDLE);
}

void module_handles(const std::string& file) {
  CUmodule m = nullptr;
  CUmodule again = nullptr;
  CUfunction f = nullptr;
  CHECK_STATUS(cuModuleLoad(&m, "/no/such/file"), CUDA_ERROR_FILE_NOT_FOUND);
  CHECK_STATUS(cuModuleLoadData(&m, nullptr), CUDA_ERROR_INVALID_VALUE);
  char other[64] = "neither a library nor PTX";
  CHECK_STATUS(cuModuleLoadData(&m, other), CUDA_ERROR_INVALID_IMAGE);
  CHECK(std::strstr(spectralCpuLastError(), "neither PTX text, nor a fatbin, nor a shared library of kernels"));
  CHECK_STATUS(cuModuleLoadData(&m, ""), CUDA_ERROR_INVALID_IMAGE);
  unsigned char arm[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
  arm[18] = 183;   // EM_AARCH64
  CHECK_STATUS(cuModuleLoadData(&m, arm), CUDA_ERROR_NO_BINARY_FOR_GPU);
  CHECK(std::strstr(spectralCpuLastError(), "another processor"));
  CHECK_STATUS(cuModuleGetFunction(&f, nullptr, "nothing"), CUDA_ERROR_INVALID_HANDLE);
  CHECK(!*spectralCpuLastError());   // not the reason for the error before
  CHECK_STATUS(cuModuleLoad(&m, file.c_str()), CUDA_SUCCESS);
  CHECK_STATUS(cuModuleLoad(&again, file.c_str()), CUDA_SUCCESS);   // a second copy of its own
  CHECK(m != again);
  CHECK_STATUS(cuModuleGetFunction(&f, m, "nothing"), CUDA_SUCCESS);
  CHECK_STATUS(cuModuleGetFunction(&f, m, "no such kernel"), CUDA_ERROR_NOT_FOUND);
  CHECK_STATUS(cuModuleGetFunction(nullptr, m, "nothing"), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuModuleGetFunction(&f, nullptr, "nothing"), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuModuleGetFunction(&f, m, "nothing"), CUDA_SUCCESS);
  CHECK_STATUS(cuModuleUnload(m), CUDA_SUCCESS);
  CHECK_STATUS(cuModuleUnload(m), CUDA_ERROR_INVALID_HANDLE);
  NothingArgs args;
  void* params[] = {&args};
  CHECK_STATUS(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuModuleUnload(again), CUDA_SUCCESS);
}

void contexts() {
  CUcontext primary = nullptr;
  CUcontext c = nullptr;
  CUcontext now = nullptr;
  CUdevice device = -1;
  int count = 0;
  int value = 0;
  char name[128];
  size_t bytes = 0;
  CHECK_STATUS(cuDeviceGetCount(&count), CUDA_SUCCESS);
  CHECK(count == 1);
  CHECK_STATUS(cuDeviceGet(&device, 1), CUDA_ERROR_INVALID_DEVICE);
  CHECK_STATUS(cuDeviceGet(&device, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuDeviceGetName(name, sizeof name, 0), CUDA_SUCCESS);
  CHECK(std::strstr(name, "CPU device"));
  CHECK_STATUS(cuDeviceGetName(name, sizeof name, 3), CUDA_ERROR_INVALID_DEVICE);
  CHECK_STATUS(cuDeviceTotalMem(&bytes, 0), CUDA_SUCCESS);
  CHECK(bytes > 0);
  CHECK_STATUS(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0), CUDA_SUCCESS);
  CHECK(value == 32);
  CHECK_STATUS(cuDeviceGetAttribute(&value, CUdevice_attribute(9999), 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuCtxGetCurrent(&primary), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxDestroy(primary), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_STATUS(cuCtxCreate(&c, 0, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxGetCurrent(&now), CUDA_SUCCESS);
  CHECK(now == c);
  CUdeviceptr p = 0;
  CHECK_STATUS(cuMemAlloc(&p, 64), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxDestroy(c), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxGetCurrent(&now), CUDA_SUCCESS);
  CHECK(now == primary);
  CHECK_STATUS(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);   // went with its context
  CHECK_STATUS(cuCtxDestroy(c), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_STATUS(cuCtxSetCurrent(c), CUDA_ERROR_INVALID_CONTEXT);
  std::thread([] { CHECK_STATUS(cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT); }).join();   // current is per thread
  CHECK_STATUS(cuCtxGetDevice(&device), CUDA_SUCCESS);
  CHECK(device == 0);
}

void names() {
  const char* text = nullptr;
  CHECK_STATUS(cuGetErrorName(CUDA_ERROR_LAUNCH_FAILED, &text), CUDA_SUCCESS);
  CHECK(std::string(text) == "CUDA_ERROR_LAUNCH_FAILED");
  CHECK_STATUS(cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text), CUDA_SUCCESS);
  CHECK(std::string(text) == "out of memory");
  CHECK_STATUS(cuGetErrorName(CUresult(12345), &text), CUDA_ERROR_INVALID_VALUE);
  CHECK(text == nullptr);
  CHECK_STATUS(cuGetErrorName(CUDA_SUCCESS, nullptr), CUDA_ERROR_INVALID_VALUE);
  int version = 0;
  CHECK_STATUS(cuDriverGetVersion(&version), CUDA_SUCCESS);
  CHECK(version >= 12000);
}

void tensor_maps() {
  Buffer<uint16_t> x(128 * 64);
  CUtensorMap map;
  auto encode = [&](cuuint64_t stride, cuuint32_t box, cuuint64_t offset, cuuint32_t rank) {
    cuuint64_t dims[] = {64, 128};
    cuuint64_t strides[] = {stride};
    cuuint32_t boxes[] = {box, 128};
    cuuint32_t one[] = {1, 1};
    return cuTensorMapEncodeTiled(
        &map,
        CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
        rank,
        x.device() + offset,
        dims,
        strides,
        boxes,
        one,
        CU_TENSOR_MAP_INTERLEAVE_NONE,
        CU_TENSOR_MAP_SWIZZLE_128B,
        CU_TENSOR_MAP_L2_PROMOTION_NONE,
        CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  };
  CHECK_STATUS(encode(128, 64, 0, 2), CUDA_SUCCESS);
  CHECK_STATUS(encode(120, 64, 0, 2), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(encode(128, 128, 0, 2), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(encode(128, 64, 1, 2), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(encode(128, 64, 0, 7), CUDA_ERROR_INVALID_VALUE);
}
}   // namespace

TEST_GROUP(driver) {
  names();
  contexts();
  launches();
  memory();
  streams_and_events();
  module_handles(module_file);
  tensor_maps();
}
