// How many threads a launch has, and how they belong together.
#pragma once
#include "../device/cuda_on_cpu.cuh"

namespace spectral::cpu {
struct LaunchShape {
  dim3 grid;
  dim3 block;
  dim3 cluster;                     // in blocks
  bool is_cluster_stated = false;   // by the launch or the kernel, even if it is one block
  unsigned dynamic_shared = 0;      // bytes
};
inline uint64_t count_of(dim3 d) { return uint64_t(d.x) * d.y * d.z; }
}   // namespace spectral::cpu
