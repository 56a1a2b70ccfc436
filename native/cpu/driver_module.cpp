// Modules and functions. A module is made of a shared library of kernels, whose initialisers register the kernels with
// the module being loaded, or of PTX text.
#include "capture.h"
#include "image.h"
#include "jit_log.h"
#include "profiles.h"
#include "ptx/loaded_module.h"
#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

namespace spectral::cpu {
namespace {
std::mutex load_mutex;         // one dlopen at a time; guards all below
CUmod_st* loading = nullptr;   // the module whose initialisers are running

// The thread-local block of a kernel library: its __shared__ variables.
StaticShared find_statics(void* library) {
  struct Find {
    ElfW(Addr) base;
    StaticShared found;
  } find{};
  link_map* map = nullptr;
  dlinfo(library, RTLD_DI_LINKMAP, &map);
  find.base = map->l_addr;
  dl_iterate_phdr(
      [](dl_phdr_info* i, size_t, void* arg) {
        auto& f = *static_cast<Find*>(arg);
        if (i->dlpi_addr == f.base)
          for (int k = 0; k < i->dlpi_phnum; ++k)
            if (i->dlpi_phdr[k].p_type == PT_TLS)
              f.found = {i->dlpi_tls_modid, i->dlpi_phdr[k].p_memsz};
        return 0;
      },
      &find);
  return find.found;
}
// Without asking for more.
int most_dynamic_shared(const KernelInfo& kernel) {
  return std::max(0, profile().shared_per_block - kernel.static_shared);
}
void unload(CUmodule m) {
  for (auto& f : m->kernels)
    functions.remove(f.get());
  if (m->library)
    dlclose(m->library);
  if (m->fd >= 0)
    close(m->fd);
  delete m;
}
CUresult load(CUmodule* out, const char* path, int fd) {
  auto m = std::make_unique<CUmod_st>();
  m->context = current_context();
  std::lock_guard l(load_mutex);
  loading = m.get();
  m->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  loading = nullptr;
  if (!m->library) {
    set_error(std::string("module: ") + dlerror());
    return CUDA_ERROR_INVALID_IMAGE;
  }
  m->fd = fd;
  m->statics = find_statics(m->library);
  for (auto& f : m->kernels) {
    f->max_dynamic_shared = most_dynamic_shared(f->info);
    f->module = m.get();
    f->context = m->context;
    functions.add(f.get());
  }
  *out = modules.add(m.release());
  return CUDA_SUCCESS;
}
// A copy of the file or memory image, so that one file can be loaded any number of times.
CUresult load_library(CUmodule* out, const void* image, size_t size) {
  int fd = -1;
  SPECTRAL_TRY(copy_to_file(image, size, &fd));
  const CUresult status = load(out, ("/proc/self/fd/" + std::to_string(fd)).c_str(), fd);
  if (status)
    close(fd);
  return status;
}
CUresult load_ptx(CUmodule* out, const std::vector<ProgramText>& texts) {
  auto m = std::make_unique<CUmod_st>();
  m->context = current_context();
  std::unique_ptr<ptx::Module> parsed;
  SPECTRAL_TRY(texts.size() == 1 ? parse_text(texts[0], &parsed) : link_texts(texts, &parsed));
  try {
    m->ptx = std::make_unique<ptx::LoadedModule>(std::move(parsed));
  } catch (const ptx::PtxError& error) {
    set_error(error.what());
    return CUDA_ERROR_INVALID_PTX;
  }
  for (const auto& program : m->ptx->kernels()) {
    auto f = std::make_unique<CUfunc_st>();
    f->info = {
        program->name.c_str(),
        nullptr,
        nullptr,
        program->parameter_bytes,
        program->max_threads,
        std::max(1u, program->cluster[0] * program->cluster[1] * program->cluster[2]),
        std::string()};
    f->info.static_shared = int(program->shared_bytes);
    f->program = program.get();
    f->max_dynamic_shared = most_dynamic_shared(f->info);
    f->module = m.get();
    f->context = m->context;
    functions.add(f.get());
    m->kernels.push_back(std::move(f));
  }
  std::lock_guard l(load_mutex);
  modules.add(*out = m.release());
  return CUDA_SUCCESS;
}
// That a kernel was compiled for; zeros where the launch may choose.
dim3 required_cluster(const CUfunc_st& f) {
  if (f.program)
    return {f.program->cluster[0], f.program->cluster[1], f.program->cluster[2]};
  return f.info.cluster > 1 ? dim3{f.info.cluster, 1, 1} : dim3{0, 0, 0};
}
ptx::Resources resources_of(const CUfunc_st& f) {
  return f.program ? f.module->ptx->resources_of(f.program->name) : ptx::Resources();
}
CUresult load_image(CUmodule* out, const void* bytes, size_t size) {
  Image image;
  SPECTRAL_TRY(read_image(bytes, size, &image));
  return image.library ? load_library(out, image.library, image.library_bytes) : load_ptx(out, image.texts);
}
}   // namespace

void register_kernel(KernelInfo&& info) {
  if (!loading)
    return;   // a kernel library opened by something other than the driver
  auto f = std::make_unique<CUfunc_st>();
  f->info = std::move(info);
  loading->kernels.push_back(std::move(f));
}
void register_shared(const char* kernel, SharedKind kind, int bytes) {
  if (!loading)
    return;
  for (auto& f : loading->kernels)
    if (!std::strcmp(f->info.name, kernel)) {
      int& shared = kind == SharedKind::Dynamic ? f->info.dynamic_shared : f->info.static_shared;
      shared = bytes;
    }
}
void unload_modules(CUcontext c) {
  std::lock_guard l(load_mutex);
  for (CUmodule m : modules.of(c)) {
    modules.remove(m);
    unload(m);
  }
}
}   // namespace spectral::cpu

using namespace spectral::cpu;

CUmod_st::CUmod_st() = default;
CUmod_st::~CUmod_st() = default;

extern "C" {
CUresult cuModuleLoad(CUmodule* m, const char* file) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_unsafe());
  if (!m || !file)
    return CUDA_ERROR_INVALID_VALUE;
  std::vector<char> image;
  SPECTRAL_TRY(read_file(file, &image));
  const size_t n = image.size();
  image.resize(n + 8);   // room for the zero at a text's end, and for a magic number
  return load_image(m, image.data(), n);
}
CUresult cuModuleLoadData(CUmodule* m, const void* image) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_unsafe());
  if (!m || !image)
    return CUDA_ERROR_INVALID_VALUE;
  return load_image(m, image, kUnknownSize);
}
CUresult cuModuleLoadDataEx(CUmodule* m, const void* image, unsigned count, CUjit_option* options, void** values) {
  if (count && (!options || !values)) {
    SPECTRAL_TRY(check_context());
    return CUDA_ERROR_INVALID_VALUE;
  }
  const CUresult status = cuModuleLoadData(m, image);
  write_logs(status ? last_error() : "", count, options, values);
  return status;
}
CUresult cuModuleLoadFatBinary(CUmodule* m, const void* fatbin) { return cuModuleLoadData(m, fatbin); }
CUresult cuModuleUnload(CUmodule m) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(finish_context());
  std::lock_guard l(load_mutex);
  if (!modules.remove(m))
    return CUDA_ERROR_INVALID_HANDLE;
  unload(m);
  return CUDA_SUCCESS;
}
CUresult cuModuleGetFunction(CUfunction* f, CUmodule m, const char* name) {
  SPECTRAL_TRY(check_context());
  if (!f || !name)
    return CUDA_ERROR_INVALID_VALUE;
  if (!modules.has(m))
    return CUDA_ERROR_INVALID_HANDLE;
  for (auto& k : m->kernels)
    if (!std::strcmp(k->info.name, name)) {
      *f = k.get();
      return CUDA_SUCCESS;
    }
  return CUDA_ERROR_NOT_FOUND;
}

// Variables are those of PTX; a library of kernels shows none.
CUresult cuModuleGetGlobal(CUdeviceptr* address, size_t* bytes, CUmodule m, const char* name) {
  SPECTRAL_TRY(check_context());
  if (!name || (!address && !bytes))
    return CUDA_ERROR_INVALID_VALUE;
  if (!modules.has(m))
    return CUDA_ERROR_INVALID_HANDLE;
  CUdeviceptr at = 0;
  const ptx::Variable* variable = m->ptx ? m->ptx->find_variable(name, &at) : nullptr;
  if (!variable)
    return CUDA_ERROR_NOT_FOUND;
  if (address)
    *address = at;
  if (bytes)
    *bytes = variable->bytes;
  return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction f, CUfunction_attribute attribute, int value) {
  SPECTRAL_TRY(check_context());
  if (!functions.has(f))
    return CUDA_ERROR_INVALID_HANDLE;
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
      if (const int most = profile().shared_opt_in - f->info.static_shared; value < 0 || value > most) {
        const int fixed = f->info.static_shared;
        const std::string used = fixed ? " beside the " + std::to_string(fixed) + " of its variables" : "";
        set_error(
            "kernel " + std::string(f->info.name) + ": " + std::to_string(value) +
            " bytes of dynamic shared memory, where a block on " + profile().shown() + " has 0 to " +
            std::to_string(most) + used);
        return CUDA_ERROR_INVALID_VALUE;
      }
      f->max_dynamic_shared = value;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
      if (value < -1 || value > 100)   // percent; a hint
        return CUDA_ERROR_INVALID_VALUE;
      f->carveout = value;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
      f->may_exceed_portable_cluster = value;
      return CUDA_SUCCESS;
    default: return CUDA_ERROR_INVALID_VALUE;
  }
}
CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction f) {
  SPECTRAL_TRY(check_context());
  if (!value)
    return CUDA_ERROR_INVALID_VALUE;
  if (!functions.has(f))
    return CUDA_ERROR_INVALID_HANDLE;
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = int(f->info.max_threads); break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *value = f->max_dynamic_shared; break;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *value = 90; break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *value = f->info.static_shared; break;
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES: *value = resources_of(*f).stack; break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = resources_of(*f).registers; break;
    case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
    case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE: *value = 0; break;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT: *value = f->carveout; break;
    case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET: *value = f->program && f->program->needs_cluster; break;
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED: *value = f->may_exceed_portable_cluster; break;
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH: *value = int(required_cluster(*f).x); break;
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT: *value = int(required_cluster(*f).y); break;
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH: *value = int(required_cluster(*f).z); break;
    default: return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}
CUresult cuFuncGetParamInfo(CUfunction f, size_t index, size_t* offset, size_t* size) {
  SPECTRAL_TRY(check_context());
  if (!functions.has(f))
    return CUDA_ERROR_INVALID_HANDLE;
  if (f->program) {
    if (!offset || index >= f->program->parameters.size())
      return CUDA_ERROR_INVALID_VALUE;
    *offset = f->program->parameters[index].offset;
    if (size)
      *size = f->program->parameters[index].bytes;
    return CUDA_SUCCESS;
  }
  if (!offset || index != 0)
    return CUDA_ERROR_INVALID_VALUE;   // a kernel of a library takes one struct
  *offset = 0;
  if (size)
    *size = f->info.args_size;
  return CUDA_SUCCESS;
}

int spectralKernelFacts(char* text, size_t size) {
  std::string facts;
  std::lock_guard l(load_mutex);
  for (CUmodule m : modules.of(current_context()))
    for (auto& k : m->kernels)
      facts.append(k->info.name)
          .append(" ")
          .append(std::to_string(k->info.args_size))
          .append(" ")
          .append(std::to_string(k->info.max_threads))
          .append(" ")
          .append(std::to_string(k->info.cluster))
          .append(" ")
          .append(std::to_string(k->info.dynamic_shared))
          .append(" ")
          .append(std::to_string(k->info.static_shared))
          .append("\n");
  return copy_text(facts, text, size);
}
int spectralCpuCounters(char* text, size_t size) {
  finish_all(nullptr);
  return copy_text(ptx::counted_launches(), text, size);
}
int spectralParameterTypes(CUfunction f, char* text, size_t size) {
  if (!functions.has(f) || !f->program)
    return -1;
  std::string types;
  for (const ptx::Parameter& p : f->program->parameters) {
    types.append(ptx::name_of(p.type));
    if (p.bytes != size_t(ptx::bytes_of(p.type)))
      types.append(" ").append(std::to_string(p.bytes));
    types.append("\n");
  }
  return copy_text(types, text, size);
}
int spectralArgsLayout(const char* kernel, char* text, size_t size) {
  if (!kernel)
    return -1;
  std::lock_guard l(load_mutex);
  for (CUmodule m : modules.of(current_context()))
    for (auto& k : m->kernels)
      if (!std::strcmp(k->info.name, kernel))
        return copy_text(k->info.layout, text, size);
  return -1;
}
}
