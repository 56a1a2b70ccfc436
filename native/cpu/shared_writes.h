// Which words of a block's dynamic shared memory the asynchronous proxy may not see yet. Kernels compiled from source
// write by plain stores, which nothing reports: they show as words that differ from a copy. Who wrote them is known
// because the copy is compared each time that another warp runs, or in a shuffled schedule another thread: a comparison
// takes some 10 us. A store of the value that is there already is not seen.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace spectral::cpu {
struct SharedWrites {
  std::vector<unsigned char> seen;   // the memory when it was last compared
  std::vector<uint16_t> writer;      // per word: 1 + who wrote it and has not fenced it since

  void start(unsigned char* memory, size_t bytes);                          // of a block, which finds poison there
  void copied(const unsigned char* memory, uint32_t begin, uint32_t end);   // by the asynchronous proxy itself
};
}   // namespace spectral::cpu
