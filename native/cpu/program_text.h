// PTX as it is loaded: one text, or several that were linked.
#pragma once
#include "loader_api.h"
#include "ptx/module.h"

namespace spectral::cpu {
struct ProgramText {
  std::string name;   // that cuLinkAddData gave it, for errors
  std::string ptx;
};
// Parses the text. On failure the error text is set: INVALID_PTX, or NO_BINARY_FOR_GPU if it is for another GPU.
CUresult parse_text(const ProgramText&, std::unique_ptr<ptx::Module>*);
// Parses all and links them; UNKNOWN, as of the driver, for names that are defined twice or not at all.
CUresult link_texts(const std::vector<ProgramText>&, std::unique_ptr<ptx::Module>*);

// What cuLinkComplete returns, and modules are loaded from: an image of this device's own.
constexpr uint32_t kLinkedMagic = 0x4b4e4c53;   // SLNK
std::vector<unsigned char> linked_image(const std::vector<ProgramText>&);
// The size in bytes that the header gives; and the texts of an image of `size` bytes, false if it is damaged.
uint64_t linked_image_bytes(const void* header);
bool read_linked_image(const void* bytes, size_t size, std::vector<ProgramText>*);
}   // namespace spectral::cpu
