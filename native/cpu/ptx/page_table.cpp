#include "page_table.h"
#include <memory>
#include <mutex>

namespace spectral::cpu::ptx {
namespace {
constexpr size_t kMostKept = (size_t(8) << 20) / kPageChunk;

struct KeptChunks {
  std::mutex mutex;
  std::vector<std::unique_ptr<unsigned char[]>> chunks;
};
KeptChunks& kept() {
  static auto* const all = new KeptChunks;   // never destroyed: threads may outlive main's statics
  return *all;
}
}   // namespace

unsigned char* take_page_chunk() {
  KeptChunks& all = kept();
  std::lock_guard lock(all.mutex);
  if (all.chunks.empty())
    return new unsigned char[kPageChunk];
  unsigned char* chunk = all.chunks.back().release();
  all.chunks.pop_back();
  return chunk;
}
void give_page_chunk(unsigned char* chunk) {
  KeptChunks& all = kept();
  std::lock_guard lock(all.mutex);
  if (all.chunks.size() < kMostKept)
    all.chunks.emplace_back(chunk);
  else
    delete[] chunk;
}
}   // namespace spectral::cpu::ptx
