// Values that go to the shared memory of another block and complete on an mbarrier there. PTX ISA, "st.async",
// "red.async": generic proxy, so they need no fence.
#include "barriers.h"
#include "bulk_operands.h"

namespace spectral::cpu::ptx {
namespace {
// In the list of a step; then the places of the values.
struct ValuePlaces {
  uint32_t barrier, barrier_offset;
  uint32_t reduction;   // no place: 1 + ReductionOp, 0 for a store
  uint32_t type;        // nor this
  uint32_t count;
};

void send(Warp& w, const Step& s) {
  const auto& p = *reinterpret_cast<const ValuePlaces*>(w.list(s));
  const uint32_t* values = w.list(s) + sizeof p / sizeof(uint32_t);
  const auto type = Type(p.type);
  const auto element = size_t(bytes_of(type));
  Cluster& cluster = *w.block().cluster;
  uint64_t to[32];
  gather_addresses(w, s, to);
  each_lane(w.mask, [&](int k) {
    BulkLoad o{&s, &w};
    if (w.chain)
      o.done = w.chain->copy_done();
    o.extent = o.bytes = uint32_t(element * p.count);
    if (to[k] % o.bytes)
      fail_access(
          CUDA_ERROR_MISALIGNED_ADDRESS,
          w,
          s,
          unsigned(k),
          "sends %u bytes to address 0x%llx, which is not a multiple of them",
          o.bytes,
          static_cast<unsigned long long>(to[k]));
    unsigned char* first = cluster.shared_address(w, s, unsigned(k), uint32_t(to[k]), o.bytes);
    o.block = cluster.shared_at(reinterpret_cast<uint64_t>(first));
    o.offset = uint32_t(first - o.block->shared);
    const uint32_t barrier = w.lanes<uint32_t>(p.barrier)[k] + w.lanes<uint32_t>(p.barrier_offset)[k];
    o.barrier = reinterpret_cast<uint64_t*>(cluster.shared_address(w, s, unsigned(k), barrier, sizeof(uint64_t)));
    if (cluster.shared_at(reinterpret_cast<uint64_t>(o.barrier)) != o.block)
      fail(w, s, "the mbarrier is in another block than the destination");
    valid_barrier(w, s, reinterpret_cast<uint64_t>(o.barrier));
    o.data.resize(o.bytes);
    for (uint32_t i = 0; i < p.count; ++i)   // the low bytes: x86
      std::memcpy(
          o.data.data() + i * element,
          element == 8 ? reinterpret_cast<const unsigned char*>(w.lanes<uint64_t>(values[i]) + k)
                       : reinterpret_cast<const unsigned char*>(w.lanes<uint32_t>(values[i]) + k),
          element);
    if (p.reduction)
      o.reduction = find_reduction(ReductionOp(p.reduction - 1), type, true);
    queue_load(cluster, o);
  });
}
void take_completion(Builder& b) {
  if (!b.take("shared::cluster") || !b.take("mbarrier::complete_tx::bytes"))
    b.fail("expected .shared::cluster.mbarrier::complete_tx::bytes");
}
// [to], value or {values}, [mbarrier]
void emit_send(Builder& b, Type type, size_t count, uint32_t reduction) {
  b.expect_operands(3);
  ValuePlaces p{0, 0, reduction, uint32_t(type), uint32_t(count)};
  const MemoryOperand to = b.memory(0);
  set_shared_address(b, 2, &p.barrier, &p.barrier_offset);
  const Operand& values = b.operand(1);
  const std::vector<Operand>* parts = Builder::parts_of(values);
  if ((parts ? parts->size() : 1) != count)
    b.fail(values, "expected " + std::to_string(count) + " values");
  std::vector<uint32_t> places = {p.barrier, p.barrier_offset, p.reduction, p.type, p.count};
  for (size_t i = 0; i < count; ++i)
    places.push_back(b.read(parts ? (*parts)[i] : values, type));
  const uint32_t list = b.list(places);
  Step& s = b.emit(&send);
  s.kind = StepClass::AsyncCopy;
  set_address(s, to);
  s.list = list;
}
}   // namespace

void build_async_store(Builder& b) {
  b.take("weak");
  take_completion(b);
  const int vector = b.take_one_of({"v2", "v4"});
  const size_t count = vector < 0 ? 1 : size_t(2) << vector;
  const Type type = b.take_type();
  const int bytes = bytes_of(type);
  if ((bytes != 4 && bytes != 8) || count * size_t(bytes) > 16)
    b.fail("expected values of 32 or 64 bits, up to 128 in all");
  emit_send(b, type, count, 0);
}
void build_async_reduction(Builder& b) {
  if (!b.take("relaxed") || !b.take("cluster"))
    b.fail("expected .relaxed.cluster");
  take_completion(b);
  BulkPlaces p{};
  take_reduction(b, p, true, true);
  emit_send(b, Type(p.type), 1, p.reduction);
}
}   // namespace spectral::cpu::ptx
