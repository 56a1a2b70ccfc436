// What a module is loaded from: PTX text, what was linked of PTX, a fatbin with PTX in it, or a shared library of
// kernels.
#pragma once
#include "program_text.h"

namespace spectral::cpu {
struct Image {
  std::vector<ProgramText> texts;   // of PTX; none:
  const void* library = nullptr;    // a shared library, in the caller's memory
  size_t library_bytes = 0;
};
constexpr size_t kUnknownSize = SIZE_MAX;
CUresult read_file(const char* path, std::vector<char>* bytes);
// Copies memory into a file without a name. The memory may end before `size`: then INVALID_IMAGE.
CUresult copy_to_file(const void* bytes, size_t size, int* file);
// Reads at most `size` bytes; of an image whose size is unknown as many as its own header says. On failure the error
// text is set.
CUresult read_image(const void* bytes, size_t size, Image* image);
}   // namespace spectral::cpu
