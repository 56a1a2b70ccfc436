// The GPUs that the CPU device can stand for: their limits hold at load and launch, and are what the driver reports.
#pragma once
#include "cuda_api.h"

namespace spectral::cpu {
// Limits with a value here are those of every compute capability from 8.0 on.
struct Profile {
  const char* name;   // of the option and of SPECTRAL_CPU_PROFILE; "" for the CPU device itself
  int major;          // compute capability
  int minor;
  int multiprocessors;    // 0: one for each thread of the device
  int clock_khz;          // at its highest
  int memory_clock_khz;   // two transfers each; 0: unknown
  int memory_bus_bits;
  int l2_bytes;
  unsigned long long memory_bytes;   // 0: no limit
  int shared_per_block = 48 << 10;   // without asking
  int shared_opt_in;                 // of one block that asks for it
  int shared_per_multiprocessor;
  int shared_reserved = 1 << 10;   // of each block, for the system
  int registers_per_multiprocessor = 64 << 10;
  int registers_per_block = 64 << 10;
  int threads_per_multiprocessor;
  int blocks_per_multiprocessor;
  int cluster_blocks;   // portable size of a cluster; 1: there are none

  bool runs_clusters() const { return cluster_blocks > 1; }
  bool is_hopper() const { return major == 9 && minor == 0; }
  const char* shown() const { return *name ? name : "the CPU device"; }
};

// The one that is in force, chosen by the option "profile": 0 for the CPU device itself, else as in the table.
const Profile& profile();
// The same, but an H200 for the CPU device itself: whose blocks run at once where that is counted.
const Profile& counted_profile();
// The value of the option for a name ("RTX 4090": spaces and case do not count), or -1 if there is no such profile.
long find_profile(const char* name);
const char* profile_names();
bool has_profile(long number);
// What the profile says of an attribute; false for attributes that do not depend on it.
bool profile_attribute(CUdevice_attribute, int* value);
// Whether a GPU of this profile can run PTX of the target: sm_80 is for that compute capability and newer ones, sm_90a
// for that one alone, and sm_100f for it and newer ones of the same major version (PTX ISA, ".target").
bool runs_target(const Profile&, const char* target);
}   // namespace spectral::cpu
