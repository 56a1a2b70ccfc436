// What is known of an address.
#include "memory.h"
#include "driver.h"
#include <cstring>

using namespace spectral::cpu;

namespace {
// An attribute's value and its size; what an unknown address has is zeros of that size.
struct Value {
  size_t bytes = 0;   // 0: no such attribute
  uint64_t bits = 0;
  bool known = true;   // the allocation has it
};
Value attribute_of(const Allocation& a, CUpointer_attribute attribute, CUdeviceptr p) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: return {8, reinterpret_cast<uintptr_t>(a.context)};
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: return {4, a.on_host() ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE};
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: return {8, p};
    case CU_POINTER_ATTRIBUTE_HOST_POINTER: return {8, p, a.kind != MemoryKind::Device};
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS: return {4, a.synchronous};
    case CU_POINTER_ATTRIBUTE_BUFFER_ID: return {8, a.number};
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: return {4, a.kind == MemoryKind::Managed};
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: return {4, 0};
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE: return {4, 0};
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: return {8, a.start};
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: return {8, a.size};
    case CU_POINTER_ATTRIBUTE_MAPPED: return {4, 1};
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES: return {8, 0};
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE: return {4, 0};
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS: return {4, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE: return {8, reinterpret_cast<uintptr_t>(a.pool)};
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE: return {8, a.size};
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR: return {8, a.start};
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID: return {8, a.number};
    default: return {};
  }
}
}   // namespace

extern "C" {
CUresult cuPointerGetAttribute(void* value, CUpointer_attribute attribute, CUdeviceptr p) {
  SPECTRAL_TRY(check_context());
  Allocation a;
  if (!value || !find_allocation(uintptr_t(p), &a))
    return CUDA_ERROR_INVALID_VALUE;
  const Value v = attribute_of(a, attribute, p);
  if (!v.bytes || !v.known)
    return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(value, &v.bits, v.bytes);   // the low bytes: x86
  return CUDA_SUCCESS;
}
// Other than for one attribute, an unknown address is no error.
CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute* attributes, void** values, CUdeviceptr p) {
  SPECTRAL_TRY(check_context());
  if (!count || !attributes || !values)
    return CUDA_ERROR_INVALID_VALUE;
  Allocation a{};
  const bool found = find_allocation(uintptr_t(p), &a);
  for (unsigned i = 0; i < count; ++i) {
    const Value v = attribute_of(a, attributes[i], p);
    if (!v.bytes || !values[i])
      return CUDA_ERROR_INVALID_VALUE;
    const uint64_t bits = found && v.known ? v.bits : 0;
    std::memcpy(values[i], &bits, v.bytes);
  }
  return CUDA_SUCCESS;
}
CUresult cuPointerSetAttribute(const void* value, CUpointer_attribute attribute, CUdeviceptr p) {
  SPECTRAL_TRY(check_context());
  if (!value || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS)
    return CUDA_ERROR_INVALID_VALUE;
  unsigned on;
  std::memcpy(&on, value, sizeof on);
  return set_synchronous(uintptr_t(p), on) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuMemGetAddressRange(CUdeviceptr* start, size_t* size, CUdeviceptr p) {
  SPECTRAL_TRY(check_context());
  Allocation a;
  if (!find_allocation(uintptr_t(p), &a))
    return CUDA_ERROR_NOT_FOUND;
  if (start)
    *start = a.start;
  if (size)
    *size = a.size;
  return CUDA_SUCCESS;
}
}
