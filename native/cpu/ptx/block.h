// A block of threads while it runs: its warps, shared memory and barriers; the cluster that it is part of; the launch.
#pragma once
#include "../cuda_api.h"
#include "../device_heap.h"
#include "../launch_shape.h"
#include "../options.h"
#include "async.h"
#include "chain.h"
#include "counters.h"
#include "scratch.h"
#include "warp.h"
#include <atomic>
#include <optional>

namespace spectral::cpu::ptx {
// What ends a launch.
struct Fault {
  CUresult status;
  std::string text;
};

struct PtxLaunch {
  const Program* program;
  const unsigned char* parameters;
  LaunchShape shape;
  DeviceHeap* heap;               // prepared if the program uses it
  Counters* counters = nullptr;   // null: not counted
  ReuseDistances* reuse = nullptr;
  std::atomic<uint64_t> next{0};
  std::atomic<int> status{CUDA_SUCCESS};
  std::string reason{};   // of the first fault

  size_t shared_bytes() const { return program->shared_bytes + shape.dynamic_shared; }
  unsigned threads() const { return unsigned(count_of(shape.block)); }
  uint64_t clusters() const { return count_of(shape.grid) / count_of(shape.cluster); }
};
// Runs the grid on the pool.
CUresult run(PtxLaunch&);

[[noreturn]] void fail(const Warp&, const Step&, const char* format, ...) __attribute__((format(printf, 3, 4)));
[[noreturn]] void fail_access(CUresult, const Warp&, const Step&, unsigned lane, const char* format, ...)
    __attribute__((format(printf, 5, 6)));

class Cluster;

// barrier, bar: arrivals count whole warps (PTX ISA, "bar, barrier").
struct NamedBarrier {
  unsigned arrived = 0;
  unsigned expected = 0;   // 0: all threads of the block
  unsigned yes = 0;        // votes of barrier.red
  bool all = true;
  uint64_t clock = 0;        // of the latest arrival, for Chain
  unsigned result_yes = 0;   // of the phase before
  bool result_all = true;
};

class Block {
 public:
  Cluster* cluster = nullptr;
  uint3 index{};
  unsigned rank = 0;   // in the cluster
  unsigned char* shared = nullptr;
  std::vector<Warp> warps;
  NamedBarrier barriers[16];
  unsigned live_warps = 0;
  std::vector<WarpAsync> async;         // of each warp, if the program copies
  std::vector<WarpgroupAsync> groups;   // of four warps, if it has instructions of warpgroups
  SharedWrites writes;

  const PtxLaunch& launch() const;
  Counters* counters() const { return counters_; }
  // True if the warp need not wait: it was the last, or only arrives.
  bool arrive(Warp&, const Step&, unsigned id, unsigned count);
  void warp_ended();
  void start(Cluster&, uint3 index, unsigned rank);

 private:
  void release(unsigned id);
  uint32_t used_barriers_ = 0;   // since it started, a bit each
  Counters* counters_ = nullptr;
  friend class Cluster;
};

// The blocks that run together (mostly one), on one worker.
class Cluster {
 public:
  explicit Cluster(PtxLaunch& launch);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  void run(uint64_t index);
  // What a cluster needs memory for, kept from launch to launch of a thread.
  struct Kept;

  const PtxLaunch& launch() const { return launch_; }
  std::vector<Block> blocks;
  AsyncCopies copies;
  size_t shared_bytes = 0;                                  // of each block
  bool has_invariants() const { return has_invariants_; }   // in the registers of all warps
  // Whether the threads of each warp lie in one row of the block, so that their numbers are equally far apart.
  bool has_rows() const { return has_rows_; }

  void wake(Block&, Wait, uint64_t what);
  void wake(Wait, uint64_t what);   // in every block

  bool is_known(uint64_t first, uint64_t end) const {   // within an allocation that was accessed before
    for (const Range& r : known_)
      if (first >= r.first && first < end && end <= r.end)   // end may have wrapped around
        return true;
    return false;
  }
  // That [first, end) lies in one allocation, or a fault of the lane.
  void check_global(const Warp&, const Step&, unsigned lane, uint64_t first, uint64_t end);
  // The block in whose shared memory a generic address lies, or null.
  Block* shared_at(uint64_t address);
  void count_shared(uint32_t lanes, const uint64_t* at, unsigned bytes, Counters& c) const {
    c.shared_access(at, lanes, bytes, reinterpret_cast<uint64_t>(shared_), shared_stride_);
  }
  // The host address of a .shared::cluster address; of the warp's own block where it has no rank.
  unsigned char* shared_address(const Warp&, const Step&, unsigned lane, uint32_t address, size_t bytes);

  // ---- for Chain, in a launch that is counted
  void arrive_at_phase(const void* barrier, uint64_t clock);   // of an mbarrier
  void end_phase(const void* barrier, unsigned phase);
  uint64_t end_of_phase(const void* barrier, unsigned phase) const;

  void arrive_at_cluster(Warp&);
  void wait_at_cluster(Warp&, const Step&);

  uint32_t random() {
    rng_ ^= rng_ << 13;
    rng_ ^= rng_ >> 17;
    return rng_ ^= rng_ << 5;
  }

 private:
  Warp* next_warp();
  void ready(Warp&);
  void end(Warp&);
  void count_chains();
  void end_cluster_phase();
  static std::string describe(const Block&, const Group&);   // what a group waits for
  [[noreturn]] void deadlock();
  void start(uint64_t index);
  void give_registers(Warp&);
  // cluster_registers.cpp: what any warp has; then the special registers that are the warp's own.
  void write_fixed(unsigned char* registers);
  void write_constants(unsigned char* registers) const;
  void write_launch_specials(unsigned char* registers) const;
  void take_invariants(unsigned char* registers);
  void keep_predicates(unsigned char* registers) const;   // those that are invariants
  void write_specials(Warp&, unsigned char* registers, bool is_new_block) const;
  void take_block_invariants(Warp&) const;
  uint32_t special_of_launch(Special, unsigned lane) const;
  uint32_t special_of_warp(Warp&, Special) const;

  PtxLaunch& launch_;
  const Program& program_;
  std::vector<Warp*> queue_;   // of warps that have something to do, from next_in_queue_ on
  size_t next_in_queue_ = 0;
  Scratch& scratch_;
  unsigned char* registers_ = nullptr;   // register files, as many as warps at most
  struct RegisterFile {
    unsigned char* registers;
    uint64_t block;   // whose warps had it last
  };
  static constexpr uint64_t kNoBlock = ~uint64_t(0);
  uint64_t number_of(const Block& block) const { return index_ * blocks.size() + block.rank; }
  uint64_t index_ = 0;                         // of the cluster that runs
  std::vector<RegisterFile> free_registers_;   // of warps that have ended
  size_t register_files_ = 0;                  // in use or free
  bool has_invariants_ = false;
  bool has_rows_ = false;
  std::vector<uint32_t> predicates_;   // that are invariants
  unsigned char* shared_ = nullptr;
  unsigned char* local_ = nullptr;
  size_t warp_bytes_ = 0;
  size_t shared_stride_ = 0;
  unsigned warps_per_block_ = 0;
  unsigned live_warps_ = 0;
  unsigned cluster_arrived_ = 0;
  uint64_t cluster_phase_ = 0;
  uint64_t cluster_clock_ = 0;   // of the latest arrival at the cluster's barrier, for Chain
  struct PhaseClocks {
    uint64_t latest = 0;      // arrival in the current phase
    uint64_t ends[2] = {0};   // of the phases before, by parity
  };
  std::unordered_map<const void*, PhaseClocks> phases_;   // by mbarrier
  std::vector<Chain> chains_;                             // of each warp
  uint32_t rng_ = 1;
  struct Range {
    uint64_t first = 1, end = 0;
  };
  Range known_[8];   // allocations that were accessed last
  unsigned oldest_ = 0;
  std::optional<Counters> counters_;   // in a launch that is counted
};
struct Cluster::Kept {
  std::vector<Block> blocks;
  std::vector<Warp*> queue;
  std::vector<RegisterFile> free_registers;
  std::vector<uint32_t> predicates;
  static Kept& of_thread();
};
inline const PtxLaunch& Block::launch() const { return cluster->launch(); }
}   // namespace spectral::cpu::ptx
