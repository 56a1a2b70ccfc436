// Fatbins: one image per architecture in one file, as nvcc --fatbin writes them. NVIDIA does not document the format;
// it is read here as nvcc 12.4 writes it, and what does not fit is refused.
#pragma once
#include "profiles.h"
#include <string>

namespace spectral::cpu {
constexpr uint32_t kFatbinMagic = 0xBA55ED50;
constexpr uint32_t kFatbinWrapperMagic = 0x466243B1;

// What nvcc puts beside a fatbin in a program's data: where the fatbin is (fatbinary_section.h).
struct FatbinWrapper {
  uint32_t magic;
  uint32_t version;
  const void* data;
  void* name_or_fatbins;
};

constexpr uint64_t kMaxFatbin = uint64_t(1) << 31;
// Size in bytes that the header of a fatbin gives, at least its own; UINT64_MAX if it is above the limit.
uint64_t fatbin_bytes(const void* header);
// Takes the PTX for the newest architecture that the GPU runs. The fatbin has `size` bytes; all that it says may be
// wrong. NO_BINARY_FOR_GPU if it has no such PTX, INVALID_IMAGE if it is damaged: then the error text is set.
CUresult ptx_of_fatbin(const void* image, size_t size, const Profile& gpu, std::string* ptx);
}   // namespace spectral::cpu
