#include "async.h"
#include "barriers.h"
#include "block.h"
#include "builder.h"
#include <algorithm>

namespace spectral::cpu::ptx {
void WarpAsync::clear() {
  copies.clear();
  stores.clear();
  std::fill(std::begin(groups), std::end(groups), 0);
  std::fill(std::begin(store_groups), std::end(store_groups), 0);
}
void WarpgroupAsync::clear(size_t accumulators) {
  for (int i = 0; i < 4; ++i) {
    ops[i].clear();
    ends[i].clear();
    used_by[i].assign(accumulators, kNeverFenced);
    in_flight[i].assign(accumulators, 0);
    limits[i].clear();
  }
  arrived = 0;
}

WarpAsync& async_of(Warp& w) { return w.block().async[w.index()]; }
bool is_late(Cluster& cluster) { return !options.eager && (!options.seed || (cluster.random() & 1)); }

void build_wait_group(Builder& b, Run run, uint32_t flags) {
  b.expect_operands(1);
  const int64_t keep = b.read_immediate(0, 0, 1 << 20);
  Step& s = b.emit(run);
  s.value = keep;
  s.flags = flags;
}

void finish_warp(Warp& w) {
  if (w.program().uses_copies) {
    finish_arrivals(w);
    finish_all_lane_copies(w);
    finish_all_stores(w);
  }
  w.mask = ~0u;
  publish_writes(w);
}
}   // namespace spectral::cpu::ptx
