// Stream-ordered memory and its pools. A pool keeps no freed memory: it counts what was taken from it.
#include "capture.h"
#include "memory.h"
#include <array>
#include <cstring>

struct CUmemPoolHandle_st {
  size_t limit = SIZE_MAX;
  std::atomic<size_t> most{0};   // bytes taken at one time
  std::atomic<uint64_t> release_threshold{0};
  std::array<std::atomic<int>, 3> reuse{1, 1, 1};   // kept, and of no effect: nothing is reused
};

using namespace spectral::cpu;

namespace {
CUmemPoolHandle_st default_pool;
std::mutex mutex;   // guards the next two
std::unordered_set<CUmemoryPool> pools;
CUmemoryPool device_pool = &default_pool;   // that cuMemAllocAsync takes from

bool known(CUmemoryPool pool) {
  std::lock_guard l(mutex);
  return pool == &default_pool || pools.count(pool);
}
bool is_device(const CUmemLocation& l) { return l.type == CU_MEM_LOCATION_TYPE_DEVICE && l.id == 0; }

CUresult take(CUdeviceptr* p, size_t n, CUmemoryPool pool) {
  if (n > pool->limit || bytes_in_pool(pool) > pool->limit - n)
    return CUDA_ERROR_OUT_OF_MEMORY;
  uintptr_t start = 0;
  SPECTRAL_TRY(allocate(n, MemoryKind::Device, &start, 0, pool));
  *p = start;
  const size_t now = bytes_in_pool(pool);
  for (size_t most = pool->most; most < now && !pool->most.compare_exchange_weak(most, now);) {}
  return CUDA_SUCCESS;
}
template <class T>
CUresult put(void* value, T v) {
  std::memcpy(value, &v, sizeof v);
  return CUDA_SUCCESS;
}
}   // namespace

extern "C" {
CUresult cuMemAllocFromPoolAsync(CUdeviceptr* p, size_t n, CUmemoryPool pool, CUstream stream) {
  SPECTRAL_TRY(check_stream(stream));
  SPECTRAL_TRY(check_waits(stream));   // graphs here have no nodes of memory
  if (!p || !known(pool))
    return CUDA_ERROR_INVALID_VALUE;
  if (n)
    return take(p, n, pool);
  *p = 0;
  return CUDA_SUCCESS;
}
CUresult cuMemAllocAsync(CUdeviceptr* p, size_t n, CUstream stream) {
  CUmemoryPool pool;
  {
    std::lock_guard l(mutex);
    pool = device_pool;
  }
  return cuMemAllocFromPoolAsync(p, n, pool, stream);
}
CUresult cuMemFreeAsync(CUdeviceptr p, CUstream stream) {
  SPECTRAL_TRY(check_stream(stream));
  SPECTRAL_TRY(check_waits(stream));
  if (!p)
    return CUDA_SUCCESS;
  Allocation a;
  if (!find_allocation(uintptr_t(p), &a) || a.start != p || a.kind != MemoryKind::Device)
    return CUDA_ERROR_INVALID_VALUE;
  return submit(stream, [=] { return release(uintptr_t(p), {MemoryKind::Device}); });
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool* pool, CUdevice device) {
  SPECTRAL_TRY(check_initialised());
  if (!pool)
    return CUDA_ERROR_INVALID_VALUE;
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  *pool = &default_pool;
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetMemPool(CUmemoryPool* pool, CUdevice device) {
  SPECTRAL_TRY(check_initialised());
  if (!pool)
    return CUDA_ERROR_INVALID_VALUE;
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  std::lock_guard l(mutex);
  *pool = device_pool;
  return CUDA_SUCCESS;
}
CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool pool) {
  SPECTRAL_TRY(check_initialised());
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  if (!known(pool))
    return CUDA_ERROR_INVALID_VALUE;
  std::lock_guard l(mutex);
  device_pool = pool;
  return CUDA_SUCCESS;
}
CUresult cuMemPoolCreate(CUmemoryPool* pool, const CUmemPoolProps* wanted) {
  SPECTRAL_TRY(check_initialised());
  if (!pool || !wanted || wanted->allocType != CU_MEM_ALLOCATION_TYPE_PINNED || !is_device(wanted->location))
    return CUDA_ERROR_INVALID_VALUE;
  if (wanted->handleTypes != CU_MEM_HANDLE_TYPE_NONE)
    return CUDA_ERROR_NOT_SUPPORTED;   // memory is not shared with other processes
  auto made = std::make_unique<CUmemPoolHandle_st>();
  if (wanted->maxSize)
    made->limit = wanted->maxSize;
  std::lock_guard l(mutex);
  *pool = made.get();
  pools.insert(made.release());
  return CUDA_SUCCESS;
}
// What was taken from the pool stays until it is freed; the device goes back to its default pool.
CUresult cuMemPoolDestroy(CUmemoryPool pool) {
  SPECTRAL_TRY(check_initialised());
  std::lock_guard l(mutex);
  if (!pools.erase(pool))
    return CUDA_ERROR_INVALID_VALUE;
  if (device_pool == pool)
    device_pool = &default_pool;
  forget_pool(pool);
  delete pool;
  return CUDA_SUCCESS;
}
CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t) {   // nothing is kept that could be given back
  SPECTRAL_TRY(check_initialised());
  return known(pool) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void* value) {
  SPECTRAL_TRY(check_initialised());
  if (!known(pool) || !value)
    return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES: return put<int>(value, pool->reuse[attribute - 1]);
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD: return put<uint64_t>(value, pool->release_threshold);
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT: return put<uint64_t>(value, bytes_in_pool(pool));
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH: return put<uint64_t>(value, pool->most);
    default: return CUDA_ERROR_INVALID_VALUE;
  }
}
CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void* value) {
  SPECTRAL_TRY(check_initialised());
  if (!known(pool) || !value)
    return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
      pool->reuse[attribute - 1] = *static_cast<const int*>(value);
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
      pool->release_threshold = *static_cast<const uint64_t*>(value);
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:   // starts over from what is taken now
      if (*static_cast<const uint64_t*>(value))
        return CUDA_ERROR_INVALID_VALUE;
      pool->most = bytes_in_pool(pool);
      return CUDA_SUCCESS;
    default: return CUDA_ERROR_INVALID_VALUE;
  }
}
CUresult cuMemPoolGetAccess(CUmemAccess_flags* flags, CUmemoryPool pool, CUmemLocation* location) {
  SPECTRAL_TRY(check_initialised());
  if (!flags || !known(pool) || !location || !is_device(*location))
    return CUDA_ERROR_INVALID_VALUE;
  *flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  return CUDA_SUCCESS;
}
CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc* wanted, size_t count) {
  SPECTRAL_TRY(check_initialised());
  if (!known(pool) || (count && !wanted))
    return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i)   // the device cannot lose its own memory
    if (!is_device(wanted[i].location) || wanted[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
      return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}
}
