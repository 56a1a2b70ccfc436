// spectral_native_tests <folder of modules>: runs every group and ends with "N passed, N failed".
#include "../cpu/loader_api.h"
#include "host.h"

Tally tally;
CUmodule test_module;
std::string module_file;
namespace {
TestGroup* groups = nullptr;
}
TestGroup::TestGroup(const char* n, void (*r)()) : name(n), run(r), next(groups) { groups = this; }

void check(bool ok, const std::string& what) {
  if (ok) {
    ++tally.passed;
    return;
  }
  ++tally.failed;
  std::printf("FAIL %s\n", what.c_str());
}
void check_status(CUresult got, CUresult wanted, const std::string& what) {
  const char* a = "?";
  const char* b = "?";
  cuGetErrorName(got, &a);
  cuGetErrorName(wanted, &b);
  check(got == wanted, what + ": " + (a ? a : "?") + ", wanted " + (b ? b : "?"));
}
CUfunction kernel(const char* name) {
  CUfunction f;
  CU(cuModuleGetFunction(&f, test_module, name));
  return f;
}

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (argc < 2)
    return std::printf("usage: spectral_native_tests <folder of modules> [group]\n"), 2;
  // before cuInit nothing works
  int count = 0;
  CUcontext context = nullptr;
  CHECK_STATUS(cuDeviceGetCount(&count), CUDA_ERROR_NOT_INITIALIZED);
  CHECK_STATUS(cuCtxSetCurrent(nullptr), CUDA_ERROR_NOT_INITIALIZED);
  CHECK_STATUS(cuDevicePrimaryCtxRetain(&context, 0), CUDA_ERROR_NOT_INITIALIZED);
  CHECK_STATUS(cuCtxSynchronize(), CUDA_ERROR_NOT_INITIALIZED);
  CHECK_STATUS(cuInit(1), CUDA_ERROR_INVALID_VALUE);
  CU(cuInit(0));
  CHECK_STATUS(cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT);
  CU(cuDevicePrimaryCtxRetain(&context, 0));
  CU(cuCtxSetCurrent(context));
  module_file = std::string(argv[1]) + "/libspectral_test_kernels.so";
  CU(cuModuleLoad(&test_module, module_file.c_str()));
  for (TestGroup* g = groups; g; g = g->next) {
    if (argc > 2 && std::strcmp(argv[2], g->name))
      continue;
    const Tally before = tally;
    g->run();
    std::printf("%-24s %4d passed, %d failed\n", g->name, tally.passed - before.passed, tally.failed - before.failed);
  }
  CU(cuModuleUnload(test_module));
  // A reset takes what the primary context owns, and leaves the retain.
  CUdeviceptr owned = 0;
  unsigned flags = 0;
  int active = 1;
  CHECK_STATUS(cuMemAlloc(&owned, 64), CUDA_SUCCESS);
  CHECK_STATUS(cuDevicePrimaryCtxReset(0), CUDA_SUCCESS);
  CHECK_STATUS(cuDevicePrimaryCtxGetState(0, &flags, &active), CUDA_SUCCESS);
  CHECK(active == 0);
  CHECK_STATUS(cuCtxSynchronize(), CUDA_ERROR_CONTEXT_IS_DESTROYED);
  CU(cuDevicePrimaryCtxRetain(&context, 0));
  CHECK_STATUS(cuMemFree(owned), CUDA_ERROR_INVALID_VALUE);
  CU(cuDevicePrimaryCtxRelease(0));
  CU(cuDevicePrimaryCtxRelease(0));
  CHECK_STATUS(cuDevicePrimaryCtxRelease(0), CUDA_ERROR_INVALID_CONTEXT);
  std::printf("%d passed, %d failed\n", tally.passed, tally.failed);
  return tally.failed != 0;
}
