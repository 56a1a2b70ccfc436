// What a warp's registers hold before its first step: constants and special registers.
#include "block.h"
#include <algorithm>
#include <cstring>

namespace spectral::cpu::ptx {
namespace {
bool is_thread_index(Special which) {
  return which == Special::TidX || which == Special::TidY || which == Special::TidZ;
}
bool is_of_lane(Special which) {
  return which == Special::LaneId || (which >= Special::LanemaskEq && which <= Special::LanemaskGe);
}
// Of 32 threads from `first` on.
void write_thread_index(Special which, const dim3& block, unsigned first, uint32_t* lanes) {
  const int axis = int(which) - int(Special::TidX);
  unsigned index[] = {first, 0, 0};
  if (first + 32 > block.x) {   // not in the first line; divisions cost more than the rest
    index[0] = first % block.x;
    index[1] = first / block.x % block.y;
    index[2] = first / block.x / block.y;
  }
  if (index[0] + 32 <= block.x) {   // of one line
    for (unsigned k = 0; k < 32; ++k)
      lanes[k] = index[axis] + (axis ? 0 : k);
    return;
  }
  for (unsigned k = 0; k < 32; ++k) {
    lanes[k] = index[axis];
    if (++index[0] < block.x)
      continue;
    index[0] = 0;
    if (++index[1] < block.y)
      continue;
    index[1] = 0;
    ++index[2];
  }
}
}   // namespace

uint32_t Cluster::special_of_launch(Special which, unsigned lane) const {
  const auto& [g, b, c, stated, dynamic_shared] = launch_.shape;
  switch (which) {
    case Special::NtidX: return b.x;
    case Special::NtidY: return b.y;
    case Special::NtidZ: return b.z;
    case Special::NctaidX: return g.x;
    case Special::NctaidY: return g.y;
    case Special::NctaidZ: return g.z;
    case Special::LaneId: return lane;
    case Special::NWarpId: return warps_per_block_;
    case Special::NSmId: return 1;
    case Special::LanemaskEq: return 1u << lane;
    case Special::LanemaskLt: return (1u << lane) - 1;
    case Special::LanemaskLe: return (2u << lane) - 1;
    case Special::LanemaskGt: return ~((2u << lane) - 1);
    case Special::LanemaskGe: return ~((1u << lane) - 1);
    case Special::NClusterIdX: return g.x / c.x;
    case Special::NClusterIdY: return g.y / c.y;
    case Special::NClusterIdZ: return g.z / c.z;
    case Special::ClusterNctaidX: return c.x;
    case Special::ClusterNctaidY: return c.y;
    case Special::ClusterNctaidZ: return c.z;
    case Special::ClusterNctarank: return unsigned(blocks.size());
    case Special::IsExplicitCluster: return stated;
    case Special::DynamicSmemSize: return dynamic_shared;
    case Special::TotalSmemSize: return uint32_t(shared_bytes);
    default: return 0;
  }
}
uint32_t Cluster::special_of_warp(Warp& warp, Special which) const {
  const Block& block = warp.block();
  const dim3 c = launch_.shape.cluster;
  switch (which) {
    case Special::CtaidX: return block.index.x;
    case Special::CtaidY: return block.index.y;
    case Special::CtaidZ: return block.index.z;
    case Special::WarpId: return warp.index();
    case Special::ClusterIdX: return block.index.x / c.x;
    case Special::ClusterIdY: return block.index.y / c.y;
    case Special::ClusterIdZ: return block.index.z / c.z;
    case Special::ClusterCtaidX: return block.index.x % c.x;
    case Special::ClusterCtaidY: return block.index.y % c.y;
    case Special::ClusterCtaidZ: return block.index.z % c.z;
    case Special::ClusterCtarank: return block.rank;
    default: return 0;
  }
}

// The first file is written, the others are copies of it.
void Cluster::write_fixed(unsigned char* registers) {
  if (registers != registers_) {
    std::memcpy(registers, registers_, program_.fixed_bytes);
    return;
  }
  const Scratch::Constants own{program_.number, scratch_.registers.number()};
  if (scratch_.constants != own)
    write_constants(registers);
  scratch_.constants = own;
  write_launch_specials(registers);
  if (!launch_.counters)   // else each warp counts them
    take_invariants(registers);
}
// As a warp whose 32 lanes all take them. One that faults, as a load beyond the parameters, is left to the warps that
// come to it.
void Cluster::take_invariants(unsigned char* registers) {
  Warp warp;
  warp.start(blocks[0], program_, 0, ~0u);
  warp.use_registers(registers);
  warp.mask = ~0u;
  try {
    for (uint32_t i : program_.invariants)
      program_.steps[i].run(warp, program_.steps[i]);
  } catch (const Fault&) {
    return;
  }
  has_invariants_ = true;
  for (uint32_t p : program_.invariant_predicates)
    predicates_.push_back(warp.predicate(p));
}
void Cluster::keep_predicates(unsigned char* registers) const {
  auto* predicates = reinterpret_cast<uint32_t*>(registers + program_.register_bytes);
  for (size_t i = 0; i < predicates_.size(); ++i)
    predicates[program_.invariant_predicates[i]] = predicates_[i];
}
void Cluster::write_constants(unsigned char* registers) const {
  for (const ConstantPlace& c : program_.constants) {
    unsigned char* at = registers + c.place;
    if (c.wide)
      std::fill_n(reinterpret_cast<uint64_t*>(at), 32, c.bits);
    else
      std::fill_n(reinterpret_cast<uint32_t*>(at), 32, uint32_t(c.bits));
  }
}
void Cluster::write_launch_specials(unsigned char* registers) const {
  for (const SpecialPlace& place : program_.specials) {
    auto* lanes = reinterpret_cast<uint32_t*>(registers + place.place);
    if (is_of_lane(place.which))
      for (unsigned lane = 0; lane < 32; ++lane)
        lanes[lane] = special_of_launch(place.which, lane);
    else if (scope_of(place.which) == Scope::Launch)
      std::fill_n(lanes, 32, special_of_launch(place.which, 0));
  }
}
void Cluster::write_specials(Warp& warp, unsigned char* registers, bool is_new_block) const {
  for (const SpecialPlace& place : program_.specials) {
    auto* lanes = reinterpret_cast<uint32_t*>(registers + place.place);
    if (is_thread_index(place.which)) {
      write_thread_index(place.which, launch_.shape.block, warp.index() * 32, lanes);
      continue;
    }
    const Scope scope = scope_of(place.which);
    if (scope == Scope::Warp || (scope == Scope::Block && is_new_block))
      std::fill_n(lanes, 32, special_of_warp(warp, place.which));
  }
}
// As 32 lanes, since the block's other warps have them too.
void Cluster::take_block_invariants(Warp& warp) const {
  warp.mask = ~0u;
  for (uint32_t i : program_.block_invariants)
    program_.steps[i].run(warp, program_.steps[i]);
}
}   // namespace spectral::cpu::ptx
