// Settings of the CPU device (environment SPECTRAL_CPU_<NAME>, or spectralCpuSetOption), and the reasons for errors.
#pragma once
#include <string>

namespace spectral::cpu {
struct Options {
  long threads = 0;   // OS threads, 0: one per core
  long seed = 0;      // 0: threads in order; else a shuffled, seeded schedule
  long eager = 0;     // 1: asynchronous copies and wgmma happen at issue/commit, not as late as allowed
  long poison = 0;    // 1: fresh device memory, and shared memory before every block, are filled with 0xCD
  long memory = 0;    // bytes of device memory there are, 0: as much as the machine has
  long profile = 0;   // the GPU that the device stands for, 0: none (profiles.h)
  long async = 0;     // 1: work on streams runs when it is waited for, or by the seed before that
  long count = 0;   // n: launches of PTX are counted (spectralCpuCounters), their blocks as n multiprocessors take them
  long onednn = 1;   // 0: OpenBLAS multiplies even where oneDNN is installed
  long check = 0;    // 1: guard zones round every allocation, verified at free, copy and synchronise
};
extern Options options;

bool read_environment();                         // false: a value is not allowed; last_error() says which
bool set_option(const char* name, long value);   // false: no such option, or a value that is not allowed
long get_option(const char* name);               // -1: no such option

// Why this thread's current call fails, beyond its status. Each call begins without a reason.
void set_error(const std::string&);
void clear_error();
const char* last_error();   // of this thread's latest call, "" if it gave none; valid until the thread's next call
}   // namespace spectral::cpu
