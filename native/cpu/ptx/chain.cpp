#include "chain.h"
#include "program_builder.h"
#include "warpgroup_product.h"

namespace spectral::cpu::ptx {
// Of several published figures the least, so that the chain bounds GPUs of compute capability 8.0 to 10.0.
// [J] Jia et al., Dissecting the NVIDIA Volta GPU Architecture via Microbenchmarking, arXiv:1804.06826. [A] finds its
//     figures of arithmetic again.
// [A] Abdelkhalik et al., Demystifying the Nvidia Ampere Architecture through Microbenchmarking and Instruction-level
//     Analysis, arXiv:2208.11174 (A100).
// [H] Huerta et al., Dissecting and Modeling the Architecture of Modern GPU Cores, arXiv:2503.20481 (RTX 3080 to
//     A6000).
// [L] Luo et al., Benchmarking and Dissecting the Nvidia Hopper GPU Architecture, arXiv:2402.13499 (A100, RTX 4090,
//     H800).
// [S] Sun et al., Dissecting Tensor Cores via Microbenchmarks, arXiv:2206.02874 (A100).
// [L]'s figures were read in accounts of its tables, [S]'s of m16n8k16 in a citation. For approximations no figure but
// [J]'s, of Volta, was found, and for m16n8k8 none but [S]'s: both stand as first noted. Outside of papers, a
// measurement on a B300 has 14.5 for ex2.approx and 20 for m16n8k16.
uint64_t latency_of(const Step& s) {
  constexpr uint64_t kArithmetic = 4;   // [J], [A], [H]
  constexpr uint64_t kDouble = 8;       // [J]
  constexpr uint64_t kSpecial = 14;     // [J]
  constexpr uint64_t kShared = 23;      // [A], [H]; [L], table IV, has 29.0
  constexpr uint64_t kLocal = 33;       // L1 [A]; [L], table IV, has 37.9 and more
  constexpr uint64_t kGlobal = 200;     // L2 [A]; [L], table IV, has 261.5 and more
  constexpr uint64_t kMma = 17;         // m16n8k8 [S]; m16n8k16 takes 24.7 there, and 24.1 on an H800 ([L], table VII)
  switch (s.kind) {
    case StepClass::Integer:
    case StepClass::Float:
    case StepClass::Conversion:
    case StepClass::Collective: return kArithmetic;   // of shuffles nothing lower is published
    case StepClass::Double: return kDouble;
    case StepClass::Special: return kSpecial;
    case StepClass::GlobalLoad: return kGlobal;
    case StepClass::SharedLoad:
    case StepClass::GenericLoad:   // shared memory is the nearest that it may read
    case StepClass::Atomic:
    case StepClass::MatrixLoad: return kShared;
    case StepClass::LocalLoad: return kLocal;
    case StepClass::Mma: return kMma;
    case StepClass::Wgmma:
      return s.operations ? form_of(s).n / 2 : 0;   // n = 256 takes 128 in any type ([L], table VIII)
    // ptxas renames what is moved, parameters are operands, and the others have no results.
    case StepClass::Move:
    case StepClass::ConstantLoad:
    case StepClass::GlobalStore:
    case StepClass::SharedStore:
    case StepClass::LocalStore:
    case StepClass::GenericStore:
    case StepClass::MatrixStore:
    case StepClass::AsyncCopy:
    case StepClass::Barrier:
    case StepClass::Control:
    case StepClass::Hint:
    case StepClass::Part: break;
  }
  return 0;
}
bool accesses_memory(StepClass c) {
  switch (c) {
    case StepClass::GlobalLoad:
    case StepClass::GlobalStore:
    case StepClass::SharedLoad:
    case StepClass::SharedStore:
    case StepClass::LocalLoad:
    case StepClass::LocalStore:
    case StepClass::GenericLoad:
    case StepClass::GenericStore:
    case StepClass::Atomic:
    case StepClass::MatrixLoad:
    case StepClass::MatrixStore:
    case StepClass::AsyncCopy: return true;
    default: return false;
  }
}

uint64_t GroupTimes::wait(uint64_t keep) {
  if (closed_.size() <= keep)
    return 0;
  const auto end = closed_.end() - ptrdiff_t(keep);
  const uint64_t done = *std::max_element(closed_.begin(), end);
  closed_.erase(closed_.begin(), end);
  return done;
}

void Chain::start() {
  std::fill(ready_.begin(), ready_.end(), 0);
  floor_ = accesses_ = start_ = end_ = instructions_ = 0;
  copies.clear();
  products.clear();
}

void Chain::take(uint32_t index, const Step& s, uint32_t mask, uint32_t lanes) {
  const StepChain& step = program_->chain_steps[index];
  const uint32_t* const slots = program_->use_slots.data();
  uint64_t start = floor_;
  for (uint32_t i = step.reads; i < step.writes; ++i)
    start = std::max(start, ready_[slots[i]]);
  instructions_ += s.kind != StepClass::Part;
  start_ = start;
  if (s.flags & (kJumpFlag | kSwitchFlag))   // nothing is executed before it is known whether it is reached
    floor_ = start;
  if (!mask)
    return;
  if (step.accesses_memory)
    accesses_ = std::max(accesses_, start);
  const uint64_t done = start + step.latency;
  if (s.kind == StepClass::Wgmma && s.operations)
    products.add(done);
  for (uint32_t i = step.writes; i < step.end; ++i)   // what lanes outside the mask hold stays
    ready_[slots[i]] = mask == lanes ? done : std::max(ready_[slots[i]], done);
  end_ = std::max(end_, done);
}
}   // namespace spectral::cpu::ptx
