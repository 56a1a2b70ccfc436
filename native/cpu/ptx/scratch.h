// Memory of the blocks that an OS thread runs, kept from launch to launch: fresh memory would cost more than a small
// kernel.
#pragma once
#include <cstddef>
#include <cstdint>

namespace spectral::cpu::ptx {
class ScratchMemory {
 public:
  ScratchMemory() = default;
  ~ScratchMemory() { release(); }
  ScratchMemory(const ScratchMemory&) = delete;
  // At least so many bytes, aligned to 1024, with any content. Throws Fault where there are none.
  unsigned char* take(size_t bytes);
  void end_launch();                            // what is large is given back
  uint64_t number() const { return number_; }   // of the memory: another when its content is lost

 private:
  void release();
  unsigned char* memory_ = nullptr;
  size_t size_ = 0;
  uint64_t number_ = 0;
};

struct Scratch {
  ScratchMemory registers, shared, local;
  // The program whose constants the first register file has, in which memory.
  struct Constants {
    uint64_t program = 0;
    uint64_t memory = 0;
    bool operator==(const Constants&) const = default;
  };
  Constants constants;
  static Scratch& of_thread();
  void end_launch();
};
}   // namespace spectral::cpu::ptx
