// Pages of a map that were asked for last. A kernel goes through a few buffers side by side.
#pragma once
#include <cstdint>

namespace spectral::cpu::ptx {
template <class Page>
class RecentPages {
 public:
  // The page of the number, which stays where it is; find() is asked where it is not among the recent ones.
  template <class Find>
  Page& get(uint64_t number, Find find) {
    Entry& e = entries_[(number * 0x9e3779b97f4a7c15) >> (64 - kBits)];
    if (e.number != number)
      e = {number, &find()};
    return *e.page;
  }

 private:
  static constexpr unsigned kBits = 9;
  struct Entry {
    uint64_t number = ~uint64_t(0);   // no page's
    Page* page = nullptr;
  };
  Entry entries_[1 << kBits];
};
}   // namespace spectral::cpu::ptx
