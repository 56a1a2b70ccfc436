// What a profiler would say of a launch, exact and repeatable.
#pragma once
#include "page_table.h"
#include "program.h"
#include "reuse.h"
#include <bit>
#include <cstdint>

namespace spectral::cpu::ptx {
// Which bytes of memory were touched: a bit each, by pages.
class ByteSet {
 public:
  // Adds short pieces one after the other, of which most share a word of bits with the one before.
  class Adder {
   public:
    explicit Adder(ByteSet& set) : set_(set) {}
    ~Adder() { set_.add_bits(word_, bits_); }
    Adder(const Adder&) = delete;
    void add(uint64_t first, uint64_t bytes) {
      if (first % 64 + bytes > 64)
        return set_.add(first, bytes);
      add_bits(first / 64, ones(bytes) << first % 64);
    }
    // Those bytes of a sector whose bits are set.
    void add_sector(uint64_t sector, uint32_t bits) {
      add_bits(sector / (64 / kSector), uint64_t(bits) << sector % (64 / kSector) * kSector);
    }

   private:
    void add_bits(uint64_t word, uint64_t bits) {
      if (word != word_) {
        set_.add_bits(word_, bits_);
        word_ = word;
        bits_ = 0;
      }
      bits_ |= bits;
    }
    ByteSet& set_;
    uint64_t word_ = 0;
    uint64_t bits_ = 0;
  };
  void add(uint64_t first, uint64_t bytes);
  // Pieces of so many bytes, n of them `step` apart, a power of two up to 64; none is in two words of bits.
  void add_row(uint64_t first, uint64_t bytes, uint64_t step, uint64_t n);
  void take_all(ByteSet&);   // the other's pages may become its own
  uint64_t count() const;
  uint64_t count(uint64_t first, uint64_t end) const;   // of those addresses

 private:
  static constexpr uint64_t kPage = 4096;
  struct Page {
    uint64_t bits[kPage / 64] = {};
    uint64_t count = 0;   // of bits that are set
    void add(size_t word, uint64_t more) {
      count += uint64_t(std::popcount(more & ~bits[word]));
      bits[word] |= more;
    }
  };
  static uint64_t ones(uint64_t n) { return n == 64 ? ~uint64_t(0) : (uint64_t(1) << n) - 1; }
  void add_bits(uint64_t word, uint64_t bits) {
    if (bits)
      pages_.get(word / (kPage / 64)).add(word % (kPage / 64), bits);
  }

  PageTable<Page> pages_;
};

// What a lane accesses.
struct Piece {
  uint64_t first;
  unsigned bytes;
};

// Traffic with global memory in one direction. Sectors have 32 bytes and are counted per warp instruction, with no
// cache between.
struct GlobalTraffic {
  uint64_t sectors = 0;
  uint64_t requests = 0;         // warp instructions of lanes, not bulk copies
  uint64_t excess_sectors = 0;   // of requests, beyond the least that their bytes would fill
  uint64_t bulk_copies = 0;
  uint64_t bulk_sectors = 0;   // part of sectors
  ByteSet touched;
  std::vector<SectorRun> runs;   // of the cluster that runs, in the order of its instructions
  uint32_t slice = 0;            // which part of the current warp's instructions

  void take(GlobalTraffic&);               // what the other has counted
  void request(Piece* pieces, size_t n);   // of a warp instruction; sorts them
  // The same of n aligned pieces, of which the next begins `step` bytes behind the one before: at most a sector, so
  // that none is left out.
  void request_row(Piece, uint64_t step, size_t n);
  // The same of n aligned pieces of up to a sector, in ascending and in any order.
  void request_ascending(const uint64_t* addresses, size_t n, unsigned bytes);
  void request_scattered(const uint64_t* addresses, size_t n, unsigned bytes);
  void bulk(uint64_t first, uint64_t bytes, uint64_t rows, int64_t stride);

 private:
  void add_run(uint64_t first, uint64_t end);
  void count_request(uint64_t found, uint64_t bytes);   // sectors, and the bytes that are asked for
};

struct Counters {
  uint64_t instructions = 0;   // warp instructions executed
  uint64_t by_class[kStepClasses] = {};
  uint64_t operations[kStepClasses] = {};   // in floating point
  GlobalTraffic global_read, global_write;
  uint64_t shared_wavefronts = 0;
  uint64_t shared_bank_conflicts = 0;   // wavefronts beyond the least
  uint64_t async_shared_bytes = 0;      // that bulk copies and wgmma move in shared memory, without the lanes
  uint64_t local_bytes = 0;
  uint64_t barriers = 0;   // per block, summed
  uint64_t cluster_barriers = 0;
  uint64_t divergent_branches = 0;
  uint64_t chain_clocks = 0;           // of each block its longest chain of dependent instructions, summed
  uint64_t longest_chain_clocks = 0;   // of all blocks

  // Counts what a warp touches to the slice of its way that it is in.
  void at_instruction(uint64_t number) {
    global_read.slice = global_write.slice = uint32_t(number / ReuseDistances::kSlice);
  }
  std::vector<SectorRun> take_runs();   // of the cluster that has run
  void count(const Step& s, uint32_t lanes) { count(s, lanes, 1); }
  void take_back(const Step& s, uint32_t lanes) { count(s, lanes, ~uint64_t(0)); }   // the lanes come again
  void take(Counters&);                                                              // what the other has counted
  void append_to(std::vector<CounterLine>&) const;
  GlobalTraffic& traffic(bool writes) { return writes ? global_write : global_read; }
  // Lanes of a mask access `bytes` bytes each at the addresses.
  void global_access(const uint64_t* addresses, uint32_t mask, unsigned bytes, bool writes);
  // The same in shared memory, of a cluster whose blocks have theirs `stride` bytes apart.
  void shared_access(const uint64_t* addresses, uint32_t mask, unsigned bytes, uint64_t first_block, uint64_t stride);

 private:
  void count(const Step& s, uint32_t lanes, uint64_t times) {
    if (s.kind == StepClass::Part)
      return;
    instructions += times;
    by_class[int(s.kind)] += times;
    if (s.operations)
      operations[int(s.kind)] += times * s.operations * uint64_t(std::popcount(lanes));
  }
};
}   // namespace spectral::cpu::ptx
