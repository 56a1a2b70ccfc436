// Device memory: ordinary memory in a table of allocations, so that unknown pointers and copies beyond an
// allocation are refused, with guard zones round each in checking mode.
#pragma once
#include "loader_api.h"
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>

namespace spectral::cpu {
struct HostMemory {
  size_t total, available;
};
HostMemory host_memory();     // of this machine or its control group, whichever is less
HostMemory device_memory();   // the same within the "memory" option

enum class MemoryKind {
  Device,
  Host,         // cuMemHostAlloc
  Managed,      // cuMemAllocManaged
  Registered,   // cuMemHostRegister: the caller's own memory
  Heap          // of malloc in kernels
};
struct Allocation {
  uintptr_t start;
  size_t size;
  CUcontext context;
  void* base;     // what the system allocator gave, null for registered memory
  size_t guard;   // bytes on each side, 0 outside checking mode
  MemoryKind kind;
  unsigned flags;         // that host memory was allocated or registered with
  CUmemoryPool pool;      // of stream-ordered allocations, else null
  bool synchronous;       // copies wait, as CU_POINTER_ATTRIBUTE_SYNC_MEMOPS was asked to make them
  unsigned long number;   // counts allocations, for reports
  std::shared_ptr<class Advice> advice = nullptr;   // of managed memory, once there is some
  bool on_host() const { return kind == MemoryKind::Host || kind == MemoryKind::Registered; }
};
CUresult allocate(size_t size, MemoryKind kind, uintptr_t* start, unsigned flags = 0, CUmemoryPool pool = nullptr);
CUresult register_memory(uintptr_t start, size_t size, unsigned flags);
// Frees the allocation that starts there, if it is of one of the kinds; else INVALID_VALUE.
CUresult release(uintptr_t start, std::initializer_list<MemoryKind> kinds);
bool find_allocation(uintptr_t address, Allocation*);   // the one that contains address
bool inside_allocation(uintptr_t start, size_t size);
bool set_synchronous(uintptr_t address, bool on);   // false: no allocation contains address
// That of the allocation which contains address, made where it has none yet; null without an allocation.
std::shared_ptr<Advice> advice_at(uintptr_t address);
size_t bytes_in_pool(CUmemoryPool);
void forget_pool(CUmemoryPool);   // its allocations stay, in no pool
}   // namespace spectral::cpu
