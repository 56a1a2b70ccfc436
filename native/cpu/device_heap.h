// The memory that malloc in kernels takes, one piece for each context. CUDA C++ Programming Guide, "Dynamic Global
// Memory Allocation and Operations": it lives as long as the context, and calls of the driver cannot free parts of it.
#pragma once
#include "cuda_api.h"
#include <cstdint>
#include <map>
#include <mutex>

namespace spectral::cpu {
class DeviceHeap {
 public:
  // Takes the heap's memory, for the current context, if it has none yet; from then on its size stays.
  CUresult prepare(size_t bytes);
  bool has_memory();
  uint64_t take(uint64_t bytes);      // at a multiple of 16; 0 where there is no room
  bool give_back(uint64_t address);   // false: take did not give it, or it was given back
  void forget();                      // once the context's memory has been freed

 private:
  std::mutex mutex_;
  bool has_memory_ = false;
  std::map<uint64_t, uint64_t> free_;   // bytes by address; neighbours are one
  std::map<uint64_t, uint64_t> used_;
};
}   // namespace spectral::cpu
