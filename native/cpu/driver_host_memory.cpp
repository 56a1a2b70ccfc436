// Host memory that the device works on: allocated for it, or the caller's own, registered. Device and host have one
// address space, so a mapping is the address itself.
#include "capture.h"
#include "memory.h"

using namespace spectral::cpu;

namespace {
constexpr unsigned kAllocationFlags = 0x7;     // portable, device map, write-combined
constexpr unsigned kRegistrationFlags = 0xf;   // portable, device map, I/O memory, read only

CUresult allocate_host(void** p, size_t n, unsigned flags) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_unsafe());
  if (!p || flags & ~kAllocationFlags)
    return CUDA_ERROR_INVALID_VALUE;
  uintptr_t start = 0;
  SPECTRAL_TRY(allocate(n, MemoryKind::Host, &start, flags));
  *p = reinterpret_cast<void*>(start);
  return CUDA_SUCCESS;
}
// Work that was submitted to a stream and has not run needs the memory.
CUresult check_unused(const void* p) {
  Allocation a;
  if (!find_allocation(reinterpret_cast<uintptr_t>(p), &a) || !uses_host_memory(p, a.size))
    return CUDA_SUCCESS;
  set_error(
      "host memory is given up while a copy that was submitted to a stream still uses it; wait for the copy first");
  return CUDA_ERROR_ILLEGAL_STATE;
}
bool find_host(const void* p, Allocation* found) {
  return find_allocation(reinterpret_cast<uintptr_t>(p), found) && found->on_host();
}
}   // namespace

extern "C" {
CUresult cuMemHostAlloc(void** p, size_t n, unsigned flags) { return allocate_host(p, n, flags); }
CUresult cuMemAllocHost(void** p, size_t n) { return allocate_host(p, n, 0); }
CUresult cuMemFreeHost(void* p) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_unsafe());
  SPECTRAL_TRY(check_unused(p));
  return release(reinterpret_cast<uintptr_t>(p), {MemoryKind::Host});
}
CUresult cuMemHostGetFlags(unsigned* flags, void* p) {
  SPECTRAL_TRY(check_context());
  Allocation a;
  if (!flags || !find_host(p, &a) || a.kind != MemoryKind::Host)
    return CUDA_ERROR_INVALID_VALUE;
  *flags = a.flags;
  return CUDA_SUCCESS;
}
CUresult cuMemHostGetDevicePointer(CUdeviceptr* device, void* p, unsigned flags) {
  SPECTRAL_TRY(check_context());
  Allocation a;
  if (!device || flags || !find_host(p, &a))
    return CUDA_ERROR_INVALID_VALUE;
  *device = CUdeviceptr(reinterpret_cast<uintptr_t>(p));
  return CUDA_SUCCESS;
}
CUresult cuMemHostRegister(void* p, size_t n, unsigned flags) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_unsafe());
  const auto start = reinterpret_cast<uintptr_t>(p);
  if (!p || !n || n > SIZE_MAX - start || flags & ~kRegistrationFlags)
    return CUDA_ERROR_INVALID_VALUE;
  if (flags & (CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY))
    return CUDA_ERROR_NOT_SUPPORTED;
  return register_memory(start, n, flags);
}
CUresult cuMemHostUnregister(void* p) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_unsafe());
  if (!p)
    return CUDA_ERROR_INVALID_VALUE;
  SPECTRAL_TRY(check_unused(p));
  return release(reinterpret_cast<uintptr_t>(p), {MemoryKind::Registered}) == CUDA_SUCCESS
             ? CUDA_SUCCESS
             : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}
}
