// mma.sync with cp.async, and TMA, mbarriers and wgmma, through two GEMM kernels against double; then the same
// kernels with one line broken, which must not come out right.
#include "product.h"

namespace {
struct Shape {
  int m, n, k, r;
};
#ifdef SPECTRAL_TSAN   // a race shows in any schedule, and every access costs fifty times as much
constexpr Shape kShapes[] = {{130, 130, 136, 8}};
constexpr long kSeeds[] = {0};
#else
constexpr Shape kShapes[] = {
    {1, 1, 8, 8}, {128, 128, 64, 64}, {130, 130, 648, 72}, {257, 129, 328, 16}, {64, 300, 1024, 8}};
constexpr long kSeeds[] = {0, 1, 2, -1};   // -1: in order, asynchronous operations at once
#endif

void right(bool hopper) {
  Rng rng;
  for (const Shape& s : kShapes) {
    Product p(s.m, s.n, s.k, s.r, rng);
    for (long seed : kSeeds) {
      spectralCpuSetOption("seed", std::max(seed, 0l));
      spectralCpuSetOption("eager", seed == -1);
      CU(cuMemsetD8(p.y.p, 0xff, p.y.n * 4));
      CU(p.run(hopper, 0));
      check(p.error() < 1e-5, p.name(hopper, 0) + " seed " + std::to_string(seed));
    }
  }
}
// Some schedule finds the fault: a wrong result or a reported fault.
[[maybe_unused]] void broken(bool hopper, int fault, const char* text) {
  Rng rng;
  bool found = false;
  bool said = !text;
  std::string reason;
  for (long seed : {0, 1, 2, 3, 4}) {
    spectralCpuSetOption("seed", seed);
    Product p(130, 130, 648, 72, rng);
    const CUresult status = p.run(hopper, fault);
    reason = spectralCpuLastError();
    if (status && text && reason.find(text) != std::string::npos)
      said = true;
    spectralCpuSetOption("reset", 0);
    if (status || !(p.error() < 1e-5))
      found = true;
  }
  const std::string name = std::string(hopper ? "gemm_sm90" : "gemm_sm80") + " with fault " + std::to_string(fault);
  check(found, name + " is found");
  if (text)
    check(said, name + " says \"" + text + "\", not: " + reason);
}
}   // namespace

TEST_GROUP(tensor_cores) {
  spectralCpuSetOption("poison", 1);
  for (bool hopper : {false, true})
    right(hopper);
  spectralCpuSetOption("eager", 0);
#ifndef SPECTRAL_TSAN
  for (int fault : {1, 2, 3})
    broken(false, fault, nullptr);
  broken(true, 1, "deadlock");
  broken(true, 2, "without waiting for this wgmma");
  broken(true, 3, nullptr);
  broken(true, 4, nullptr);
  broken(true, 5, nullptr);
  broken(true, 6, "not aligned for its swizzle");
#endif
  spectralCpuSetOption("seed", 0);
  spectralCpuSetOption("poison", 0);
}
