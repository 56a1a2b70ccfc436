// Memory entry points. Copies check that the device side lies inside one allocation.
#include "capture.h"
#include "memory.h"
#include <algorithm>
#include <cstring>

using namespace spectral::cpu;

namespace {
void* host(CUdeviceptr p) { return reinterpret_cast<void*>(p); }

CUresult check_range(CUdeviceptr p, size_t bytes) {
  return inside_allocation(uintptr_t(p), bytes) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
// In checking mode a copy first looks for damaged guard zones: it may be what would read the damage.
CUresult check_copy(CUstream stream, const void* host_side) {
  SPECTRAL_TRY(check_stream(stream));
  if (!host_side)
    return CUDA_ERROR_INVALID_VALUE;
  return verify_guards();
}
CUresult to_device(CUdeviceptr dst, const void* src, size_t n, CUstream stream) {
  SPECTRAL_TRY(check_stream(stream));
  if (!n)
    return CUDA_SUCCESS;
  SPECTRAL_TRY(check_copy(stream, src));
  SPECTRAL_TRY(check_range(dst, n));
  return submit(stream, [=] {
    std::memcpy(host(dst), src, n);   // a replay reads the source anew
    return CUDA_SUCCESS;
  });
}
CUresult to_host(void* dst, CUdeviceptr src, size_t n, CUstream stream) {
  SPECTRAL_TRY(check_stream(stream));
  if (!n)
    return CUDA_SUCCESS;
  SPECTRAL_TRY(check_copy(stream, dst));
  SPECTRAL_TRY(check_range(src, n));
  return submit(stream, [=] {
    std::memcpy(dst, host(src), n);
    return CUDA_SUCCESS;
  });
}
CUresult on_device(CUdeviceptr dst, CUdeviceptr src, size_t n, CUstream stream) {
  SPECTRAL_TRY(check_stream(stream));
  if (!n)
    return CUDA_SUCCESS;
  SPECTRAL_TRY(verify_guards());
  SPECTRAL_TRY(check_range(dst, n));
  SPECTRAL_TRY(check_range(src, n));
  return submit(stream, [=] {
    std::memmove(host(dst), host(src), n);
    return CUDA_SUCCESS;
  });
}
template <class T>
CUresult fill(CUdeviceptr dst, T value, size_t n, CUstream stream) {
  SPECTRAL_TRY(check_stream(stream));
  if (!n)
    return CUDA_SUCCESS;
  if (dst % sizeof(T) || n > SIZE_MAX / sizeof(T))
    return CUDA_ERROR_INVALID_VALUE;
  SPECTRAL_TRY(check_range(dst, n * sizeof(T)));
  return submit(stream, [=] {
    std::fill_n(static_cast<T*>(host(dst)), n, value);
    return CUDA_SUCCESS;
  });
}
}   // namespace

extern "C" {
CUresult cuMemAlloc(CUdeviceptr* p, size_t n) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_unsafe());
  if (!p)
    return CUDA_ERROR_INVALID_VALUE;
  uintptr_t start = 0;
  SPECTRAL_TRY(allocate(n, false, &start));
  *p = start;
  return CUDA_SUCCESS;
}
CUresult cuMemFree(CUdeviceptr p) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_unsafe());
  return release(uintptr_t(p), false);
}
CUresult cuMemGetInfo(size_t* available, size_t* total) {
  SPECTRAL_TRY(check_context());
  if (!available || !total)
    return CUDA_ERROR_INVALID_VALUE;
  const HostMemory m = device_memory();
  *available = m.available;
  *total = m.total;
  return CUDA_SUCCESS;
}
CUresult cuMemHostAlloc(void** p, size_t n, unsigned flags) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_unsafe());
  if (!p || flags & ~7u)
    return CUDA_ERROR_INVALID_VALUE;
  uintptr_t start = 0;
  SPECTRAL_TRY(allocate(n, true, &start));
  *p = reinterpret_cast<void*>(start);
  return CUDA_SUCCESS;
}
CUresult cuMemFreeHost(void* p) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_unsafe());
  return release(reinterpret_cast<uintptr_t>(p), true);
}

CUresult cuMemcpyHtoD(CUdeviceptr d, const void* s, size_t n) {
  SPECTRAL_TRY(check_unsafe());
  return to_device(d, s, n, nullptr);
}
CUresult cuMemcpyDtoH(void* d, CUdeviceptr s, size_t n) {
  SPECTRAL_TRY(check_unsafe());
  return to_host(d, s, n, nullptr);
}
CUresult cuMemcpyDtoD(CUdeviceptr d, CUdeviceptr s, size_t n) { return on_device(d, s, n, nullptr); }
CUresult cuMemcpyHtoDAsync(CUdeviceptr d, const void* s, size_t n, CUstream q) { return to_device(d, s, n, q); }
CUresult cuMemcpyDtoHAsync(void* d, CUdeviceptr s, size_t n, CUstream q) { return to_host(d, s, n, q); }
CUresult cuMemcpyDtoDAsync(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream q) { return on_device(d, s, n, q); }
CUresult cuMemsetD8(CUdeviceptr p, unsigned char v, size_t n) { return fill(p, v, n, nullptr); }
CUresult cuMemsetD32(CUdeviceptr p, unsigned v, size_t n) { return fill(p, v, n, nullptr); }
CUresult cuMemsetD8Async(CUdeviceptr p, unsigned char v, size_t n, CUstream q) { return fill(p, v, n, q); }
CUresult cuMemsetD32Async(CUdeviceptr p, unsigned v, size_t n, CUstream q) { return fill(p, v, n, q); }

CUresult cuPointerGetAttribute(void* value, CUpointer_attribute attribute, CUdeviceptr p) {
  SPECTRAL_TRY(check_context());
  Allocation a;
  if (!value || !find_allocation(uintptr_t(p), &a))
    return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: *static_cast<CUcontext*>(value) = a.context; break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      *static_cast<unsigned*>(value) = a.pinned ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
      break;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: *static_cast<CUdeviceptr*>(value) = p; break;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      if (!a.pinned)
        return CUDA_ERROR_INVALID_VALUE;
      *static_cast<void**>(value) = host(p);
      break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *static_cast<int*>(value) = 0; break;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: *static_cast<CUdeviceptr*>(value) = a.start; break;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: *static_cast<size_t*>(value) = a.size; break;
    default: return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}
}
