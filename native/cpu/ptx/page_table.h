// Pages by their numbers, made where they are asked for first. Memory is kept from launch to launch, as that of the
// blocks is (scratch.h): a kernel that touches scattered memory would take most of its time to have it zeroed by the
// system.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace spectral::cpu::ptx {
constexpr size_t kPageChunk = 16384;   // bytes
unsigned char* take_page_chunk();
void give_page_chunk(unsigned char*);

template <class Page>   // trivially destructible
class PageTable {
 public:
  PageTable() = default;
  ~PageTable() {
    for (unsigned char* chunk : chunks_)
      give_page_chunk(chunk);
  }
  PageTable(const PageTable&) = delete;

  // The page of the number, which stays where it is.
  Page& get(uint64_t number) {
    if (last_.page && last_.number == number)   // neighbours are asked for together
      return *last_.page;
    last_ = {number, &find(number)};
    return *last_.page;
  }
  bool empty() const { return !count_; }
  void swap(PageTable& other) {
    slots_.swap(other.slots_);
    chunks_.swap(other.chunks_);
    std::swap(count_, other.count_);
    std::swap(shift_, other.shift_);
    std::swap(last_, other.last_);
  }
  // f(number, page), in no order.
  template <class F>
  void each(F f) const {
    for (const Slot& s : slots_)
      if (s.page)
        f(s.number, *s.page);
  }

 private:
  struct Slot {
    uint64_t number = 0;
    Page* page = nullptr;
  };
  static constexpr unsigned kFirstBits = 5;
  static constexpr size_t kInChunk = kPageChunk / sizeof(Page);

  Page& find(uint64_t number) {
    if (slots_.empty())
      slots_.resize(size_t(1) << kFirstBits);
    size_t i = place_of(number);
    for (; slots_[i].page; i = (i + 1) & (slots_.size() - 1))
      if (slots_[i].number == number)
        return *slots_[i].page;
    if (2 * ++count_ > slots_.size()) {
      grow();
      i = free_place(number);
    }
    slots_[i] = {number, make()};
    return *slots_[i].page;
  }
  size_t place_of(uint64_t number) const { return (number * 0x9e3779b97f4a7c15) >> shift_; }
  size_t free_place(uint64_t number) const {
    size_t i = place_of(number);
    while (slots_[i].page)
      i = (i + 1) & (slots_.size() - 1);
    return i;
  }
  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    --shift_;
    for (const Slot& s : old)
      if (s.page)
        slots_[free_place(s.number)] = s;
  }
  Page* make() {
    const size_t in_last = (count_ - 1) % kInChunk;
    if (!in_last)
      chunks_.push_back(take_page_chunk());
    return new (chunks_.back() + in_last * sizeof(Page)) Page{};
  }

  std::vector<Slot> slots_;   // at most half of them taken
  Slot last_;                 // that was asked for
  std::vector<unsigned char*> chunks_;
  size_t count_ = 0;
  unsigned shift_ = 64 - kFirstBits;
};
}   // namespace spectral::cpu::ptx
