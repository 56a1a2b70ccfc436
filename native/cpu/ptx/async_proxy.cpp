// The asynchronous proxy reads and writes shared memory beside the threads: what they wrote it may not see before a
// fence.proxy.async, and what it may still be reading they must not write. PTX ISA, "Async proxy".
#include "access.h"
#include "async.h"
#include "barriers.h"
#include <algorithm>

namespace spectral::cpu::ptx {
void check_fenced(const Warp& w, const Step& s, const Block& block, uint32_t begin, uint32_t end, const char* what) {
  const std::vector<uint16_t>& writer = block.writes.writer;
  if (writer.empty())
    return;
  for (uint32_t i = begin / 4; i < (end + 3) / 4; ++i)
    if (writer[i])
      fail(
          w,
          s,
          "%s shared offset %u, written by thread %u without a fence.proxy.async since",
          what,
          4 * i,
          writer[i] - 1u);
}
void check_readers(const Warp& w, const Step& s, const Block& block, uint32_t begin, uint32_t end, const char* what) {
  for (const SharedWrites::Reader& r : block.writes.readers)
    if (begin < r.end && r.begin < end)
      fail(
          w,
          s,
          "%s shared offset %u, which the bulk copy of PTX line %u may still be reading",
          what,
          std::max(begin, r.begin),
          r.line);
}
void end_reader(Block& block, uint32_t begin, const Step& s) {
  auto& readers = block.writes.readers;
  readers.erase(std::find_if(readers.begin(), readers.end(), [&](const SharedWrites::Reader& r) {
    return r.begin == begin && r.line == s.line;
  }));
}

void mark_writes(Warp& w, const Step& s, uint32_t lanes, const uint64_t* at, unsigned bytes) {
  Block& own = w.block();
  if (own.writes.writer.empty())
    own.writes.writer.resize(own.cluster->shared_bytes / 4 + 1);
  each_lane(lanes, [&](int k) {
    const uint64_t offset = at[k] - reinterpret_cast<uint64_t>(own.shared);
    if (offset >= own.cluster->shared_bytes)
      return;   // another block's
    check_readers(w, s, own, uint32_t(offset), uint32_t(offset + bytes), "this write goes to");
    for (uint64_t i = offset / 4; i < (offset + bytes + 3) / 4; ++i)
      own.writes.writer[i] = uint16_t(w.index() * 32 + unsigned(k) + 1);
  });
}
void publish_writes(Warp& w) {
  for (uint16_t& writer : w.block().writes.writer) {
    const unsigned thread = writer - 1u;
    if (writer && thread / 32 == w.index() && w.mask >> thread % 32 & 1)
      writer = 0;
  }
  publish_inits(w);
}

// ---- initialised mbarriers. PTX ISA, "membar/fence": fence.mbarrier_init
void mark_init(Warp& w, unsigned lane, uint32_t offset) {
  w.block().writes.inits.push_back({offset, w.index() * 32 + lane});
}
void publish_inits(Warp& w) {
  std::erase_if(w.block().writes.inits, [&](const SharedWrites::Init& i) {
    return i.thread / 32 == w.index() && w.mask >> i.thread % 32 & 1;
  });
}
void check_init_fenced(const Warp& w, const Step& s, const Block& block, const void* barrier) {
  const auto offset = size_t(static_cast<const unsigned char*>(barrier) - block.shared);
  for (const SharedWrites::Init& i : block.writes.inits)
    if (i.offset == offset)
      fail(
          w,
          s,
          "the mbarrier at shared offset %u of block %u was initialised by thread %u without a fence.mbarrier_init "
          "since",
          i.offset,
          block.rank,
          i.thread);
}
}   // namespace spectral::cpu::ptx
