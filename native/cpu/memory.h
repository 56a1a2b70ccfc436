// Device memory: ordinary memory in a table of allocations, so that unknown pointers and copies beyond an
// allocation are refused, with guard zones round each in checking mode.
#pragma once
#include "cuda_api.h"
#include <cstddef>
#include <cstdint>

namespace spectral::cpu {
struct HostMemory {
  size_t total, available;
};
HostMemory host_memory();     // of this machine or its control group, whichever is less
HostMemory device_memory();   // the same within the "memory" option

struct Allocation {
  uintptr_t start;
  size_t size;
  CUcontext context;
  void* base;             // what the system allocator gave
  size_t guard;           // bytes on each side, 0 outside checking mode
  bool pinned;            // cuMemHostAlloc
  unsigned long number;   // counts allocations, for reports
};
CUresult allocate(size_t size, bool pinned, uintptr_t* start);
CUresult release(uintptr_t start, bool pinned);
bool find_allocation(uintptr_t address, Allocation*);   // the one that contains address
bool inside_allocation(uintptr_t start, size_t size);
}   // namespace spectral::cpu
