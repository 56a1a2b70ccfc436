#include "jit_log.h"
#include <algorithm>
#include <cstring>

namespace spectral::cpu {
int copy_text(const std::string& s, char* text, size_t size) {
  if (text && size) {
    const size_t n = std::min(size - 1, s.size());
    std::memcpy(text, s.data(), n);
    text[n] = 0;
  }
  return int(s.size());
}
void write_logs(const std::string& error, unsigned count, const CUjit_option* options, void** values) {
  auto value = [&](CUjit_option wanted) -> void** {
    const auto* found = std::find(options, options + count, wanted);
    return found == options + count ? nullptr : values + (found - options);
  };
  auto write = [&](CUjit_option buffer, CUjit_option size, const std::string& text) {
    void** log = value(buffer);
    void** room = value(size);
    if (!log || !*log || !room)
      return;
    const auto bytes = size_t(unsigned(reinterpret_cast<uintptr_t>(*room)));   // the driver reads 32 bits
    copy_text(text, static_cast<char*>(*log), bytes);
    *room = reinterpret_cast<void*>(bytes ? std::min(text.size(), bytes - 1) : 0);
  };
  write(CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, error);
  write(CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, "");
}
}   // namespace spectral::cpu
