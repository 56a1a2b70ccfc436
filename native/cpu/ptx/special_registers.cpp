// The special registers by their names. PTX ISA, "Special Registers".
#include "program_builder.h"

namespace spectral::cpu::ptx {
namespace {
struct SpecialName {
  std::string_view name;
  Special which;
};
constexpr SpecialName kSpecials[] = {
    {"%tid.x", Special::TidX},
    {"%tid.y", Special::TidY},
    {"%tid.z", Special::TidZ},
    {"%ntid.x", Special::NtidX},
    {"%ntid.y", Special::NtidY},
    {"%ntid.z", Special::NtidZ},
    {"%ctaid.x", Special::CtaidX},
    {"%ctaid.y", Special::CtaidY},
    {"%ctaid.z", Special::CtaidZ},
    {"%nctaid.x", Special::NctaidX},
    {"%nctaid.y", Special::NctaidY},
    {"%nctaid.z", Special::NctaidZ},
    {"%laneid", Special::LaneId},
    {"%warpid", Special::WarpId},
    {"%nwarpid", Special::NWarpId},
    {"%smid", Special::SmId},
    {"%nsmid", Special::NSmId},
    {"%lanemask_eq", Special::LanemaskEq},
    {"%lanemask_lt", Special::LanemaskLt},
    {"%lanemask_le", Special::LanemaskLe},
    {"%lanemask_gt", Special::LanemaskGt},
    {"%lanemask_ge", Special::LanemaskGe},
    {"%clusterid.x", Special::ClusterIdX},
    {"%clusterid.y", Special::ClusterIdY},
    {"%clusterid.z", Special::ClusterIdZ},
    {"%nclusterid.x", Special::NClusterIdX},
    {"%nclusterid.y", Special::NClusterIdY},
    {"%nclusterid.z", Special::NClusterIdZ},
    {"%cluster_ctaid.x", Special::ClusterCtaidX},
    {"%cluster_ctaid.y", Special::ClusterCtaidY},
    {"%cluster_ctaid.z", Special::ClusterCtaidZ},
    {"%cluster_nctaid.x", Special::ClusterNctaidX},
    {"%cluster_nctaid.y", Special::ClusterNctaidY},
    {"%cluster_nctaid.z", Special::ClusterNctaidZ},
    {"%cluster_ctarank", Special::ClusterCtarank},
    {"%cluster_nctarank", Special::ClusterNctarank},
    {"%is_explicit_cluster", Special::IsExplicitCluster},
    {"%dynamic_smem_size", Special::DynamicSmemSize},
    {"%total_smem_size", Special::TotalSmemSize}};
}   // namespace

Scope scope_of(Special which) {
  switch (which) {
    case Special::TidX:
    case Special::TidY:
    case Special::TidZ:
    case Special::WarpId: return Scope::Warp;
    case Special::CtaidX:
    case Special::CtaidY:
    case Special::CtaidZ:
    case Special::ClusterIdX:
    case Special::ClusterIdY:
    case Special::ClusterIdZ:
    case Special::ClusterCtaidX:
    case Special::ClusterCtaidY:
    case Special::ClusterCtaidZ:
    case Special::ClusterCtarank: return Scope::Block;
    default: return Scope::Launch;
  }
}

bool ProgramBuilder::is_zero(std::string_view special) {
  return special == "%gridid" || special.starts_with("%pm") || special.starts_with("%envreg") ||
         special.starts_with("%reserved_smem_offset") || special == "%current_graph_exec";
}
uint32_t ProgramBuilder::special(std::string_view name, const Operand& o) {
  for (const SpecialName& s : kSpecials)
    if (s.name == name) {
      if (const Scope scope = scope_of(s.which); scope != Scope::Launch)
        special_reads_.emplace_back(uint32_t(program_->steps.size()), scope);
      auto [it, added] = specials_.try_emplace(s.which, fixed_bytes_);
      if (added) {
        program_->specials.push_back({fixed_bytes_, s.which});
        fixed_bytes_ += kUnit;
      }
      return it->second;
    }
  throw PtxError(o.place, "'" + std::string(name) + "' is neither a register of the function nor one supported here");
}
}   // namespace spectral::cpu::ptx
