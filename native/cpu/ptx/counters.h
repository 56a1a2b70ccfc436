// What a profiler would say of a launch, exact and repeatable.
#pragma once
#include "program.h"
#include <bit>
#include <cstdint>
#include <map>
#include <string>

namespace spectral::cpu::ptx {
// Which bytes of memory were touched: a bit each, by pages.
class ByteSet {
 public:
  void add(uint64_t first, uint64_t bytes);
  void add_all(const ByteSet&);
  uint64_t count() const;

 private:
  static constexpr uint64_t kPage = 4096;
  struct Page {
    uint64_t bits[kPage / 64] = {};
  };
  std::map<uint64_t, Page> pages_;
  Page* last_ = nullptr;
  uint64_t last_number_ = ~uint64_t(0);
};

struct Counters {
  uint64_t instructions = 0;   // warp instructions issued
  uint64_t by_class[kStepClasses] = {};
  uint64_t global_read_sectors = 0;   // of 32 bytes, per warp instruction, no cache between
  uint64_t global_write_sectors = 0;
  uint64_t global_requests = 0;   // warp instructions that access global memory
  uint64_t shared_wavefronts = 0;
  uint64_t shared_bank_conflicts = 0;   // wavefronts beyond the least
  uint64_t local_bytes = 0;
  uint64_t barriers = 0;   // per block, summed
  uint64_t divergent_branches = 0;
  ByteSet global_read, global_written;

  void count(StepClass c) {
    ++instructions;
    ++by_class[int(c)];
  }
  void add(const Counters&);
  std::string text() const;   // "name value" lines
  // Lanes of a mask access `bytes` bytes each at the addresses.
  void global_access(const uint64_t* addresses, uint32_t mask, unsigned bytes, bool writes);
  void global_range(uint64_t first, uint64_t bytes, bool writes);   // of a bulk copy
  void shared_access(const uint64_t* addresses, uint32_t mask, unsigned bytes);
};
}   // namespace spectral::cpu::ptx
