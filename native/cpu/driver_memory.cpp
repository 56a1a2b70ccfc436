// Device memory, and copies of one run of bytes, which check that the device side lies inside one allocation.
#include "capture.h"
#include "memory.h"
#include "options.h"
#include <cstring>

using namespace spectral::cpu;

namespace {
constexpr size_t kPitchAlignment = 512;   // bytes, a GPU's
// A copy of at most so many bytes from pageable memory has taken them when its call returns; a longer one may read the
// memory later.
constexpr size_t kStaged = 64 << 10;

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
  if (Allocation a; options.async && n <= kStaged && !capturing(stream) && !find_allocation(uintptr_t(src), &a)) {
    const auto begin = static_cast<const char*>(src);
    return submit(stream, [dst, staged = std::vector<char>(begin, begin + n)] {
      std::memcpy(host(dst), staged.data(), staged.size());
      return CUDA_SUCCESS;
    });
  }
  const auto copy = [=] {
    std::memcpy(host(dst), src, n);   // a replay reads the source anew
    return CUDA_SUCCESS;
  };
  return submit(stream, copy, {src, n});
}
CUresult to_host(void* dst, CUdeviceptr src, size_t n, CUstream stream) {
  SPECTRAL_TRY(check_stream(stream));
  if (!n)
    return CUDA_SUCCESS;
  SPECTRAL_TRY(check_copy(stream, dst));
  SPECTRAL_TRY(check_range(src, n));
  const auto copy = [=] {
    std::memcpy(dst, host(src), n);
    return CUDA_SUCCESS;
  };
  return submit(stream, copy, {dst, n});
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
}   // namespace

extern "C" {
CUresult cuMemAlloc(CUdeviceptr* p, size_t n) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_unsafe());
  if (!p)
    return CUDA_ERROR_INVALID_VALUE;
  uintptr_t start = 0;
  SPECTRAL_TRY(allocate(n, MemoryKind::Device, &start));
  *p = start;
  return CUDA_SUCCESS;
}
CUresult cuMemFree(CUdeviceptr p) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_unsafe());
  SPECTRAL_TRY(finish_context());   // as drivers do
  return release(uintptr_t(p), {MemoryKind::Device, MemoryKind::Managed});
}
CUresult cuMemAllocPitch(CUdeviceptr* p, size_t* pitch, size_t width, size_t height, unsigned element) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_unsafe());
  if (!p || !pitch || !width || !height || (element != 4 && element != 8 && element != 16))
    return CUDA_ERROR_INVALID_VALUE;
  if (width > SIZE_MAX - kPitchAlignment)
    return CUDA_ERROR_OUT_OF_MEMORY;
  const size_t row = (width + kPitchAlignment - 1) / kPitchAlignment * kPitchAlignment;
  if (height > SIZE_MAX / row)
    return CUDA_ERROR_OUT_OF_MEMORY;
  uintptr_t start = 0;
  SPECTRAL_TRY(allocate(row * height, MemoryKind::Device, &start));
  *p = start;
  *pitch = row;
  return CUDA_SUCCESS;
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
CUresult cuMemcpyHtoD(CUdeviceptr d, const void* s, size_t n) {
  SPECTRAL_TRY(check_unsafe());
  SPECTRAL_TRY(to_device(d, s, n, nullptr));
  return finish(nullptr);
}
CUresult cuMemcpyDtoH(void* d, CUdeviceptr s, size_t n) {
  SPECTRAL_TRY(check_unsafe());
  SPECTRAL_TRY(to_host(d, s, n, nullptr));
  return finish(nullptr);
}
CUresult cuMemcpyDtoD(CUdeviceptr d, CUdeviceptr s, size_t n) { return on_device(d, s, n, nullptr); }
CUresult cuMemcpyHtoDAsync(CUdeviceptr d, const void* s, size_t n, CUstream q) { return to_device(d, s, n, q); }
CUresult cuMemcpyDtoHAsync(void* d, CUdeviceptr s, size_t n, CUstream q) { return to_host(d, s, n, q); }
CUresult cuMemcpyDtoDAsync(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream q) { return on_device(d, s, n, q); }
}
