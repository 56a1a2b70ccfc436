// Reuse distances: how many other bytes of global memory a launch touches between two uses of the same sector. A cache
// that keeps what was used last, as L2 is taken to, has lost what is used again at a distance of its size or more.
#pragma once
#include "page_table.h"
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace spectral::cpu::ptx {
class ByteSet;

constexpr uint64_t kSector = 32;   // bytes

struct CounterLine {
  const char* name;
  const char* rest;   // of the name
  int64_t value;
};

// Neighbouring sectors that a warp instruction or a bulk copy touches.
struct SectorRun {
  uint64_t first;
  uint32_t count;
  uint32_t slice : 31;   // of the warp's way through the program
  uint32_t writes : 1;
};

// As on a GPU many blocks run at once, time goes in steps: blocks in the order of their numbers are a wave, as many as
// the multiprocessors hold; in a step each warp of a wave takes a slice of its instructions. Uses in one step are one
// use. The distance of a sector from its last use are the distinct sectors that the steps between touch.
class ReuseDistances {
 public:
  static constexpr uint32_t kSlice = 16;   // instructions of a warp

  // `clusters` of a launch, of which `at_once` are a wave. Buffers are where the parameters point to: from there up to
  // the next in the allocation, or to its end.
  ReuseDistances(uint64_t clusters, uint64_t at_once, const unsigned char* parameters, size_t parameter_bytes);
  void add(uint64_t cluster, std::vector<SectorRun>&&);   // in any order, from any thread; each cluster once
  // For each buffer that was touched "buffer", the offset of the parameter (-1 for memory that none points to), its
  // distinct bytes, and for each distance in MiB the bytes that were read and written again.
  void append_to(std::vector<CounterLine>&, const ByteSet& read, const ByteSet& written) const;

 private:
  static constexpr uint64_t kPageSectors = 128;
  struct Page {
    uint32_t last[kPageSectors] = {};   // step of the last use; 0: none
    uint64_t reads[2] = {};             // in the current step, a bit each
    uint64_t writes[2] = {};
    uint64_t written[2] = {};   // ever
  };
  struct Again {
    uint64_t read = 0;   // sectors
    uint64_t written = 0;
  };
  struct Buffer {
    uint64_t first, end;
    int64_t offset;
    std::map<uint64_t, Again> at = {};   // by distance
  };
  using Wave = std::vector<std::vector<SectorRun>>;

  void take_wave(const Wave&);
  void take_step(const SectorRun* first, const SectorRun* end);
  void look_back(uint64_t number, const Page&);
  void move_up(Page&);
  void leave(uint32_t step, uint64_t sectors);   // whose last use that was
  Buffer& buffer_at(uint64_t address);
  uint64_t touched_up_to(uint32_t step) const;   // sectors whose last use that or an earlier one is
  void change(uint32_t step, uint64_t by);

  std::mutex mutex_;
  const uint64_t clusters_, at_once_;
  std::map<uint64_t, std::pair<uint64_t, Wave>> waiting_;   // with how many clusters have come
  std::vector<SectorRun> by_slice_;                         // of the wave that is taken; kept for its memory
  std::vector<size_t> slices_;                              // where each begins in there
  uint64_t next_wave_ = 0;
  PageTable<Page> pages_;
  std::vector<std::pair<uint64_t, Page*>> in_step_;
  uint32_t step_ = 0;
  std::vector<uint64_t> tree_;      // Fenwick's, over steps
  std::vector<uint64_t> of_step_;   // sectors whose last use it is
  uint64_t touched_ = 0;            // sectors in all
  std::vector<Buffer> buffers_;     // by address; the last is everything else
  size_t last_buffer_ = 0;
};
}   // namespace spectral::cpu::ptx
