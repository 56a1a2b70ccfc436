#include "targets.h"
#include "text.h"
#include <algorithm>
#include <cstdlib>

namespace spectral::cpu::ptx {
namespace {
// PTX ISA, "Target ISA Notes" of each instruction: from compute capability 9.0 on, or of sm_90a alone.
struct Need {
  std::string_view opcode;
  std::string_view modifier;   // the first; empty: any
  bool arch_specific;
};
constexpr Need kNeeds[] = {
    {"wgmma", "", true},
    {"setmaxnreg", "", true},
    {"stmatrix", "", false},
    {"mapa", "", false},
    {"getctarank", "", false},
    {"elect", "", false},
    {"barrier", "cluster", false},
    {"fence", "mbarrier_init", false},
    {"prefetch", "tensormap", false},
    {"st", "async", false},
    {"red", "async", false},
    {"mbarrier", "try_wait", false},
    {"mbarrier", "expect_tx", false},
    {"mbarrier", "complete_tx", false}};
constexpr size_t kPrefix = 3;   // sm_

bool needs(const Need& n, const Instruction& i) {
  return i.opcode == n.opcode && (n.modifier.empty() || (!i.modifiers.empty() && i.modifiers[0] == n.modifier));
}
// Bulk copies and fence.proxy.async; cp.async and other fences of proxies are older.
bool uses_async_proxy(const Instruction& i) {
  const std::string_view modifier = i.opcode == "cp" ? "bulk" : "async";
  return (i.opcode == "cp" || i.opcode == "fence") &&
         std::any_of(
             i.modifiers.begin(), i.modifiers.end(), [&](std::string_view m) { return m.starts_with(modifier); });
}
}   // namespace

void check_target(const Instruction& i, const std::string& target) {
  bool modern = uses_async_proxy(i);
  bool arch_specific = false;
  for (const Need& n : kNeeds)
    if (needs(n, i)) {
      modern = true;
      arch_specific |= n.arch_specific;
    }
  if (!modern)
    return;
  const long capability = std::strtol(target.c_str() + kPrefix, nullptr, 10);
  if (arch_specific ? target == "sm_90a" : capability >= 90)
    return;
  throw PtxError(
      i.place,
      "'" + i.spelling() + "' needs .target " + (arch_specific ? "sm_90a" : "sm_90 or newer") + ", not " + target);
}
}   // namespace spectral::cpu::ptx
