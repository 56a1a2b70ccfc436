// Arrivals at an mbarrier that lanes leave to their copies: each comes when all that the lane has copied so far is
// there. PTX ISA, "cp.async.mbarrier.arrive".
#include "access.h"
#include "barriers.h"
#include "builder.h"
#include <algorithm>

namespace spectral::cpu::ptx {
namespace {
void complete(Cluster& cluster, const CopyArrival& a) {
  Warp& w = *a.warp;
  w.mask = a.lanes;   // for reports
  finish_lane_copies(w, a.lanes, a.end);
  each_lane(a.lanes, [&](int k) {
    Mbar m = valid_barrier(w, *a.step, a.at[k]);
    if (!m.pending)
      fail(w, *a.step, "more arrivals at the mbarrier at shared offset %u than are due", shared_offset_of(w, a.at[k]));
    auto* bits = reinterpret_cast<uint64_t*>(a.at[k]);
    cluster.arrive_at_phase(bits, a.clock);
    --m.pending;
    store_barrier(cluster, bits, m);
  });
}
void complete_nth(Cluster& cluster, size_t n) {
  std::vector<CopyArrival>& arrivals = cluster.copies.arrivals;
  const CopyArrival a = arrivals[n];
  arrivals.erase(arrivals.begin() + ptrdiff_t(n));
  complete(cluster, a);
}

void arrive_after_copies(Warp& w, const Step& s) {
  Cluster& cluster = *w.block().cluster;
  CopyArrival a{&s, &w, w.mask};
  each_lane(w.mask, [&](int k) { a.end[k] = async_of(w).groups[k] + 1; });   // with the one that is being filled
  if (w.chain) {
    w.chain->copies.commit();
    a.clock = std::max(w.chain->arrival(), w.chain->copies.wait(0));
  }
  reach_barriers(w, s, a.at);
  const bool counts = s.c;   // .noinc: the arrival is one of those expected; else one more is expected
  each_lane(w.mask, [&](int k) {
    Mbar m = valid_barrier(w, s, a.at[k]);
    if (counts)
      return;
    if (m.pending == Mbar::kMostArrivals)
      fail(w, s, "an mbarrier expects up to %u arrivals", Mbar::kMostArrivals);
    ++m.pending;
    *reinterpret_cast<uint64_t*>(a.at[k]) = m.pack();
  });
  if (is_late(cluster))
    cluster.copies.arrivals.push_back(a);
  else
    complete(cluster, a);
}
}   // namespace

void build_copy_arrival(Builder& b) {
  if (!b.take("arrive"))
    b.fail("expected .arrive");
  const bool counts = b.take("noinc");
  const bool generic = b.take_one_of({"shared", "shared::cta"}) < 0;
  if (b.take_type() != Type::B64)
    b.fail("expected .b64");
  b.expect_operands(1);
  const MemoryOperand m = b.memory(0);
  Step& s = b.emit(&arrive_after_copies);
  set_address(s, m);
  s.flags |= generic ? kGenericBarrier : 0u;
  s.c = counts;
}

void make_some_arrival(Cluster& cluster) {
  const size_t count = cluster.copies.arrivals.size();
  if (count && options.seed && (cluster.random() & 1))
    complete_nth(cluster, cluster.random() % count);
}
bool make_late_arrival(Cluster& cluster) {
  if (cluster.copies.arrivals.empty())
    return false;
  complete_nth(cluster, 0);
  return true;
}
void finish_arrivals(Warp& w) {
  std::vector<CopyArrival>& arrivals = w.block().cluster->copies.arrivals;
  for (size_t n = 0; n < arrivals.size();)
    if (arrivals[n].warp == &w)
      complete_nth(*w.block().cluster, n);
    else
      ++n;
}
}   // namespace spectral::cpu::ptx
