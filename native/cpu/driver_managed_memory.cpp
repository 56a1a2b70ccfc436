// Managed memory. Device and host have the same memory, so nothing moves: advice and prefetches are only checked.
#include "capture.h"
#include "memory.h"

using namespace spectral::cpu;

namespace {
bool attaches(unsigned flags) { return flags == CU_MEM_ATTACH_GLOBAL || flags == CU_MEM_ATTACH_HOST; }
bool known(const CUmemLocation& l) {
  switch (l.type) {
    case CU_MEM_LOCATION_TYPE_DEVICE: return l.id == 0;
    case CU_MEM_LOCATION_TYPE_HOST:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT: return true;
    default: return false;
  }
}
CUmemLocation location(CUdevice device) {
  return device == CU_DEVICE_CPU ? CUmemLocation{CU_MEM_LOCATION_TYPE_HOST, 0}
                                 : CUmemLocation{CU_MEM_LOCATION_TYPE_DEVICE, device};
}
CUresult check_managed(CUdeviceptr p, size_t n) {
  Allocation a;
  const bool inside = n && find_allocation(uintptr_t(p), &a) && n <= a.size - (uintptr_t(p) - a.start);
  return inside && a.kind == MemoryKind::Managed ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
bool names_no_place(CUmem_advise advice) {   // its location is ignored
  return advice == CU_MEM_ADVISE_SET_READ_MOSTLY || advice == CU_MEM_ADVISE_UNSET_READ_MOSTLY ||
         advice == CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION;
}
}   // namespace

extern "C" {
CUresult cuMemAllocManaged(CUdeviceptr* p, size_t n, unsigned flags) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_unsafe());
  if (!p || !attaches(flags))
    return CUDA_ERROR_INVALID_VALUE;
  uintptr_t start = 0;
  SPECTRAL_TRY(allocate(n, MemoryKind::Managed, &start));
  *p = start;
  return CUDA_SUCCESS;
}
CUresult cuMemPrefetchAsync_v2(CUdeviceptr p, size_t n, CUmemLocation to, unsigned flags, CUstream stream) {
  SPECTRAL_TRY(check_stream(stream));
  SPECTRAL_TRY(check_managed(p, n));
  if (flags)
    return CUDA_ERROR_INVALID_VALUE;
  return known(to) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
CUresult cuMemPrefetchAsync(CUdeviceptr p, size_t n, CUdevice to, CUstream stream) {
  return cuMemPrefetchAsync_v2(p, n, location(to), 0, stream);
}
CUresult cuMemAdvise_v2(CUdeviceptr p, size_t n, CUmem_advise advice, CUmemLocation where) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_managed(p, n));
  if (advice < CU_MEM_ADVISE_SET_READ_MOSTLY || advice > CU_MEM_ADVISE_UNSET_ACCESSED_BY)
    return CUDA_ERROR_INVALID_VALUE;
  return names_no_place(advice) || known(where) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
CUresult cuMemAdvise(CUdeviceptr p, size_t n, CUmem_advise advice, CUdevice device) {
  return cuMemAdvise_v2(p, n, advice, location(device));
}
// The length is that of the whole allocation, or 0 for it.
CUresult cuStreamAttachMemAsync(CUstream stream, CUdeviceptr p, size_t n, unsigned flags) {
  SPECTRAL_TRY(check_stream(stream));
  SPECTRAL_TRY(check_managed(p, 1));
  Allocation a;
  find_allocation(uintptr_t(p), &a);
  const bool whole = p == a.start && (!n || n == a.size);
  return whole && (attaches(flags) || flags == CU_MEM_ATTACH_SINGLE) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
}
