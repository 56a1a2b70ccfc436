#include "scratch.h"
#include "block.h"
#include <algorithm>
#include <cstdlib>
#include <memory>

namespace spectral::cpu::ptx {
namespace {
constexpr size_t kAlignment = 1024;             // as swizzled shared memory wants it
constexpr size_t kMostKept = size_t(8) << 20;   // bytes, of each kind
}   // namespace

unsigned char* ScratchMemory::take(size_t bytes) {
  if (bytes <= size_ && memory_)
    return memory_;
  release();
  const size_t size = (std::max<size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  memory_ = static_cast<unsigned char*>(std::aligned_alloc(kAlignment, size));
  if (!memory_)
    throw Fault{CUDA_ERROR_OUT_OF_MEMORY, "no memory for the blocks of a launch"};
  size_ = size;
  return memory_;
}
void ScratchMemory::end_launch() {
  if (size_ > kMostKept)
    release();
}
void ScratchMemory::release() {
  std::free(memory_);
  ++number_;
  memory_ = nullptr;
  size_ = 0;
}

Scratch& Scratch::of_thread() {
  static thread_local std::unique_ptr<Scratch> scratch;   // on the heap: spare room for thread-locals is small
  if (!scratch)
    scratch = std::make_unique<Scratch>();
  return *scratch;
}
void Scratch::end_launch() {
  for (ScratchMemory* memory : {&registers, &shared, &local})
    memory->end_launch();
}
}   // namespace spectral::cpu::ptx
