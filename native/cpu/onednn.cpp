// Loading oneDNN. Only the part of its C interface that releases 1 to 3 share is used.
#include "onednn.h"
#include "openblas.h"
#include "options.h"
#include <dlfcn.h>
#include <string>
#include <vector>

namespace spectral::cpu {
namespace {
struct Version {   // dnnl_version_t
  int major, minor, patch;
  const char* hash;
  unsigned cpu_runtime, gpu_runtime;
};
constexpr unsigned kSequential = 1;   // DNNL_RUNTIME_SEQ
constexpr unsigned kOpenMp = 2;       // DNNL_RUNTIME_OMP

struct Library {
  void* handle = nullptr;
  int release = 0;
  OneDnnSgemm* sgemm = nullptr;
  void (*set_threads)(int) = nullptr;   // of OpenMP, for the calling thread alone
  std::string name;
};

// By what it is called: Debian's libraries of release 3 have the second number in their names too.
constexpr int kNewestMinor = 20;
std::vector<std::string> files() {
  std::vector<std::string> names = {"libdnnl.so.3"};
  for (int minor = kNewestMinor; minor >= 0; --minor)
    names.push_back("libdnnl.so.3." + std::to_string(minor));
  names.emplace_back("libdnnl.so.2");
  return names;
}

Library load() {
  Library found;
  for (const std::string& file : files()) {
    void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle)
      continue;
    auto* version = reinterpret_cast<const Version* (*)()>(dlsym(handle, "dnnl_version"));
    auto* sgemm = reinterpret_cast<OneDnnSgemm*>(dlsym(handle, "dnnl_sgemm"));
    if (!version || !sgemm)
      continue;
    const Version& v = *version();
    if (v.cpu_runtime == kOpenMp)
      found.set_threads = reinterpret_cast<void (*)(int)>(dlsym(handle, "omp_set_num_threads"));
    if (!found.set_threads && v.cpu_runtime != kSequential)
      continue;   // its own threads would fight the device's pool
    found.handle = handle;
    found.release = v.major;
    found.sgemm = sgemm;
    found.name = "oneDNN " + std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.patch);
    break;
  }
  return found;
}
const Library& library() {
  static const Library loaded = load();
  return loaded;
}
}   // namespace

OneDnnSgemm* onednn_sgemm() {
  if (!options.onednn)
    return nullptr;
  const Library& found = library();
  thread_local bool single = false;   // OpenMP keeps the number of threads for each thread that calls it
  if (found.set_threads && !single) {
    found.set_threads(1);
    single = true;
  }
  return found.sgemm;
}
void* onednn_symbol(const char* name) { return library().handle ? dlsym(library().handle, name) : nullptr; }
int onednn_release() { return library().release; }
const char* product_library() {
  if (options.onednn && library().sgemm)
    return library().name.c_str();
  return openblas_symbol("cblas_sgemm") ? "OpenBLAS" : "";
}
}   // namespace spectral::cpu
