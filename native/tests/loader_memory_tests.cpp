// Memory as loaders take it: host, registered, managed and pooled, and what is known of an address.
#include "../cpu/loader_api.h"
#include "host.h"
#include <numeric>

namespace {
constexpr CUmemLocation kDevice{CU_MEM_LOCATION_TYPE_DEVICE, 0};
constexpr CUmemLocation kHost{CU_MEM_LOCATION_TYPE_HOST, 0};

void host_memory() {
  void* p = nullptr;
  unsigned flags = 0;
  unsigned type = 0;
  CUdeviceptr device = 0;
  CHECK_STATUS(cuMemAllocHost(nullptr, 64), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemAllocHost(&p, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemAllocHost(&p, 64), CUDA_SUCCESS);
  CHECK_STATUS(cuMemFreeHost(p), CUDA_SUCCESS);
  CHECK_STATUS(cuMemHostAlloc(&p, 64, 8), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemHostAlloc(&p, 64, 3), CUDA_SUCCESS);
  CHECK_STATUS(cuMemHostGetFlags(&flags, p), CUDA_SUCCESS);
  CHECK(flags == 3);
  CHECK_STATUS(cuMemHostGetDevicePointer(&device, static_cast<char*>(p) + 8, 0), CUDA_SUCCESS);
  CHECK(device == CUdeviceptr(p) + 8);
  CHECK_STATUS(cuMemHostGetDevicePointer(&device, p, 1), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemFree(CUdeviceptr(p)), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemFreeHost(p), CUDA_SUCCESS);
  CHECK_STATUS(cuMemHostGetFlags(&flags, p), CUDA_ERROR_INVALID_VALUE);

  std::vector<char> own(256);
  CHECK_STATUS(cuMemHostRegister(nullptr, 64, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemHostRegister(own.data(), 0, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemHostRegister(own.data(), 64, 16), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemHostRegister(own.data(), 64, CU_MEMHOSTREGISTER_IOMEMORY), CUDA_ERROR_NOT_SUPPORTED);
  CHECK_STATUS(cuMemHostRegister(own.data() + 64, 64, 2), CUDA_SUCCESS);
  CHECK_STATUS(cuMemHostRegister(own.data(), 65, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  CHECK_STATUS(cuMemHostRegister(own.data() + 127, 8, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  CHECK_STATUS(cuMemHostRegister(own.data() + 128, 8, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuMemHostGetDevicePointer(&device, own.data() + 64, 0), CUDA_SUCCESS);
  CHECK(device == CUdeviceptr(own.data() + 64));
  CHECK_STATUS(cuMemHostGetFlags(&flags, own.data() + 64), CUDA_ERROR_INVALID_VALUE);   // of allocations only
  CHECK_STATUS(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, device), CUDA_SUCCESS);
  CHECK(type == CU_MEMORYTYPE_HOST);
  CHECK_STATUS(cuMemsetD8(device, 7, 64), CUDA_SUCCESS);   // mapped: the device writes it
  CHECK_STATUS(cuStreamSynchronize(nullptr), CUDA_SUCCESS);
  CHECK(own[63] == 0 && own[64] == 7 && own[127] == 7 && own[128] == 0);
  CHECK_STATUS(cuMemHostUnregister(own.data() + 65), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
  CHECK_STATUS(cuMemHostUnregister(nullptr), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemHostUnregister(own.data() + 64), CUDA_SUCCESS);
  CHECK_STATUS(cuMemHostUnregister(own.data() + 64), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
  CHECK_STATUS(cuMemHostUnregister(own.data() + 128), CUDA_SUCCESS);
}

void addresses() {
  Buffer<char> b(1000);
  CUdeviceptr start = 0;
  size_t size = 0;
  unsigned type = 99;
  unsigned managed = 99;
  CUcontext context = nullptr;
  char elsewhere = 0;
  CHECK_STATUS(cuMemGetAddressRange(&start, &size, b.p + 999), CUDA_SUCCESS);
  CHECK(start == b.p && size == 1000);
  CHECK_STATUS(cuMemGetAddressRange(nullptr, &size, b.p), CUDA_SUCCESS);
  CHECK_STATUS(cuMemGetAddressRange(&start, &size, b.p + 1000), CUDA_ERROR_NOT_FOUND);
  CUpointer_attribute asked[] = {
      CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_IS_MANAGED, CU_POINTER_ATTRIBUTE_CONTEXT};
  void* answers[] = {&type, &managed, &context};
  CHECK_STATUS(cuPointerGetAttributes(3, asked, answers, b.p), CUDA_SUCCESS);
  CHECK(type == CU_MEMORYTYPE_DEVICE && managed == 0 && context);
  CHECK_STATUS(cuPointerGetAttributes(3, asked, answers, CUdeviceptr(&elsewhere)), CUDA_SUCCESS);   // unknown: zeros
  CHECK(type == 0 && managed == 0 && !context);
  CHECK_STATUS(cuPointerGetAttributes(0, asked, answers, b.p), CUDA_ERROR_INVALID_VALUE);
  asked[1] = CUpointer_attribute(99);
  CHECK_STATUS(cuPointerGetAttributes(3, asked, answers, b.p), CUDA_ERROR_INVALID_VALUE);
  const unsigned on = 1;
  unsigned got = 0;
  CHECK_STATUS(cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, b.p), CUDA_SUCCESS);
  CHECK_STATUS(cuPointerGetAttribute(&got, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, b.p), CUDA_SUCCESS);
  CHECK(got == 1);
  CHECK_STATUS(cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_CONTEXT, b.p), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(
      cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, CUdeviceptr(&elsewhere)), CUDA_ERROR_INVALID_VALUE);
  void* host = nullptr;
  CHECK_STATUS(cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER, b.p), CUDA_ERROR_INVALID_VALUE);
}

void managed_memory() {
  CUdeviceptr p = 0;
  unsigned is_managed = 0;
  CHECK_STATUS(cuMemAllocManaged(&p, 256, 4), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemAllocManaged(&p, 0, CU_MEM_ATTACH_GLOBAL), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemAllocManaged(&p, 256, CU_MEM_ATTACH_GLOBAL), CUDA_SUCCESS);
  CHECK_STATUS(cuPointerGetAttribute(&is_managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, p), CUDA_SUCCESS);
  CHECK(is_managed == 1);
  CHECK_STATUS(cuMemsetD32(p, 5, 64), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamSynchronize(nullptr), CUDA_SUCCESS);
  CHECK(reinterpret_cast<unsigned*>(p)[63] == 5);
  CHECK_STATUS(cuMemPrefetchAsync(p, 256, 0, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuMemPrefetchAsync(p, 256, CU_DEVICE_CPU, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuMemPrefetchAsync(p, 256, 3, nullptr), CUDA_ERROR_INVALID_DEVICE);
  CHECK_STATUS(cuMemPrefetchAsync(p, 257, 0, nullptr), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemPrefetchAsync_v2(p, 256, kHost, 0, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuMemPrefetchAsync_v2(p, 256, kHost, 1, nullptr), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemAdvise(p, 256, CU_MEM_ADVISE_SET_ACCESSED_BY, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuMemAdvise(p, 256, CU_MEM_ADVISE_SET_ACCESSED_BY, 9), CUDA_ERROR_INVALID_DEVICE);
  CHECK_STATUS(cuMemAdvise(p, 256, CU_MEM_ADVISE_SET_READ_MOSTLY, 9), CUDA_SUCCESS);   // without a place
  CHECK_STATUS(cuMemAdvise_v2(p, 256, CUmem_advise(9), kDevice), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuStreamAttachMemAsync(nullptr, p, 0, CU_MEM_ATTACH_SINGLE), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamAttachMemAsync(nullptr, p, 128, CU_MEM_ATTACH_SINGLE), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuStreamAttachMemAsync(nullptr, p, 0, 8), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemFree(p), CUDA_SUCCESS);
  Buffer<char> plain(256);
  CHECK_STATUS(cuMemPrefetchAsync(plain.p, 256, 0, nullptr), CUDA_ERROR_INVALID_VALUE);
}

// cuMemRangeGetAttribute says what holds for all of a range.
void ranges() {
  CUdeviceptr p = 0;
  CU(cuMemAllocManaged(&p, 4096, CU_MEM_ATTACH_GLOBAL));
  const auto value = [](CUmem_range_attribute a, CUdeviceptr at, size_t bytes) {
    int v = 99;
    CHECK_STATUS(cuMemRangeGetAttribute(&v, sizeof v, a, at, bytes), CUDA_SUCCESS);
    return v;
  };
  CHECK(value(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, p, 4096) == 0);
  CHECK(value(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, p, 4096) == CU_DEVICE_INVALID);
  CHECK(value(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, p, 4096) == CU_DEVICE_INVALID);
  CHECK_STATUS(cuMemAdvise(p, 4096, CU_MEM_ADVISE_SET_READ_MOSTLY, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuMemAdvise(p + 1024, 1024, CU_MEM_ADVISE_UNSET_READ_MOSTLY, 0), CUDA_SUCCESS);
  CHECK(value(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, p, 1024) == 1);
  CHECK(value(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, p, 1025) == 0);
  CHECK(value(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, p + 2048, 2048) == 1);
  CHECK_STATUS(cuMemAdvise(p, 2048, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuMemAdvise(p + 2048, 2048, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, CU_DEVICE_CPU), CUDA_SUCCESS);
  CHECK(value(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, p, 2048) == 0);
  CHECK(value(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, p + 2048, 8) == CU_DEVICE_CPU);
  CHECK(value(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, p, 4096) == CU_DEVICE_INVALID);
  CHECK(value(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE, p + 2048, 8) == CU_MEM_LOCATION_TYPE_HOST);
  CHECK_STATUS(cuMemPrefetchAsync(p, 4096, 0, nullptr), CUDA_SUCCESS);
  CHECK(value(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, p, 4096) == 0);
  CHECK(value(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE, p, 4096) == CU_MEM_LOCATION_TYPE_DEVICE);
  CHECK_STATUS(cuMemAdvise(p, 4096, CU_MEM_ADVISE_SET_ACCESSED_BY, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuMemAdvise(p, 64, CU_MEM_ADVISE_SET_ACCESSED_BY, CU_DEVICE_CPU), CUDA_SUCCESS);
  int devices[3] = {};
  int mostly = 0;
  void* data[] = {devices, &mostly};
  size_t sizes[] = {sizeof devices, sizeof mostly};
  CUmem_range_attribute both[] = {CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY};
  CHECK_STATUS(cuMemRangeGetAttributes(data, sizes, both, 2, p, 64), CUDA_SUCCESS);
  CHECK(devices[0] == CU_DEVICE_CPU && devices[1] == 0 && devices[2] == CU_DEVICE_INVALID && mostly == 1);
  CHECK_STATUS(cuMemRangeGetAttributes(data, sizes, both, 2, p, 4096), CUDA_SUCCESS);
  CHECK(devices[0] == 0 && devices[1] == CU_DEVICE_INVALID && mostly == 0);
  sizes[1] = 8;
  CHECK_STATUS(cuMemRangeGetAttributes(data, sizes, both, 2, p, 64), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemRangeGetAttributes(data, sizes, both, 0, p, 64), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemRangeGetAttribute(&mostly, 4, CUmem_range_attribute(99), p, 64), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemRangeGetAttribute(&mostly, 4, both[1], p, 4097), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemFree(p), CUDA_SUCCESS);
  Buffer<char> plain(256);
  CHECK_STATUS(cuMemRangeGetAttribute(&mostly, 4, both[1], plain.p, 64), CUDA_ERROR_INVALID_VALUE);
}

void pools() {
  CUmemoryPool pool = nullptr;
  CUmemoryPool first = nullptr;
  CUmemoryPool now = nullptr;
  CUmemPoolProps wanted{};
  CUmemAccess_flags access = CU_MEM_ACCESS_FLAGS_PROT_NONE;
  CUmemLocation where = kDevice;
  CUdeviceptr p = 0;
  CUdeviceptr q = 0;
  uint64_t bytes = 0;
  CHECK_STATUS(cuDeviceGetDefaultMemPool(&first, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuDeviceGetDefaultMemPool(&first, 1), CUDA_ERROR_INVALID_DEVICE);
  CHECK_STATUS(cuMemPoolCreate(&pool, &wanted), CUDA_ERROR_INVALID_VALUE);
  wanted.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  wanted.location = kDevice;
  wanted.maxSize = 4096;
  wanted.handleTypes = CUmemAllocationHandleType(1);
  CHECK_STATUS(cuMemPoolCreate(&pool, &wanted), CUDA_ERROR_NOT_SUPPORTED);
  wanted.handleTypes = CU_MEM_HANDLE_TYPE_NONE;
  CHECK_STATUS(cuMemPoolCreate(&pool, &wanted), CUDA_SUCCESS);
  CHECK_STATUS(cuDeviceSetMemPool(0, pool), CUDA_SUCCESS);
  CHECK_STATUS(cuDeviceGetMemPool(&now, 0), CUDA_SUCCESS);
  CHECK(now == pool);
  CHECK_STATUS(cuMemAllocAsync(&p, 3000, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuMemAllocAsync(&q, 2000, nullptr), CUDA_ERROR_OUT_OF_MEMORY);   // beyond the pool's size
  CHECK_STATUS(cuMemAllocFromPoolAsync(&q, 2000, first, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuMemAllocFromPoolAsync(&q, 8, reinterpret_cast<CUmemoryPool>(&p), nullptr), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuPointerGetAttribute(&now, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p), CUDA_SUCCESS);
  CHECK(now == pool);
  CHECK_STATUS(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &bytes), CUDA_SUCCESS);
  CHECK(bytes == 3000);
  CHECK_STATUS(cuMemFreeAsync(p + 8, nullptr), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemFreeAsync(p, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamSynchronize(nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &bytes), CUDA_SUCCESS);
  CHECK(bytes == 0);
  CHECK_STATUS(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &bytes), CUDA_SUCCESS);
  CHECK(bytes == 3000);
  CHECK_STATUS(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &bytes), CUDA_ERROR_INVALID_VALUE);
  bytes = 1 << 20;
  CHECK_STATUS(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &bytes), CUDA_SUCCESS);
  bytes = 0;
  CHECK_STATUS(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &bytes), CUDA_SUCCESS);
  CHECK(bytes == 1 << 20);
  CHECK_STATUS(cuMemPoolGetAttribute(pool, CUmemPool_attribute(20), &bytes), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemPoolTrimTo(pool, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuMemPoolGetAccess(&access, pool, &where), CUDA_SUCCESS);
  CHECK(access == CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
  CUmemAccessDesc change{kDevice, CU_MEM_ACCESS_FLAGS_PROT_NONE};
  CHECK_STATUS(cuMemPoolSetAccess(pool, &change, 1), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemPoolDestroy(pool), CUDA_SUCCESS);
  CHECK_STATUS(cuMemPoolDestroy(pool), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuDeviceGetMemPool(&now, 0), CUDA_SUCCESS);
  CHECK(now == first);
  CHECK_STATUS(cuMemPoolDestroy(first), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemFree(q), CUDA_SUCCESS);   // stream-ordered memory may be freed so
  CUstream s = nullptr;
  CUgraph graph = nullptr;
  CHECK_STATUS(cuStreamCreate(&s, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  CHECK_STATUS(cuMemAllocAsync(&p, 64, s), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CHECK_STATUS(cuStreamEndCapture(s, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  CHECK_STATUS(cuStreamDestroy(s), CUDA_SUCCESS);
}
}   // namespace

TEST_GROUP(loader_memory) {
  host_memory();
  addresses();
  managed_memory();
  ranges();
  pools();
}
