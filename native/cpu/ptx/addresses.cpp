// Addresses from one state space to another, and from one block of a cluster to another. PTX ISA, "Data Movement and
// Conversion: cvta, isspacep, mapa, getctarank".
#include "access.h"
#include "dispatch.h"
#include <algorithm>

namespace spectral::cpu::ptx {
namespace {
// ---- cvta: generic addresses are those of the host, addresses in a space are offsets
void keep_address(Warp& w, const Step& s) {
  const uint64_t* a = w.lanes<uint64_t>(s.a);
  write_lanes<uint64_t>(w, s.d, [&](int k) { return a[k]; });
}
template <Space kSpace, bool kTo>
void convert_address(Warp& w, const Step& s) {
  Block& block = w.block();
  const uint64_t* a = w.lanes<uint64_t>(s.a);
  const uint64_t base = kSpace == Space::Shared  ? reinterpret_cast<uint64_t>(block.shared)
                        : kSpace == Space::Param ? reinterpret_cast<uint64_t>(block.launch().parameters)
                                                 : reinterpret_cast<uint64_t>(w.local);
  const uint64_t per_lane = kSpace == Space::Local ? w.program().local_stride : 0;
  write_lanes<uint64_t>(w, s.d, [&](int k) {
    const uint64_t start = base + per_lane * uint64_t(k);
    return kTo ? a[k] - start : a[k] + start;
  });
}
// Another block's shared memory keeps its rank above the offset.
void to_shared(Warp& w, const Step& s) {
  Block& block = w.block();
  const uint64_t* a = w.lanes<uint64_t>(s.a);
  write_lanes<uint64_t>(w, s.d, [&](int k) {
    const Block* of = block.cluster->shared_at(a[k]);
    if (!of || of == &block)
      return a[k] - reinterpret_cast<uint64_t>(block.shared);
    return (uint64_t(of->rank + 1) << 24) + (a[k] - reinterpret_cast<uint64_t>(of->shared));
  });
}
void from_shared(Warp& w, const Step& s) {
  Block& block = w.block();
  const uint64_t* a = w.lanes<uint64_t>(s.a);
  write_lanes<uint64_t>(w, s.d, [&](int k) {
    const uint64_t tag = a[k] >> 24;
    const bool known = tag && tag <= block.cluster->blocks.size();
    const Block& of = known ? block.cluster->blocks[tag - 1] : block;
    return reinterpret_cast<uint64_t>(of.shared) + (known ? a[k] & 0xffffff : a[k]);
  });
}
void build_cvta(Builder& b) {
  const bool to = b.take("to");
  const bool of_cluster = b.take("shared::cluster");
  const Space space = of_cluster ? Space::Shared : b.take_space();
  const Type t = b.take_type();
  if (space == Space::Generic || t != Type::U64)
    b.fail("expected a state space and .u64");
  b.expect_operands(2);
  const Operand& from_operand = b.operand(1);
  uint32_t from;
  if (from_operand.kind == OperandKind::Symbol)
    from = b.read(from_operand, Type::U64);
  else
    from = b.read(1, t);
  const uint32_t result = b.write(0, t);
  Run run = &keep_address;
  if (space == Space::Shared)
    run = to ? &to_shared : &from_shared;
  else if (space == Space::Local)
    run = to ? &convert_address<Space::Local, true> : &convert_address<Space::Local, false>;
  else if (space == Space::Param)
    run = to ? &convert_address<Space::Param, true> : &convert_address<Space::Param, false>;
  Step& s = b.emit(run);
  s.computes = run == &keep_address;
  s.linear = s.computes ? Linear::Copy : Linear::None;
  s.a = from;
  s.d = result;
}

// ---- isspacep
bool is_constant(const Program& program, uint64_t address) {
  return std::any_of(program.constant_memory.begin(), program.constant_memory.end(), [&](const auto& range) {
    return address >= range.first && address < range.second;
  });
}
bool is_in(Warp& w, int lane, uint64_t address, Space space, bool of_cluster) {
  Block& block = w.block();
  const Block* shared = block.cluster->shared_at(address);
  const bool local = address - (reinterpret_cast<uint64_t>(w.local) + w.program().local_stride * unsigned(lane)) <
                     w.program().local_bytes;
  const bool param = address - reinterpret_cast<uint64_t>(block.launch().parameters) < w.program().parameter_bytes;
  switch (space) {
    case Space::Shared: return of_cluster ? shared != nullptr : shared == &block;
    case Space::Local: return local;
    case Space::Param: return param;
    case Space::Global: return !shared && !local && !param && !is_constant(w.program(), address);
    case Space::Const: return is_constant(w.program(), address);
    default: return false;
  }
}
void is_space(Warp& w, const Step& s) {
  const uint64_t* a = w.lanes<uint64_t>(s.a);
  uint32_t bits = 0;
  each_lane(w.mask, [&](int k) { bits |= uint32_t(is_in(w, k, a[k], Space(s.value), s.flags)) << k; });
  write_predicate(w, s.d, bits);
}
void build_isspacep(Builder& b) {
  const bool of_cluster = b.take("shared::cluster");
  const Space space = of_cluster ? Space::Shared : b.take_space();
  if (space == Space::Generic)
    b.fail("expected a state space");
  b.expect_operands(2);
  const uint32_t from = b.read(1, Type::U64);
  const uint32_t to = b.write_predicate(b.operand(0));
  Step& s = b.emit(&is_space);
  s.a = from;
  s.d = to;
  s.value = int64_t(space);
  s.flags = of_cluster;
}

// ---- mapa, getctarank: an address in the shared memory of a cluster has the block's rank + 1 above its offset
void check_rank(Warp& w, const Step& s, uint32_t rank) {
  const size_t blocks = w.block().cluster->blocks.size();
  if (rank >= blocks)
    fail(w, s, "mapa names block %u of a cluster of %zu", rank, blocks);
}
// The shared memory that a generic address lies in.
const Block& shared_of(Warp& w, const Step& s, uint64_t address) {
  const Block* of = w.block().cluster->shared_at(address);
  if (!of)
    fail(w, s, "the generic address 0x%llx is not in the cluster's shared memory", (unsigned long long)address);
  return *of;
}
void map_shared(Warp& w, const Step& s) {
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  const uint32_t* rank = w.lanes<uint32_t>(s.b);
  each_lane(w.mask, [&](int k) { check_rank(w, s, rank[k]); });
  write_lanes<uint32_t>(w, s.d, [&](int k) { return (rank[k] + 1) << 24 | (a[k] & 0xffffff); });
}
void map_generic(Warp& w, const Step& s) {
  const uint64_t* a = w.lanes<uint64_t>(s.a);
  const uint32_t* rank = w.lanes<uint32_t>(s.b);
  uint64_t mapped[32] = {};
  each_lane(w.mask, [&](int k) {
    check_rank(w, s, rank[k]);
    const uint64_t offset = a[k] - reinterpret_cast<uint64_t>(shared_of(w, s, a[k]).shared);
    mapped[k] = offset + reinterpret_cast<uint64_t>(w.block().cluster->blocks[rank[k]].shared);
  });
  write_lanes<uint64_t>(w, s.d, [&](int k) { return mapped[k]; });
}
void rank_of_shared(Warp& w, const Step& s) {
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  const uint32_t own = w.block().rank;
  write_lanes<uint32_t>(w, s.d, [&](int k) { return a[k] >> 24 ? (a[k] >> 24) - 1 : own; });
}
void rank_of_generic(Warp& w, const Step& s) {
  const uint64_t* a = w.lanes<uint64_t>(s.a);
  uint32_t ranks[32] = {};
  each_lane(w.mask, [&](int k) { ranks[k] = shared_of(w, s, a[k]).rank; });
  write_lanes<uint32_t>(w, s.d, [&](int k) { return ranks[k]; });
}
bool take_cluster_address(Builder& b, Type* t) {
  const bool shared = b.take("shared::cluster");
  *t = b.take_type();
  if (*t != (shared ? Type::U32 : Type::U64))
    b.fail("expected .shared::cluster.u32, or .u64 for a generic address");
  return shared;
}
void build_mapa(Builder& b) {
  Type t;
  const bool shared = take_cluster_address(b, &t);
  b.expect_operands(3);
  const uint32_t from = b.read(1, t);
  const uint32_t rank = b.read(2, Type::U32);
  const uint32_t to = b.write(0, t);
  Step& s = b.emit(shared ? &map_shared : &map_generic);
  s.a = from;
  s.b = rank;
  s.d = to;
}
void build_getctarank(Builder& b) {
  Type t;
  const bool shared = take_cluster_address(b, &t);
  b.expect_operands(2);
  const uint32_t from = b.read(1, t);
  const uint32_t to = b.write(0, Type::U32);
  Step& s = b.emit(shared ? &rank_of_shared : &rank_of_generic);
  s.a = from;
  s.d = to;
}

constexpr InstructionRow kRows[] = {
    {"isspacep", StepClass::Move, build_isspacep},
    {"cvta", StepClass::Move, build_cvta},
    {"mapa", StepClass::Move, build_mapa},
    {"getctarank", StepClass::Move, build_getctarank}};
}   // namespace

InstructionTable address_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
