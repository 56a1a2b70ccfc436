#include "profiles.h"
#include "options.h"
#include "pool.h"
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <iterator>

namespace spectral::cpu {
namespace {
constexpr int kKiB = 1 << 10;
constexpr int kMiB = 1 << 20;
constexpr unsigned long long kGiB = 1ull << 30;

// Limits by compute capability: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
// Multiprocessors, clocks, memory and L2: NVIDIA's data sheets and architecture white papers of the SXM modules (A100
// 80 GB, H100, H200, B200) and of the GeForce RTX 4090. A memory clock is that of the data sheet's bandwidth: 2039,
// 1008, 3352, 4800 and 8000 GB/s.
constexpr Profile kProfiles[] = {
    {.name = "",
     .major = 9,
     .minor = 0,
     .multiprocessors = 0,
     .clock_khz = 1000000,
     .memory_clock_khz = 0,
     .memory_bus_bits = 0,
     .l2_bytes = kMiB,
     .memory_bytes = 0,
     .shared_opt_in = 227 * kKiB,
     .shared_per_multiprocessor = 228 * kKiB,
     .threads_per_multiprocessor = 1024,
     .blocks_per_multiprocessor = 32,
     .cluster_blocks = 8},
    {.name = "A100",
     .major = 8,
     .minor = 0,
     .multiprocessors = 108,
     .clock_khz = 1410000,
     .memory_clock_khz = 1593000,
     .memory_bus_bits = 5120,
     .l2_bytes = 40 * kMiB,
     .memory_bytes = 80 * kGiB,
     .shared_opt_in = 163 * kKiB,
     .shared_per_multiprocessor = 164 * kKiB,
     .threads_per_multiprocessor = 2048,
     .blocks_per_multiprocessor = 32,
     .cluster_blocks = 1},
    {.name = "RTX 4090",
     .major = 8,
     .minor = 9,
     .multiprocessors = 128,
     .clock_khz = 2520000,
     .memory_clock_khz = 10501000,
     .memory_bus_bits = 384,
     .l2_bytes = 72 * kMiB,
     .memory_bytes = 24 * kGiB,
     .shared_opt_in = 99 * kKiB,
     .shared_per_multiprocessor = 100 * kKiB,
     .threads_per_multiprocessor = 1536,
     .blocks_per_multiprocessor = 24,
     .cluster_blocks = 1},
    {.name = "H100",
     .major = 9,
     .minor = 0,
     .multiprocessors = 132,
     .clock_khz = 1980000,
     .memory_clock_khz = 2619000,
     .memory_bus_bits = 5120,
     .l2_bytes = 50 * kMiB,
     .memory_bytes = 80 * kGiB,
     .shared_opt_in = 227 * kKiB,
     .shared_per_multiprocessor = 228 * kKiB,
     .threads_per_multiprocessor = 2048,
     .blocks_per_multiprocessor = 32,
     .cluster_blocks = 8},
    {.name = "H200",
     .major = 9,
     .minor = 0,
     .multiprocessors = 132,
     .clock_khz = 1980000,
     .memory_clock_khz = 3125000,
     .memory_bus_bits = 6144,
     .l2_bytes = 50 * kMiB,
     .memory_bytes = 141 * kGiB,
     .shared_opt_in = 227 * kKiB,
     .shared_per_multiprocessor = 228 * kKiB,
     .threads_per_multiprocessor = 2048,
     .blocks_per_multiprocessor = 32,
     .cluster_blocks = 8},
    {.name = "B200",
     .major = 10,
     .minor = 0,
     .multiprocessors = 148,
     .clock_khz = 1965000,
     .memory_clock_khz = 3906250,
     .memory_bus_bits = 8192,
     .l2_bytes = 126 * kMiB,
     .memory_bytes = 180 * kGiB,
     .shared_opt_in = 227 * kKiB,
     .shared_per_multiprocessor = 228 * kKiB,
     .threads_per_multiprocessor = 2048,
     .blocks_per_multiprocessor = 32,
     .cluster_blocks = 8},
};

bool same_name(const char* a, const char* b) {
  for (;; ++a, ++b) {
    while (*a == ' ')
      ++a;
    while (*b == ' ')
      ++b;
    if (std::toupper(static_cast<unsigned char>(*a)) != std::toupper(static_cast<unsigned char>(*b)))
      return false;
    if (!*a)
      return true;
  }
}
}   // namespace

const Profile& profile() { return kProfiles[options.profile]; }
const Profile& counted_profile() { return kProfiles[options.profile ? options.profile : find_profile("H200")]; }
bool has_profile(long number) { return number >= 0 && number < long(std::size(kProfiles)); }
long find_profile(const char* name) {
  for (const Profile& p : kProfiles)
    if (same_name(p.name, name))
      return &p - kProfiles;
  return -1;
}
const char* profile_names() { return "A100, RTX 4090, H100, H200 or B200"; }

bool profile_attribute(CUdevice_attribute attribute, int* value) {
  const Profile& p = profile();
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = p.major; return true;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = p.minor; return true;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
      *value = p.multiprocessors ? p.multiprocessors : thread_count();
      return true;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: *value = p.clock_khz; return true;
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: *value = p.memory_clock_khz; return true;
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: *value = p.memory_bus_bits; return true;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *value = p.l2_bytes; return true;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: *value = p.shared_per_block; return true;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = p.shared_opt_in; return true;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: *value = p.shared_per_multiprocessor; return true;
    case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK: *value = p.shared_reserved; return true;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR: *value = p.registers_per_multiprocessor; return true;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK: *value = p.registers_per_block; return true;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: *value = p.threads_per_multiprocessor; return true;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR: *value = p.blocks_per_multiprocessor; return true;
    case CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH: *value = p.runs_clusters(); return true;
    default: return false;
  }
}

bool runs_target(const Profile& p, const char* target) {
  constexpr size_t kPrefix = 3;   // sm_
  char* suffix = nullptr;
  const long wanted = std::strtol(target + kPrefix, &suffix, 10);
  const long own = p.major * 10 + p.minor;
  if (!std::strcmp(suffix, "a"))
    return wanted == own;
  if (!std::strcmp(suffix, "f"))
    return wanted / 10 == own / 10 && wanted <= own;
  return !*suffix && wanted <= own;
}
}   // namespace spectral::cpu
