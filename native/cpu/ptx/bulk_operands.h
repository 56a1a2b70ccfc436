// What bulk copies have in common: the places of their operands, tensor maps, checks of both ends, and counts.
#pragma once
#include "../tensor_copy.h"
#include "access.h"
#include "async.h"
#include "builder.h"

namespace spectral::cpu::ptx {
// In the list of a step.
struct BulkPlaces {
  uint32_t far, far_offset;         // the address in global memory, or of the tensor map; within a cluster, the source
  uint32_t shared, shared_offset;   // the mbarrier of a load, the source of a store
  uint32_t size;                    // of a copy without a tensor map
  uint32_t coordinates[TensorMapCpu::kMaxRank];
  uint32_t blocks;      // of a multicast
  uint32_t reduction;   // no place: 1 + ReductionOp, 0 for a copy
  uint32_t type;        // nor this: of what is reduced, where no tensor map says it
};
enum BulkFlag : uint32_t { kTensor = 8, kMulticast = 16, kWithinCluster = 32 };

inline const BulkPlaces& places_of(Warp& w, const Step& s) { return *reinterpret_cast<const BulkPlaces*>(w.list(s)); }
inline uint64_t far_of(Warp& w, const Step& s, int lane) {
  const BulkPlaces& p = places_of(w, s);
  return w.lanes<uint64_t>(p.far)[lane] + w.lanes<uint64_t>(p.far_offset)[lane];
}
inline uint32_t shared_of(Warp& w, const Step& s, int lane) {
  const BulkPlaces& p = places_of(w, s);
  return w.lanes<uint32_t>(p.shared)[lane] + w.lanes<uint32_t>(p.shared_offset)[lane];
}

TensorMapCpu read_map(Warp&, const Step&, unsigned lane, uint64_t address);
// That a copy's end in shared memory is aligned and inside the block's.
void check_shared_end(Warp&, const Step&, uint32_t offset, uint32_t bytes, uint32_t align, const char* what);
// The bytes in global memory of a copy without a tensor map: aligned, whole units of 16, and allocated.
unsigned char* take_global_end(Warp&, const Step&, unsigned lane, uint64_t address, uint32_t bytes);
void check_size(Warp&, const Step&, unsigned lane, uint64_t address, uint32_t bytes);
// A lane's box: the map, the coordinates, and that memory is allocated for the part of the box that the tensor has.
void take_box(Warp&, const Step&, int lane, TensorBox&);
void count_bulk(GlobalTraffic&, const std::optional<TensorBox>&, const void* global, uint32_t bytes);
// Null for a copy; a fault where the tensor's elements have no such reduction.
Reduction reduction_of(Warp&, const Step&, const std::optional<TensorBox>&, bool is_shared);

void queue_load(Cluster&, const BulkLoad&);   // done at once, at random, or as late as is legal

// ---- building. `rank`: of the tensor, 0: a copy without a map.
// [address] in global memory with a tensor's coordinates, or the size that operand 2 says.
void set_global_end(Builder&, BulkPlaces&, const MemoryOperand&, size_t rank);
void set_shared_address(Builder&, size_t operand, uint32_t* place, uint32_t* offset);
uint32_t list_of(Builder&, const BulkPlaces&);
void take_tile_mode(Builder&, size_t rank);
// .redOp{.noftz}.type, the latter not with a tensor map.
void take_reduction(Builder&, BulkPlaces&, bool has_type, bool is_shared);
void build_bulk_load(Builder&, size_t rank, bool within_cluster, bool reduces);
void build_bulk_store(Builder&, size_t rank, bool reduces);
void commit_bulk_stores(Warp&, const Step&);
void wait_bulk_stores(Warp&, const Step&);
}   // namespace spectral::cpu::ptx
