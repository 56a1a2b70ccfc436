#include "decompress.h"
#include <dlfcn.h>

namespace spectral::cpu {
namespace {
// A length whose four bits are all set goes on in bytes, up to the first that is not 255. False at the end of the
// block.
bool read_length(const unsigned char*& at, const unsigned char* end, size_t* length) {
  if (*length < 15)
    return true;
  unsigned char more;
  do {
    if (at == end)
      return false;
    more = *at++;
    *length += more;
  } while (more == 255);
  return true;
}

struct Zstd {
  size_t (*decompress)(void* to, size_t capacity, const void* from, size_t bytes) = nullptr;
  unsigned (*is_error)(size_t) = nullptr;
  const char* (*error_name)(size_t) = nullptr;
};
// Null functions if the library is missing.
Zstd load_zstd() {
  Zstd zstd;
  void* library = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return zstd;
  zstd.is_error = reinterpret_cast<decltype(zstd.is_error)>(dlsym(library, "ZSTD_isError"));
  zstd.error_name = reinterpret_cast<decltype(zstd.error_name)>(dlsym(library, "ZSTD_getErrorName"));
  if (zstd.is_error && zstd.error_name)
    zstd.decompress = reinterpret_cast<decltype(zstd.decompress)>(dlsym(library, "ZSTD_decompress"));
  return zstd;
}
}   // namespace

bool decompress_lz4(const unsigned char* source, size_t bytes, std::string* filled) {
  const unsigned char* at = source;
  const unsigned char* const end = source + bytes;
  size_t done = 0;
  while (at < end) {
    const unsigned char token = *at++;
    size_t literals = token >> 4;
    if (!read_length(at, end, &literals) || literals > size_t(end - at) || literals > filled->size() - done)
      return false;
    filled->replace(done, literals, reinterpret_cast<const char*>(at), literals);
    done += literals;
    at += literals;
    if (at == end)   // the last sequence has literals only
      return done == filled->size();
    if (end - at < 2)
      return false;
    const size_t distance = size_t(at[0]) | size_t(at[1]) << 8;
    at += 2;
    size_t copied = token & 15;
    if (!read_length(at, end, &copied))
      return false;
    copied += 4;
    if (distance == 0 || distance > done || copied > filled->size() - done)
      return false;
    for (size_t i = 0; i < copied; ++i, ++done)   // byte by byte: what is copied may be what was just written
      (*filled)[done] = (*filled)[done - distance];
  }
  return false;
}

bool decompress_zstd(const unsigned char* source, size_t bytes, std::string* filled, std::string* reason) {
  static const Zstd zstd = load_zstd();
  if (!zstd.decompress) {
    *reason =
        "it is compressed with Zstandard, and libzstd.so.1 is missing: install it (Debian: apt-get install "
        "libzstd1), or compile with --no-compress";
    return false;
  }
  const size_t done = zstd.decompress(filled->data(), filled->size(), source, bytes);
  if (zstd.is_error(done)) {
    *reason = std::string("its Zstandard frame is damaged: ") + zstd.error_name(done);
    return false;
  }
  if (done != filled->size())
    *reason = "its Zstandard frame is shorter than its header says";
  return done == filled->size();
}
}   // namespace spectral::cpu
