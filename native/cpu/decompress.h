// The two compressions of fatbins. Both write into a buffer of the size that the fatbin claims, never beyond it.
#pragma once
#include <cstddef>
#include <string>

namespace spectral::cpu {
// One block of LZ4 (github.com/lz4/lz4, doc/lz4_Block_format.md). False if it is damaged, or if it does not fill the
// buffer.
bool decompress_lz4(const unsigned char* source, size_t bytes, std::string* filled);
// A frame of Zstandard, by libzstd, which is loaded on first use. On failure *reason says why.
bool decompress_zstd(const unsigned char* source, size_t bytes, std::string* filled, std::string* reason);
}   // namespace spectral::cpu
