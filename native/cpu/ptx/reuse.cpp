#include "reuse.h"
#include "../memory.h"
#include "counters.h"
#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

namespace spectral::cpu::ptx {
namespace {
constexpr uint64_t kMebibyte = uint64_t(1) << 20;

template <class F>
void each_bit(const uint64_t* bits, F f) {
  for (unsigned word = 0; word < 2; ++word)
    for (uint64_t left = bits[word]; left; left &= left - 1)
      f(64 * word + unsigned(std::countr_zero(left)));
}
bool has(const uint64_t* bits, unsigned i) { return bits[i / 64] >> i % 64 & 1; }
void set(uint64_t* bits, unsigned first, unsigned n) {
  for (unsigned i = first; i < first + n; ++i)
    bits[i / 64] |= uint64_t(1) << i % 64;
}
}   // namespace

ReuseDistances::ReuseDistances(
    uint64_t clusters, uint64_t at_once, const unsigned char* parameters, size_t parameter_bytes)
    : clusters_(clusters), at_once_(std::max<uint64_t>(at_once, 1)) {
  for (size_t offset = 0; offset + 8 <= parameter_bytes; offset += 8) {
    uint64_t address;
    std::memcpy(&address, parameters + offset, sizeof address);
    Allocation a;
    if (find_allocation(address, &a))
      buffers_.push_back({address, a.start + a.size, int64_t(offset)});
  }
  std::stable_sort(
      buffers_.begin(), buffers_.end(), [](const Buffer& a, const Buffer& b) { return a.first < b.first; });
  const auto same = [](const Buffer& a, const Buffer& b) { return a.first == b.first; };
  buffers_.erase(std::unique(buffers_.begin(), buffers_.end(), same), buffers_.end());
  for (size_t i = 0; i + 1 < buffers_.size(); ++i)
    buffers_[i].end = std::min(buffers_[i].end, buffers_[i + 1].first);
  buffers_.push_back({0, 0, -1});
}

void ReuseDistances::add(uint64_t cluster, std::vector<SectorRun>&& runs) {
  std::lock_guard lock(mutex_);
  auto& [come, wave] = waiting_[cluster / at_once_];
  wave.resize(std::min(at_once_, clusters_ - cluster / at_once_ * at_once_));
  wave[cluster % at_once_] = std::move(runs);
  ++come;
  for (auto first = waiting_.begin(); first != waiting_.end() && first->first == next_wave_;
       first = waiting_.erase(first)) {
    if (first->second.first < first->second.second.size())
      return;
    take_wave(first->second.second);
    ++next_wave_;
  }
}

void ReuseDistances::take_wave(const Wave& wave) {
  slices_.assign(2, 0);
  for (const std::vector<SectorRun>& cluster : wave)
    for (const SectorRun& r : cluster) {
      if (slices_.size() < r.slice + size_t(3))
        slices_.resize(r.slice + size_t(3));
      ++slices_[r.slice + size_t(2)];
    }
  for (size_t i = 2; i < slices_.size(); ++i)
    slices_[i] += slices_[i - 1];
  by_slice_.resize(slices_.back());
  for (const std::vector<SectorRun>& cluster : wave)
    for (const SectorRun& r : cluster)
      by_slice_[slices_[r.slice + size_t(1)]++] = r;
  // Each has moved up to where it ends.
  for (size_t i = 0; i + 2 < slices_.size(); ++i)
    if (slices_[i] < slices_[i + 1])
      take_step(&by_slice_[slices_[i]], &by_slice_[slices_[i + 1] - 1] + 1);
}

void ReuseDistances::take_step(const SectorRun* first, const SectorRun* end) {
  ++step_;
  in_step_.clear();
  for (const SectorRun& r : std::span(first, end))
    for (uint64_t sector = r.first; sector < r.first + r.count;) {
      const uint64_t number = sector / kPageSectors;
      const auto at = unsigned(sector % kPageSectors);
      const auto n = unsigned(std::min(r.first + r.count - sector, kPageSectors - at));
      Page& page = pages_.get(number);
      if (!(page.reads[0] | page.reads[1] | page.writes[0] | page.writes[1]))
        in_step_.emplace_back(number, &page);
      set(r.writes ? page.writes : page.reads, at, n);
      sector += n;
    }
  // All distances are those before the step; only then is it the last use.
  for (const auto& [number, page] : in_step_)
    look_back(number, *page);
  for (const auto& [number, page] : in_step_)
    move_up(*page);
}

void ReuseDistances::look_back(uint64_t number, const Page& page) {
  uint32_t last = 0;
  uint64_t mebibytes = 0;
  const uint64_t used[2] = {page.reads[0] | page.writes[0], page.reads[1] | page.writes[1]};
  each_bit(used, [&](unsigned i) {
    if (!page.last[i])
      return;
    if (page.last[i] != last) {
      last = page.last[i];
      mebibytes = (touched_ - touched_up_to(last)) * kSector / kMebibyte;
    }
    Again& again = buffer_at((number * kPageSectors + i) * kSector).at[mebibytes];
    again.read += has(page.reads, i);
    again.written += has(page.writes, i) && has(page.written, i);
  });
}
void ReuseDistances::move_up(Page& page) {
  const uint64_t used[2] = {page.reads[0] | page.writes[0], page.reads[1] | page.writes[1]};
  uint32_t last = 0;   // of the sectors before this one, which mostly were used together
  uint64_t sectors = 0;
  each_bit(used, [&](unsigned i) {
    if (page.last[i] != last) {
      leave(last, sectors);
      last = page.last[i];
      sectors = 0;
    }
    ++sectors;
    page.last[i] = step_;
  });
  leave(last, sectors);
  change(step_, uint64_t(std::popcount(used[0]) + std::popcount(used[1])));
  for (unsigned word = 0; word < 2; ++word) {
    page.written[word] |= page.writes[word];
    page.reads[word] = page.writes[word] = 0;
  }
}

void ReuseDistances::leave(uint32_t step, uint64_t sectors) {
  if (step)
    change(step, ~sectors + 1);
  else
    touched_ += sectors;
}

uint64_t ReuseDistances::touched_up_to(uint32_t step) const {
  uint64_t n = 0;
  for (uint64_t i = step; i; i &= i - 1)
    n += tree_[i];
  return n;
}
void ReuseDistances::change(uint32_t step, uint64_t by) {
  if (step >= tree_.size()) {   // twice as many steps: the tree is built anew
    of_step_.resize(std::bit_ceil(uint64_t(step) + 1));
    tree_ = of_step_;
    for (uint64_t i = 1; i < tree_.size(); ++i)
      if (const uint64_t up = i + (i & -i); up < tree_.size())
        tree_[up] += tree_[i];
  }
  of_step_[step] += by;
  for (uint64_t i = step; i < tree_.size(); i += i & -i)
    tree_[i] += by;
}

ReuseDistances::Buffer& ReuseDistances::buffer_at(uint64_t address) {
  const auto holds = [&](const Buffer& b) { return address >= b.first && address < b.end; };
  if (!holds(buffers_[last_buffer_])) {
    const auto found = std::find_if(buffers_.begin(), buffers_.end(), holds);
    last_buffer_ = size_t(found - buffers_.begin());
    if (found == buffers_.end())
      --last_buffer_;
  }
  return buffers_[last_buffer_];
}

void ReuseDistances::append_to(std::vector<CounterLine>& lines, const ByteSet& read, const ByteSet& written) const {
  auto line = [&](const char* name, uint64_t value) { lines.push_back({name, "", int64_t(value)}); };
  uint64_t others_read = read.count();
  uint64_t others_written = written.count();
  for (const Buffer& b : buffers_) {
    const bool is_rest = b.offset < 0;
    const uint64_t bytes_read = is_rest ? others_read : read.count(b.first, b.end);
    const uint64_t bytes_written = is_rest ? others_written : written.count(b.first, b.end);
    others_read -= bytes_read;
    others_written -= bytes_written;
    if (!bytes_read && !bytes_written)
      continue;
    line("buffer", uint64_t(b.offset));
    line("read_bytes", bytes_read);
    line("written_bytes", bytes_written);
    for (const auto& [mebibytes, again] : b.at) {
      line("distance_mib", mebibytes);
      line("read_again_bytes", again.read * kSector);
      line("written_again_bytes", again.written * kSector);
    }
  }
}
}   // namespace spectral::cpu::ptx
