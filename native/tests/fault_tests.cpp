// Kernels that are wrong on purpose: the launch fails, the text says where and why, the context stays unusable until
// it is destroyed, and checking mode names damaged memory.
#include "host.h"
#include <algorithm>
#include <thread>

namespace {
struct FaultArgs {
  CUdeviceptr out;
  int at;
};

void expect_fault(const char* name, const char* text, unsigned block, unsigned smem = 0, int at = 0) {
  Buffer<int> out(64);
  CHECK_STATUS(launch(name, FaultArgs{out.p, at}, 1, 1, block, smem), CUDA_ERROR_LAUNCH_FAILED);
  const std::string said = spectralCpuLastError();
  check(said.find(text) != std::string::npos, std::string(name) + " should say \"" + text + "\", says: " + said);
  check(said.find(std::string("kernel ") + name + ", block (0,0,0)") == 0, std::string(name) + " is named: " + said);
  CHECK_STATUS(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);   // sticky
  CHECK_STATUS(cuMemFree(out.p), CUDA_ERROR_LAUNCH_FAILED);
  check(said == spectralCpuLastError(), std::string(name) + " is the reason for later failures too");
  spectralCpuSetOption("reset", 0);
  CHECK_STATUS(cuCtxSynchronize(), CUDA_SUCCESS);
  CHECK(!*spectralCpuLastError());
}

// A thread is told the reasons for its own calls' errors.
void reasons_of_threads() {
  CUcontext context = nullptr;
  CU(cuCtxGetCurrent(&context));
  CHECK_STATUS(launch("fault_divergent", FaultArgs{}, 1, 1, 32), CUDA_ERROR_LAUNCH_FAILED);
  const std::string said = spectralCpuLastError();
  std::thread([&] {
    CHECK_STATUS(cuCtxSetCurrent(context), CUDA_SUCCESS);
    CHECK(!*spectralCpuLastError());
    CHECK_STATUS(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
    CHECK(said == spectralCpuLastError());
    CHECK_STATUS(cuCtxSetCurrent(nullptr), CUDA_SUCCESS);
  }).join();
  CHECK(said == spectralCpuLastError());
  spectralCpuSetOption("reset", 0);
}

void guards() {
  spectralCpuSetOption("check", 1);
  {
    Buffer<int> before(64), out(100), after(64);
    CU(launch("fault_index", FaultArgs{out.p, 36}, 1, 1, 64));   // ends at 99
    CHECK_STATUS(cuCtxSynchronize(), CUDA_SUCCESS);
#ifndef __SANITIZE_ADDRESS__                                     // there the write itself is reported
    CU(launch("fault_index", FaultArgs{out.p, 37}, 1, 1, 64));   // one behind the end
    CHECK_STATUS(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
    CHECK(
        std::strstr(spectralCpuLastError(), "of 400 bytes") &&
        std::strstr(spectralCpuLastError(), "offset 400 (behind it)"));
    spectralCpuSetOption("reset", 0);
    int back[100];
    CHECK_STATUS(cuMemcpyDtoH(back, out.p, sizeof back), CUDA_ERROR_LAUNCH_FAILED);
    spectralCpuSetOption("reset", 0);
    CHECK_STATUS(cuMemFree(out.p), CUDA_ERROR_LAUNCH_FAILED);
    spectralCpuSetOption("reset", 0);
    CU(cuMemAlloc(&out.p, 400));
    CU(launch("fault_index", FaultArgs{out.p, -64}, 1, 1, 64));
    CHECK_STATUS(cuStreamSynchronize(nullptr), CUDA_ERROR_LAUNCH_FAILED);
    CHECK(std::strstr(spectralCpuLastError(), "(before it)"));
    spectralCpuSetOption("reset", 0);
    CHECK_STATUS(cuMemFree(out.p), CUDA_ERROR_LAUNCH_FAILED);
    spectralCpuSetOption("reset", 0);
    CU(cuMemAlloc(&out.p, 400));
#endif
  }
  spectralCpuSetOption("check", 0);
}

void poison() {
  spectralCpuSetOption("poison", 1);
  Buffer<unsigned> fresh(64);
  const auto v = fresh.get();
  CHECK(std::all_of(v.begin(), v.end(), [](unsigned x) { return x == 0xcdcdcdcdu; }));
  spectralCpuSetOption("poison", 0);
}

// A missing barrier gives the right answer in some order of threads; the shuffled ones find it.
void missing_barrier() {
  std::vector<int> in(1024);
  for (int i = 0; i < 1024; ++i)
    in[i] = i + 1;
  int found = 0;
  for (long seed : {1, 2, 3}) {
    spectralCpuSetOption("seed", seed);
    Buffer<int> di(in), out(1024);
    struct {
      CUdeviceptr in, out;
    } args{di.p, out.p};
    CU(launch("reverse_no_barrier", args, 4, 1, 256));
    const auto o = out.get();
    int wrong = 0;
    for (int i = 0; i < 1024; ++i)
      wrong += o[i] != in[i / 256 * 256 + 255 - i % 256];
    found += wrong > 0;
  }
  spectralCpuSetOption("seed", 0);
  check(found == 3, "a missing barrier shows in every shuffled schedule");
}

void context_after_fault() {
  CUcontext primary = nullptr;
  CUcontext c = nullptr;
  CU(cuCtxGetCurrent(&primary));
  CU(cuCtxCreate(&c, 0, 0));
  CUmodule m = nullptr;
  CUfunction f = nullptr;
  CU(cuModuleLoad(&m, module_file.c_str()));
  CU(cuModuleGetFunction(&f, m, "fault_barriers"));
  FaultArgs args{};
  void* params[] = {&args};
  CHECK_STATUS(cuLaunchKernel(f, 1, 1, 1, 64, 1, 1, 0, nullptr, params, nullptr), CUDA_ERROR_LAUNCH_FAILED);
  CHECK_STATUS(cuModuleUnload(m), CUDA_ERROR_LAUNCH_FAILED);
  CHECK_STATUS(cuCtxDestroy(c), CUDA_SUCCESS);      // takes the module with it
  CHECK_STATUS(cuCtxSynchronize(), CUDA_SUCCESS);   // the other context is well
}
// The kernels above where nothing is wrong.
void sound_forms() {
  Buffer<int> out(64);
  CHECK_STATUS(launch("fault_vector", FaultArgs{out.p, 4}, 1, 1, 32), CUDA_SUCCESS);
  CHECK_STATUS(launch("fault_half_ldmatrix", FaultArgs{out.p, 0}, 1, 1, 32, 512), CUDA_SUCCESS);
  CHECK_STATUS(launch("fault_half_ldmatrix", FaultArgs{out.p, 32}, 1, 1, 32, 512), CUDA_SUCCESS);
}
}   // namespace

TEST_GROUP(faults) {
  expect_fault("fault_divergent", "different collectives", 32);
  expect_fault("fault_barriers", "deadlock, every live thread waits", 64);
  expect_fault("fault_barriers", "threads 0-31 at ", 64);
  expect_fault("fault_barriers", "faulty.cu:", 64);
  expect_fault("fault_not_plain", "barrier in a kernel registered as plain", 64);
  expect_fault("fault_half_warp", "warp_sum needs all 32 lanes of the warp", 32);
  expect_fault("fault_half_warp", "warp_sum needs all 32 lanes of the warp", 16);
  expect_fault("fault_own_mask", "the calling lane 0 is not in its mask", 32);
  expect_fault("fault_misaligned", "cp.async: misaligned", 32, 64);
  expect_fault("fault_vector", "faulty.cu:", 32, 0, 1);
  expect_fault("fault_vector", "thread 0 accesses 16 bytes at 0x", 32, 0, 2);
  expect_fault("fault_half_ldmatrix", "did not take the same ldmatrix, stmatrix and setmaxnreg", 32, 512, 16);
  expect_fault("fault_bar_count", "barrier 1 waits for 40 threads", 64);
  expect_fault("fault_missing_lanes", "__shfl_sync (mask ffffffff, arrived 0000ffff, exited 00000000)", 32);
  expect_fault("fault_hopper", "an instruction of sm_90a in kernel fault_hopper", 32, 64);
  sound_forms();
  reasons_of_threads();
  guards();
  poison();
  missing_barrier();
  context_after_fault();
}
