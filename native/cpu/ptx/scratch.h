// Memory of the blocks that an OS thread runs, kept from launch to launch: fresh memory would cost more than a small
// kernel.
#pragma once
#include <cstddef>

namespace spectral::cpu::ptx {
class ScratchMemory {
 public:
  ScratchMemory() = default;
  ~ScratchMemory() { release(); }
  ScratchMemory(const ScratchMemory&) = delete;
  // At least so many bytes, aligned to 1024, with any content. Throws Fault where there are none.
  unsigned char* take(size_t bytes);
  void end_launch();   // what is large is given back

 private:
  void release();
  unsigned char* memory_ = nullptr;
  size_t size_ = 0;
};

struct Scratch {
  ScratchMemory registers, shared, local;
  static Scratch& of_thread();
  void end_launch();
};
}   // namespace spectral::cpu::ptx
