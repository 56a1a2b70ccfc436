// Which copy of a block of memory or of a box of a tensor an instruction names. PTX ISA, "Data Movement and Conversion:
// cp.async.bulk, cp.reduce.async.bulk", and these of tensors.
#include "bulk_operands.h"

namespace spectral::cpu::ptx {
namespace {
// prefetch.tensormap: a hint, of a map that must be one.
void prefetch_map(Warp& w, const Step& s) {
  uint64_t at[32];
  gather_addresses(w, s, at);
  each_lane(w.mask, [&](int k) { read_map(w, s, unsigned(k), at[k]); });
}
size_t take_rank(Builder& b) {
  if (!b.take("tensor"))
    return 0;
  const int rank = 1 + b.take_one_of({"1d", "2d", "3d", "4d", "5d"});
  if (!rank)
    b.fail("expected a number of dimensions, .1d to .5d");
  return size_t(rank);
}
}   // namespace

void build_bulk(Builder& b, bool reduces) {
  if (!reduces && b.take("commit_group")) {
    b.expect_operands(0);
    b.emit(&commit_bulk_stores);
    return;
  }
  if (!reduces && b.take("wait_group")) {
    const bool only_reads = b.take("read");
    return build_wait_group(b, &wait_bulk_stores, only_reads);
  }
  if (!reduces && b.take("prefetch")) {
    b.skip_modifiers();
    b.emit(&do_nothing);
    return;
  }
  const size_t rank = take_rank(b);
  const bool to_global = b.take("global");
  const bool to_cluster = !to_global && b.take("shared::cluster");
  const bool to_own = !to_global && !to_cluster && !reduces && b.take("shared::cta");
  if (to_global && b.take("shared::cta"))
    return build_bulk_store(b, rank, reduces);
  if (to_cluster && !rank && b.take("shared::cta"))
    return build_bulk_load(b, 0, true, reduces);
  if ((to_cluster || to_own) && !reduces && b.take("global"))
    return build_bulk_load(b, rank, false, false);
  b.fail("expected .shared::cluster.global, .shared::cluster.shared::cta or .global.shared::cta");
}

void build_map_prefetch(Builder& b) {
  b.expect_operands(1);
  const Target target = take_target(b, b.operand(0), Space::Generic);
  Step& s = b.emit(&prefetch_map);
  set_address(s, target.memory);
}
}   // namespace spectral::cpu::ptx
