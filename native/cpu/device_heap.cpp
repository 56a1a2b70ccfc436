#include "device_heap.h"
#include "memory.h"

namespace spectral::cpu {
namespace {
constexpr uint64_t kUnit = 16;
}

CUresult DeviceHeap::prepare(size_t bytes) {
  std::lock_guard l(mutex_);
  if (has_memory_)
    return CUDA_SUCCESS;
  uintptr_t start = 0;
  if (bytes >= kUnit)
    if (const CUresult status = allocate(bytes, MemoryKind::Heap, &start))
      return status;
  has_memory_ = true;
  if (start)
    free_[start] = bytes / kUnit * kUnit;
  return CUDA_SUCCESS;
}
bool DeviceHeap::has_memory() {
  std::lock_guard l(mutex_);
  return has_memory_;
}
uint64_t DeviceHeap::take(uint64_t bytes) {
  if (!bytes || bytes > UINT64_MAX - kUnit)
    return 0;
  bytes = (bytes + kUnit - 1) / kUnit * kUnit;
  std::lock_guard l(mutex_);
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    const auto [start, room] = *it;
    if (room < bytes)
      continue;
    free_.erase(it);
    if (room > bytes)
      free_[start + bytes] = room - bytes;
    used_[start] = bytes;
    return start;
  }
  return 0;
}
bool DeviceHeap::give_back(uint64_t address) {
  std::lock_guard l(mutex_);
  const auto used = used_.find(address);
  if (used == used_.end())
    return false;
  auto it = free_.insert(*used).first;
  used_.erase(used);
  if (const auto next = std::next(it); next != free_.end() && it->first + it->second == next->first) {
    it->second += next->second;
    free_.erase(next);
  }
  if (it != free_.begin())
    if (const auto last = std::prev(it); last->first + last->second == it->first) {
      last->second += it->second;
      free_.erase(it);
    }
  return true;
}
void DeviceHeap::forget() {
  std::lock_guard l(mutex_);
  has_memory_ = false;
  free_.clear();
  used_.clear();
}
}   // namespace spectral::cpu
