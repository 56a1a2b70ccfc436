// What cuMemAdvise and cuMemPrefetchAsync have said of managed memory, by range.
#pragma once
#include "loader_api.h"
#include <cstdint>
#include <map>
#include <mutex>

namespace spectral::cpu {
struct RangeAdvice {
  bool read_mostly = false;
  bool accessed_by_device = false;
  bool accessed_by_host = false;
  CUmemLocation preferred{CU_MEM_LOCATION_TYPE_INVALID, 0};
  CUmemLocation prefetched{CU_MEM_LOCATION_TYPE_INVALID, 0};   // last
};
class Advice {
 public:
  Advice(uintptr_t start, uintptr_t end) : parts_{{start, {}}, {end, {}}} {}

  template <class F>
  void change(uintptr_t start, uintptr_t end, F f) {
    std::lock_guard l(mutex_);
    split(start);
    split(end);
    for (auto it = parts_.find(start); it->first != end; ++it)
      f(it->second);
  }
  // Whether f says the same of the whole range as of its start, and what.
  template <class F>
  bool same(uintptr_t start, uintptr_t end, F f, decltype(f(RangeAdvice()))* value) {
    std::lock_guard l(mutex_);
    auto it = std::prev(parts_.upper_bound(start));
    *value = f(it->second);
    while ((++it)->first < end)
      if (f(it->second) != *value)
        return false;
    return true;
  }

 private:
  void split(uintptr_t at) { parts_.emplace(at, std::prev(parts_.upper_bound(at))->second); }
  std::mutex mutex_;
  std::map<uintptr_t, RangeAdvice> parts_;   // each up to where the next begins; the last begins at the end
};
}   // namespace spectral::cpu
