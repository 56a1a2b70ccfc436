// Copies that are under way: cp.async of single lanes, bulk and tensor copies, and which words of shared memory the
// asynchronous proxy may not see yet. Each is done as late as the program allows, so that a missing wait reads old
// data; in a shuffled schedule at any moment from its issue on, so that data which is still read may be gone.
#pragma once
#include "../tensor_map.h"
#include "program.h"
#include "reductions.h"
#include <optional>
#include <vector>

namespace spectral::cpu::ptx {
class Block;
class Builder;
class Cluster;
class Warp;

// cp.async of the lanes of a mask, in the group that each lane is filling.
struct LaneCopy {
  const Step* step;
  uint32_t lanes;
  uint32_t group;   // counted per lane; equal for these lanes
  unsigned bytes;
  unsigned char* to[32];
  const unsigned char* from[32];
  unsigned valid[32];   // the rest is zero
};
// A bulk copy from shared to global memory, which reads and writes at two moments.
struct BulkStore {
  const Step* step;
  uint32_t lane;
  uint32_t group;
  uint32_t offset = 0;   // in shared memory
  uint32_t extent = 0;   // bytes there
  std::optional<TensorBox> box = {};
  unsigned char* to = nullptr;            // without a box
  Reduction reduction = nullptr;          // null: it writes
  std::vector<unsigned char> data = {};   // once it has read
  bool is_done = false;
};
struct WarpAsync {
  std::vector<LaneCopy> copies;
  uint32_t groups[32] = {};   // committed, per lane
  std::vector<BulkStore> stores;
  uint32_t store_groups[32] = {};
  void clear();
};

// wgmma of four warps: recorded when issued, done at the wait.
struct WarpgroupOp {
  const Step* step;
  uint64_t a, b;
  bool clears;   // scale-d is false
};
struct WarpgroupAsync {
  std::vector<WarpgroupOp> ops[4];   // as each warp issued them
  std::vector<size_t> ends[4];       // of committed groups
  // For each accumulator of the program, the step that used it last since the warp's wgmma.fence; kFenced: none did.
  std::vector<uint32_t> used_by[4];
  std::vector<uint16_t> in_flight[4];   // likewise, how many products under way work on it
  std::vector<const Step*> limits[4];   // setmaxnreg, as each warp took them
  unsigned arrived = 0;                 // warps at the wait, a bit each
  uint64_t keep[4] = {};
  void clear(size_t accumulators);
};
constexpr uint32_t kFenced = UINT32_MAX;
constexpr uint32_t kNeverFenced = UINT32_MAX - 1;

// A copy into shared memory that completes on an mbarrier.
struct BulkLoad {
  const Step* step;
  const Warp* warp;
  Block* block = nullptr;   // whose shared memory it writes
  uint32_t offset = 0;
  uint32_t extent = 0;   // bytes there
  uint32_t bytes = 0;    // that it reports
  uint64_t* barrier = nullptr;
  std::optional<TensorBox> box = {};
  const unsigned char* from = nullptr;   // without a box or data
  std::vector<unsigned char> data = {};
  Block* source = nullptr;         // whose shared memory that is, of a copy within the cluster
  Reduction reduction = nullptr;   // null: it writes
  uint64_t done = 0;               // for Chain
};
// Arrivals at mbarriers that wait for what lanes have copied.
struct CopyArrival {
  const Step* step;
  Warp* warp;
  uint32_t lanes;
  uint32_t end[32] = {};   // per lane, the number of its groups that are to be complete
  uint64_t at[32] = {};    // the mbarrier
  uint64_t clock = 0;      // for Chain
};
struct AsyncCopies {
  std::vector<BulkLoad> soon, late;
  std::vector<CopyArrival> arrivals;
};

// Words of shared memory that threads wrote and the asynchronous proxy may not see before a fence.proxy.async.
struct SharedWrites {
  struct Reader {
    uint32_t begin, end;
    uint32_t line;
  };
  std::vector<uint16_t> writer;   // 1 + the thread, per word; empty until there is one
  struct Init {
    uint32_t offset;
    unsigned thread;
  };
  std::vector<Init> inits;       // mbarriers whose initialisation has not been fenced
  std::vector<Reader> readers;   // bulk copies that have not read yet
};
WarpAsync& async_of(Warp&);
bool is_late(Cluster&);   // whether a copy is left for its wait: always, or at random in a shuffled schedule
// wait_group: all groups but the newest that the operand counts.
void build_wait_group(Builder&, Run, uint32_t flags);
void build_bulk(Builder&, bool reduces);   // what follows cp.async.bulk and cp.reduce.async.bulk
void build_copy_arrival(Builder&);         // what follows cp.async.mbarrier
void build_async_store(Builder&);          // what follows st.async
void build_async_reduction(Builder&);      // what follows red.async
void build_map_prefetch(Builder&);         // what follows prefetch.tensormap
// An mbarrier is initialised for its own block's threads; copies and other blocks may see it after a fence alone.
void mark_init(Warp&, unsigned lane, uint32_t offset);
void publish_inits(Warp&);   // those of the lanes of the mask
void check_init_fenced(const Warp&, const Step&, const Block&, const void* barrier);
void check_limits(const Block&);   // that the warps of each warpgroup have taken the same setmaxnreg
// A fault if a bulk copy may still be reading [begin, end) of the block's shared memory; and the end of such a copy.
void check_readers(const Warp&, const Step&, const Block&, uint32_t begin, uint32_t end, const char* what);
void end_reader(Block&, uint32_t begin, const Step&);

void make_some_copies(Cluster&);   // those that a shuffled schedule does not leave for later
bool make_late_copy(Cluster&);     // the next that nothing else can go on without; false if there is none
void finish_warp(Warp&);           // what it left under way
void finish_lane_copies(Warp&, uint32_t mask, const uint32_t (&end)[32]);   // the first end[k] groups of each lane
void finish_all_lane_copies(Warp&);
void finish_all_stores(Warp&);
void make_some_arrival(Cluster&);
bool make_late_arrival(Cluster&);
void finish_arrivals(Warp&);
void finish_copies(Cluster&);
}   // namespace spectral::cpu::ptx
