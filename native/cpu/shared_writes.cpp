// Writes of shared memory and fence.proxy.async in kernels compiled from source. PTX ISA, "Async proxy".
#include "worker.h"

namespace spectral::cpu {
void SharedWrites::start(unsigned char* memory, size_t bytes) {
  constexpr int kPoison = 0xcd;   // else a value that an earlier block has left would hide a store of the same one
  std::memset(memory, kPoison, bytes);
  seen.assign(bytes, kPoison);
  writer.assign(bytes / 4 + 1, 0);
}
void SharedWrites::copied(const unsigned char* memory, uint32_t begin, uint32_t end) {
  std::memcpy(seen.data() + begin, memory + begin, end - begin);
  std::fill(writer.begin() + begin / 4, writer.begin() + end / 4, uint16_t(0));
}
static unsigned writer_of(const Fiber* f) { return options.seed ? f->t.linear : f->warp(); }
static const char* writers() { return options.seed ? "thread" : "warp"; }

void Worker::charge(const Fiber* f) {
  if (f->cta == charged_ && writer_of(f) == charged_writer_)
    return;
  note_writes();
  charged_ = f->cta;
  charged_writer_ = writer_of(f);
}
void Worker::note_writes() {
  constexpr size_t kChunk = 1024;   // bytes that are compared at once
  if (!charged_)
    return;
  const Cta& cta = *charged_;
  SharedWrites& writes = charged_->writes;
  for (size_t begin = 0; begin < smem_size; begin += kChunk) {
    const size_t end = std::min(begin + kChunk, smem_size);
    if (!std::memcmp(cta.smem + begin, writes.seen.data() + begin, end - begin))
      continue;
    for (size_t word = begin; word < end; word += 4) {
      const size_t bytes = std::min<size_t>(4, end - word);
      if (!std::memcmp(cta.smem + word, writes.seen.data() + word, bytes))
        continue;
      writes.writer[word / 4] = uint16_t(charged_writer_ + 1);
      for (const Cta::Reader& r : cta.readers)
        if (word >= r.begin && word < r.end)
          fail(
              &r.where,
              "%s %u has written shared offset %zu, which this bulk store may still be reading",
              writers(),
              charged_writer_,
              word);
    }
    std::memcpy(writes.seen.data() + begin, cta.smem + begin, end - begin);
  }
}
void Worker::publish_writes(const Fiber* f) {
  note_writes();
  for (uint16_t& writer : f->cta->writes.writer)
    if (writer == writer_of(f) + 1)
      writer = 0;
}
// What the asynchronous proxy reads, or overwrites, from `begin` to `end`. The caller has noted what changed.
void Worker::check_published(const Cta& cta, uint32_t begin, uint32_t end, const char* what, const Where& w) {
  for (uint32_t i = begin / 4; i < end / 4; ++i)
    if (cta.writes.writer[i])
      fail(
          &w,
          "%s shared offset %u, written by %s %u without a fence.proxy.async since",
          what,
          4 * i,
          writers(),
          cta.writes.writer[i] - 1u);
}
Worker& hopper(const Where& w) {
  Worker& k = *self()->worker;
  if (!k.launch->kernel->hopper)
    k.fail(
        &w,
        "an instruction of sm_90a in kernel %s, whose file is for other GPUs too: its name does not end in _sm90.cu",
        k.launch->kernel->name);
  return k;
}
}   // namespace spectral::cpu
