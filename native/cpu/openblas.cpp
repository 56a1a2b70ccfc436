// Loading OpenBLAS. It reads its settings from the environment once, while it is being loaded, so they are
// set just before: one thread per call (its own threads would fight the device's pool), and the core type, which
// releases before 0.3.22 guess too low on newer processors and then run at half speed.
#include "openblas.h"
#include "options.h"
#include <cstdlib>
#include <dlfcn.h>
#include <mutex>
#include <optional>
#include <string>

namespace spectral::cpu {
namespace {
class Environment {   // a variable set for the time of the load, unless the user has chosen a value
 public:
  Environment(const char* name, const char* value, bool keep_users) : name_(name) {
    if (const char* old = std::getenv(name))
      old_ = old;
    if (!(old_ && keep_users))
      setenv(name, value, 1);
  }
  ~Environment() {
    if (old_)
      setenv(name_, old_->c_str(), 1);
    else
      unsetenv(name_);
  }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

const char* core_type() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    return "SkylakeX";
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
    return "Nehalem";
  return __builtin_cpu_is("amd") ? "Zen" : "Haswell";
}

void* load() {
  void* library;
  {
    Environment threads("OPENBLAS_NUM_THREADS", "1", false);
    Environment core("OPENBLAS_CORETYPE", core_type(), true);
    library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  }
  if (!library) {
    set_error(std::string("OpenBLAS is missing (Debian: apt-get install libopenblas0-pthread): ") + dlerror());
    return nullptr;
  }
  // Somebody else in the process may have loaded it before with more threads.
  if (auto* set = reinterpret_cast<void (*)(int)>(dlsym(library, "openblas_set_num_threads")))
    set(1);
  return library;
}
}   // namespace

void* openblas_symbol(const char* name) {
  static std::mutex mutex;
  static void* library = nullptr;
  std::lock_guard l(mutex);
  if (!library)
    library = load();
  if (!library)
    return nullptr;
  void* symbol = dlsym(library, name);
  if (!symbol)
    set_error(std::string("this OpenBLAS has no function ") + name);
  return symbol;
}
}   // namespace spectral::cpu
