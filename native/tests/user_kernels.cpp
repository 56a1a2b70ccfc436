#include "user_kernels.h"
#include <fstream>
#include <iterator>

namespace {
constexpr const char* kForms[] = {"sm_70", "sm_80", "sm_90a", "sm_80-debug"};
}

UserModule::UserModule(const std::string& name) {
  const std::string folder = module_file.substr(0, module_file.rfind('/'));
  for (const char* form : kForms) {
    std::ifstream file(folder + "/user/" + form + "/" + name + ".ptx");
    if (!file)
      continue;
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    CUmodule m = nullptr;
    CHECK_STATUS(cuModuleLoadData(&m, text.c_str()), CUDA_SUCCESS);
    if (m)
      forms_.push_back({form, m});
    else
      check(false, name + " of " + form + ": " + spectralCpuLastError());
  }
  if (forms_.empty())   // the build found no nvcc; in the form that tests/run.sh counts
    std::printf("user kernels, %s: not compiled, for the build found no nvcc\n  skipped: 1\n", name.c_str());
}
UserModule::~UserModule() {
  for (const Form& form : forms_)
    cuModuleUnload(form.module);
}

bool UserModule::launch(
    const Form& form, const char* kernel, CUdeviceptr in, CUdeviceptr out, int n, UserLaunch shape) {
  CUfunction f = nullptr;
  const CUresult found = cuModuleGetFunction(&f, form.module, kernel);
  if (found == CUDA_ERROR_NOT_FOUND && form.name == "sm_70")
    return false;   // what compute capability 7.0 does not have
  CHECK_STATUS(found, CUDA_SUCCESS);
  if (found)
    return false;
  void* params[] = {&in, &out, &n};
  const CUresult status = cuLaunchKernel(
      f,
      shape.blocks,
      shape.rows_of_blocks,
      1,
      shape.threads,
      shape.rows_of_threads,
      1,
      shape.shared,
      nullptr,
      params,
      nullptr);
  check(!status, std::string(kernel) + " of " + form.name + ": " + (status ? spectralCpuLastError() : ""));
  spectralCpuSetOption("reset", 0);
  return !status;
}
