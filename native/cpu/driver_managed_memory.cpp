// Managed memory. Device and host have the same memory, so nothing moves: advice and prefetches are checked and kept.
#include "advice.h"
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
bool same_place(const CUmemLocation& a, const CUmemLocation& b) { return a.type == b.type && a.id == b.id; }
template <class F>
void change(CUdeviceptr p, size_t n, F f) {
  if (const std::shared_ptr<Advice> advice = advice_at(uintptr_t(p)))
    advice->change(uintptr_t(p), uintptr_t(p) + n, f);
}
void advise(RangeAdvice& r, CUmem_advise advice, CUmemLocation where) {
  const bool on_device = where.type == CU_MEM_LOCATION_TYPE_DEVICE;
  bool& accessed = on_device ? r.accessed_by_device : r.accessed_by_host;
  switch (advice) {
    case CU_MEM_ADVISE_SET_READ_MOSTLY: r.read_mostly = true; break;
    case CU_MEM_ADVISE_UNSET_READ_MOSTLY: r.read_mostly = false; break;
    case CU_MEM_ADVISE_SET_PREFERRED_LOCATION: r.preferred = where; break;
    case CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION: r.preferred = {CU_MEM_LOCATION_TYPE_INVALID, 0}; break;
    case CU_MEM_ADVISE_SET_ACCESSED_BY: accessed = true; break;
    case CU_MEM_ADVISE_UNSET_ACCESSED_BY: accessed = false; break;
  }
}

// ---- attributes of a range: what holds for all of it
struct Place {
  CUmemLocation location;
  bool operator==(const Place& o) const { return same_place(location, o.location); }
};
class Range {
 public:
  Range(CUdeviceptr p, size_t n) : advice_(advice_at(uintptr_t(p))), start_(uintptr_t(p)), end_(uintptr_t(p) + n) {}
  bool all(bool RangeAdvice::*what) const {
    bool value = false;
    return advice_->same(
               start_, end_, [&](const RangeAdvice& r) { return r.*what; }, &value) &&
           value;
  }
  CUmemLocation place(CUmemLocation RangeAdvice::*what) const {
    Place value{};
    const bool same = advice_->same(
        start_, end_, [&](const RangeAdvice& r) { return Place{r.*what}; }, &value);
    return same ? value.location : CUmemLocation{CU_MEM_LOCATION_TYPE_INVALID, 0};
  }

 private:
  std::shared_ptr<Advice> advice_;
  uintptr_t start_, end_;
};
int device_of(const CUmemLocation& l) {
  switch (l.type) {
    case CU_MEM_LOCATION_TYPE_INVALID: return CU_DEVICE_INVALID;
    case CU_MEM_LOCATION_TYPE_DEVICE: return l.id;
    default: return CU_DEVICE_CPU;
  }
}
CUresult accessed_by(const Range& range, int* devices, size_t bytes) {
  if (!bytes || bytes % sizeof(int))
    return CUDA_ERROR_INVALID_VALUE;
  const size_t room = bytes / sizeof(int);
  size_t n = 0;
  if (range.all(&RangeAdvice::accessed_by_host))
    devices[n++] = CU_DEVICE_CPU;
  if (n < room && range.all(&RangeAdvice::accessed_by_device))
    devices[n++] = 0;
  std::fill(devices + n, devices + room, CU_DEVICE_INVALID);
  return CUDA_SUCCESS;
}
CUresult attribute_of(const Range& range, CUmem_range_attribute attribute, void* data, size_t bytes) {
  auto* value = static_cast<int*>(data);
  if (attribute == CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY)
    return accessed_by(range, value, bytes);
  if (bytes != sizeof(int))
    return CUDA_ERROR_INVALID_VALUE;
  const CUmemLocation preferred = range.place(&RangeAdvice::preferred);
  const CUmemLocation prefetched = range.place(&RangeAdvice::prefetched);
  switch (attribute) {
    case CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY: *value = range.all(&RangeAdvice::read_mostly); break;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION: *value = device_of(preferred); break;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION: *value = device_of(prefetched); break;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE: *value = preferred.type; break;
    case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID: *value = preferred.id; break;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE: *value = prefetched.type; break;
    case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID: *value = prefetched.id; break;
    default: return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}
}   // namespace

extern "C" {
CUresult cuMemRangeGetAttribute(
    void* data, size_t bytes, CUmem_range_attribute attribute, CUdeviceptr p, size_t count) {
  return cuMemRangeGetAttributes(&data, &bytes, &attribute, 1, p, count);
}
CUresult cuMemRangeGetAttributes(
    void** data, size_t* bytes, CUmem_range_attribute* attributes, size_t n, CUdeviceptr p, size_t count) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_managed(p, count));
  if (!data || !bytes || !attributes || !n)
    return CUDA_ERROR_INVALID_VALUE;
  const Range range(p, count);
  for (size_t i = 0; i < n; ++i) {
    if (!data[i])
      return CUDA_ERROR_INVALID_VALUE;
    SPECTRAL_TRY(attribute_of(range, attributes[i], data[i], bytes[i]));
  }
  return CUDA_SUCCESS;
}
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
  if (!known(to))
    return CUDA_ERROR_INVALID_DEVICE;
  change(p, n, [&](RangeAdvice& r) { r.prefetched = to; });
  return CUDA_SUCCESS;
}
CUresult cuMemPrefetchAsync(CUdeviceptr p, size_t n, CUdevice to, CUstream stream) {
  return cuMemPrefetchAsync_v2(p, n, location(to), 0, stream);
}
CUresult cuMemAdvise_v2(CUdeviceptr p, size_t n, CUmem_advise advice, CUmemLocation where) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_managed(p, n));
  if (advice < CU_MEM_ADVISE_SET_READ_MOSTLY || advice > CU_MEM_ADVISE_UNSET_ACCESSED_BY)
    return CUDA_ERROR_INVALID_VALUE;
  if (!names_no_place(advice) && !known(where))
    return CUDA_ERROR_INVALID_DEVICE;
  change(p, n, [&](RangeAdvice& r) { advise(r, advice, where); });
  return CUDA_SUCCESS;
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
