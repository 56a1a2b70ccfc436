#include "counters.h"
#include <algorithm>

namespace spectral::cpu::ptx {
const char* name_of(StepClass c) {
  constexpr const char* kNames[] = {
      "integer", "float", "double", "conversion", "move", "memory", "control", "collective", "matrix", "async"};
  return kNames[int(c)];
}

void ByteSet::add(uint64_t first, uint64_t bytes) {
  while (bytes) {
    const uint64_t number = first / kPage;
    if (number != last_number_) {
      last_ = &pages_[number];
      last_number_ = number;
    }
    const uint64_t at = first % kPage;
    const uint64_t n = std::min({bytes, kPage - at, 64 - at % 64});
    last_->bits[at / 64] |= (n == 64 ? ~uint64_t(0) : (uint64_t(1) << n) - 1) << at % 64;
    first += n;
    bytes -= n;
  }
}
void ByteSet::add_all(const ByteSet& other) {
  for (const auto& [number, page] : other.pages_)
    for (size_t i = 0; i < std::size(page.bits); ++i)
      pages_[number].bits[i] |= page.bits[i];
}
uint64_t ByteSet::count() const {
  uint64_t n = 0;
  for (const auto& [number, page] : pages_)
    for (uint64_t bits : page.bits)
      n += uint64_t(std::popcount(bits));
  return n;
}

void Counters::add(const Counters& o) {
  instructions += o.instructions;
  for (int i = 0; i < kStepClasses; ++i)
    by_class[i] += o.by_class[i];
  global_read_sectors += o.global_read_sectors;
  global_write_sectors += o.global_write_sectors;
  global_requests += o.global_requests;
  shared_wavefronts += o.shared_wavefronts;
  shared_bank_conflicts += o.shared_bank_conflicts;
  local_bytes += o.local_bytes;
  barriers += o.barriers;
  divergent_branches += o.divergent_branches;
  global_read.add_all(o.global_read);
  global_written.add_all(o.global_written);
}

std::string Counters::text() const {
  std::string lines;
  auto line = [&](const std::string& name, uint64_t value) {
    lines.append(name).append(" ").append(std::to_string(value)).append("\n");
  };
  line("instructions", instructions);
  for (int i = 0; i < kStepClasses; ++i)
    line(std::string(name_of(StepClass(i))) + "_instructions", by_class[i]);
  line("global_requests", global_requests);
  line("global_read_sectors", global_read_sectors);
  line("global_write_sectors", global_write_sectors);
  line("global_read_bytes", global_read.count());
  line("global_write_bytes", global_written.count());
  line("shared_wavefronts", shared_wavefronts);
  line("shared_bank_conflicts", shared_bank_conflicts);
  line("local_bytes", local_bytes);
  line("barriers", barriers);
  line("divergent_branches", divergent_branches);
  return lines;
}

void Counters::global_access(const uint64_t* addresses, uint32_t mask, unsigned bytes, bool writes) {
  constexpr uint64_t kSector = 32;
  uint64_t sectors[64];
  size_t n = 0;
  ByteSet& touched = writes ? global_written : global_read;
  for (; mask; mask &= mask - 1) {
    const uint64_t a = addresses[std::countr_zero(mask)];
    touched.add(a, bytes);
    for (uint64_t sector = a / kSector; sector <= (a + bytes - 1) / kSector; ++sector)
      sectors[n++] = sector;
  }
  std::sort(sectors, sectors + n);
  (writes ? global_write_sectors : global_read_sectors) += uint64_t(std::unique(sectors, sectors + n) - sectors);
  ++global_requests;
}
void Counters::global_range(uint64_t first, uint64_t bytes, bool writes) {
  (writes ? global_written : global_read).add(first, bytes);
  (writes ? global_write_sectors : global_read_sectors) += (first + bytes - 1) / 32 - first / 32 + 1;
}

// 32 banks of 4 bytes; lanes that want the same word share it. 8-byte accesses go by 16 lanes, 16-byte ones by 8, and
// each such part takes as many wavefronts as its busiest bank has words.
void Counters::shared_access(const uint64_t* addresses, uint32_t mask, unsigned bytes) {
  const unsigned lanes_at_once = bytes <= 4 ? 32 : 128 / bytes;
  const unsigned words = std::max(1u, bytes / 4);
  for (unsigned first = 0; first < 32; first += lanes_at_once) {
    uint64_t wanted[32];
    size_t n = 0;
    for (unsigned lane = first; lane < first + lanes_at_once; ++lane)
      if (mask >> lane & 1)
        for (unsigned i = 0; i < words; ++i)
          wanted[n++] = addresses[lane] / 4 + i;
    if (!n)
      continue;
    std::sort(wanted, wanted + n);
    n = size_t(std::unique(wanted, wanted + n) - wanted);
    unsigned busy[32] = {};
    for (size_t i = 0; i < n; ++i)
      ++busy[wanted[i] % 32];
    const unsigned wavefronts = *std::max_element(busy, busy + 32);
    shared_wavefronts += wavefronts;
    shared_bank_conflicts += wavefronts - 1;
  }
}
}   // namespace spectral::cpu::ptx
