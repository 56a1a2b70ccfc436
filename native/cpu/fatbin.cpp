#include "fatbin.h"
#include "decompress.h"
#include "ptx/module.h"
#include "options.h"
#include <algorithm>
#include <cstring>

namespace spectral::cpu {
namespace {
struct Header {
  uint32_t magic;
  uint16_t version;
  uint16_t header_bytes;
  uint64_t bytes;   // of all entries
};
struct Entry {
  uint16_t kind;
  uint16_t version;
  uint32_t header_bytes;       // with options and a name, which follow this struct
  uint64_t bytes;              // of the payload, with its padding
  uint32_t compressed_bytes;   // 0: not compressed
  uint32_t options_offset;
  uint16_t minor_version;
  uint16_t major_version;
  uint32_t architecture;   // 80: sm_80
  uint32_t name_offset;
  uint32_t name_bytes;
  uint64_t flags;
  uint64_t unused;
  uint64_t plain_bytes;   // of the payload, once decompressed
};
static_assert(sizeof(Header) == 16 && sizeof(Entry) == 64);

constexpr uint16_t kPtx = 1;
constexpr uint64_t kOldCompression = 0x1000;   // before CUDA 5; no public description
constexpr uint64_t kLz4 = 0x2000;
constexpr uint64_t kZstd = 0x8000;                 // nvcc from 12.8 on
constexpr uint64_t kArchitectureOnly = 0x100000;   // as sm_90a: not for later architectures

std::string name_of(const Entry& e) {
  return "sm_" + std::to_string(e.architecture) + (e.flags & kArchitectureOnly ? "a" : "");
}
CUresult refuse(CUresult status, const std::string& reason) {
  set_error("module: " + reason);
  return status;
}
CUresult damaged(const std::string& reason) {
  return refuse(CUDA_ERROR_INVALID_IMAGE, "the fatbin is damaged: " + reason);
}

CUresult unpack(const Entry& e, const unsigned char* payload, std::string* ptx) {
  const std::string what = "its PTX for " + name_of(e);
  const bool compressed = e.flags & (kOldCompression | kLz4 | kZstd);
  const uint64_t plain = compressed ? e.plain_bytes : e.bytes;
  if (e.compressed_bytes > e.bytes || plain > ptx::kMaxText)
    return damaged(
        what + " has " + std::to_string(e.compressed_bytes) + " of " + std::to_string(e.bytes) + " bytes, and " +
        std::to_string(plain) + " once decompressed");
  if (e.flags & kOldCompression)
    return refuse(CUDA_ERROR_INVALID_IMAGE, what + " has a compression of before CUDA 5, which is not read here");
  ptx->assign(reinterpret_cast<const char*>(payload), compressed ? 0 : size_t(plain));
  if (compressed) {
    ptx->resize(size_t(plain));
    std::string reason = "its LZ4 block is damaged, or not as long as its header says";
    const bool ok = e.flags & kZstd ? decompress_zstd(payload, e.compressed_bytes, ptx, &reason)
                                    : decompress_lz4(payload, e.compressed_bytes, ptx);
    if (!ok)
      return refuse(CUDA_ERROR_INVALID_IMAGE, what + " cannot be read: " + reason);
  }
  ptx->resize(std::min(ptx->find('\0'), ptx->size()));   // padding
  return CUDA_SUCCESS;
}
}   // namespace

uint64_t fatbin_bytes(const void* header) {
  Header h;
  std::memcpy(&h, header, sizeof h);
  return h.bytes > kMaxFatbin ? UINT64_MAX : std::max<uint64_t>(sizeof h, h.header_bytes + h.bytes);
}

CUresult ptx_of_fatbin(const void* image, size_t size, const Profile& gpu, std::string* ptx) {
  const auto* bytes = static_cast<const unsigned char*>(image);
  Header header;
  if (size < sizeof header)
    return damaged("it has " + std::to_string(size) + " bytes");
  std::memcpy(&header, bytes, sizeof header);
  if (header.version != 1 || header.header_bytes < sizeof header || header.header_bytes > size)
    return damaged(
        "version " + std::to_string(header.version) + ", a header of " + std::to_string(header.header_bytes) +
        " bytes");
  if (header.bytes > size - header.header_bytes)
    return damaged(
        "its header says " + std::to_string(header.bytes) + " bytes, there are " +
        std::to_string(size - header.header_bytes));

  const unsigned char* at = bytes + header.header_bytes;
  const unsigned char* const end = at + header.bytes;
  Entry best{};
  const unsigned char* payload = nullptr;
  std::string others;
  while (at < end) {
    Entry e;
    const auto left = size_t(end - at);
    if (left < sizeof e)
      return damaged("its last entry is cut short");
    std::memcpy(&e, at, sizeof e);
    if (e.header_bytes < sizeof e || e.header_bytes > left || e.bytes > left - e.header_bytes)
      return damaged("an entry does not fit into what is left of it");
    if (e.kind == kPtx && runs_target(gpu, name_of(e).c_str())) {
      // Of one architecture, the PTX that is for it alone may use more of it.
      const bool only = e.flags & kArchitectureOnly;
      if (!payload || e.architecture > best.architecture || (e.architecture == best.architecture && only)) {
        best = e;
        payload = at + e.header_bytes;
      }
    } else if (others.size() < 200) {
      others +=
          (others.empty() ? "" : ", ") + std::string(e.kind == kPtx ? "PTX" : "machine code") + " for " + name_of(e);
    }
    at += e.header_bytes + e.bytes;
  }
  if (!payload)
    return refuse(
        CUDA_ERROR_NO_BINARY_FOR_GPU,
        std::string("the fatbin has no PTX that ") + gpu.shown() + " runs, only " +
            (others.empty() ? "nothing" : others) + "; compile with -gencode arch=compute_80,code=compute_80");
  return unpack(best, payload, ptx);
}
}   // namespace spectral::cpu
