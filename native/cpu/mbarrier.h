// The bits of an mbarrier as the CPU device keeps them: pending arrivals 20, count 20, bytes still due 21 (signed),
// phase 1, tag 2.
#pragma once
#include "worker.h"

namespace spectral::cpu {
struct Mbar {
  // PTX ISA, "Tracking asynchronous operations by the mbarrier object": the range of tx-count.
  static constexpr int kMostBytes = (1 << 20) - 1;
  static constexpr uint32_t kMostArrivals = (1 << 20) - 1;
  static constexpr bool counts(int64_t bytes) { return bytes >= -kMostBytes && bytes <= kMostBytes; }
  uint32_t pending, count;
  int tx;
  unsigned phase;
  bool valid;
  explicit Mbar(uint64_t v)
      : pending(v & 0xfffff),
        count(v >> 20 & 0xfffff),
        tx(int(int64_t(v << 3) >> 43)),
        phase(v >> 61 & 1),
        valid(v >> 62 == 2) {}
  uint64_t pack() const {
    return pending | uint64_t(count) << 20 | uint64_t(tx & 0x1fffff) << 40 | uint64_t(phase) << 61 | uint64_t(2) << 62;
  }
};
void add_transactions(Mbar&, int64_t bytes, const Where&);   // a fault beyond what an mbarrier counts
// An mbarrier is initialised for its own block's threads; copies and other blocks may see it after a fence alone.
void check_init_fenced(const uint64_t*, const Where&);
uint64_t* mbar_of_block(
    uint64_t*, unsigned rank, const Where&);   // the barrier at the same place in another block of the cluster
}   // namespace spectral::cpu
