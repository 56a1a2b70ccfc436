// Loading modules: the log of an error, and several threads at once; and arguments in one buffer.
#include "ptx.h"
#include <barrier>
#include <thread>

TEST_GROUP(jit_log) {
  const std::string wrong = ".version 8.4\n.target sm_80\n.address_size 64\n.entry k()\n{\nnonsense.u32;\n}\n";
  CUmodule module = nullptr;
  char log[200] = "before";
  char info[50] = "before";
  CUjit_option options[] = {
      CU_JIT_MAX_REGISTERS,
      CU_JIT_ERROR_LOG_BUFFER,
      CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
      static_cast<CUjit_option>(999),
      CU_JIT_INFO_LOG_BUFFER,
      CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES};
  const auto number = [](size_t n) { return reinterpret_cast<void*>(n); };
  void* values[] = {number(32), log, number(sizeof log), nullptr, info, number(sizeof info)};
  CHECK_STATUS(cuModuleLoadDataEx(&module, wrong.c_str(), 6, options, values), CUDA_ERROR_INVALID_PTX);
  check(std::string(log).find("PTX line 6, column 1: ") == 0, log);
  check(values[2] == number(std::strlen(log)) && !*info && !values[5], "the logs' lengths are written");
  check(std::string(log) == spectralCpuLastError(), "the error text stays");

  values[2] = number(9);
  CHECK_STATUS(cuModuleLoadDataEx(&module, wrong.c_str(), 6, options, values), CUDA_ERROR_INVALID_PTX);
  check(std::string(log) == "PTX line" && values[2] == number(8), "no longer than the buffer");
  values[2] = number(0);
  CHECK_STATUS(cuModuleLoadDataEx(&module, wrong.c_str(), 6, options, values), CUDA_ERROR_INVALID_PTX);
  check(std::string(log) == "PTX line" && !values[2], "an empty buffer is left alone");

  values[2] = number(sizeof log);
  const std::string right = storing_ptx("k", 3);
  CHECK_STATUS(cuModuleLoadDataEx(&module, right.c_str(), 6, options, values), CUDA_SUCCESS);
  check(!*log && !values[2], "nothing about a module that loads");
  CU(cuModuleUnload(module));
  CHECK_STATUS(cuModuleLoadDataEx(&module, right.c_str(), 1, options, nullptr), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuModuleLoadDataEx(&module, right.c_str(), 0, nullptr, nullptr), CUDA_SUCCESS);
  CU(cuModuleUnload(module));
}

TEST_GROUP(extra_arguments) {
  const PtxModule module(
      ".version 8.4\n.target sm_80\n.address_size 64\n"
      ".visible .entry sum(.param .u8 a, .param .u64 to, .param .u32 b)\n{\n"
      ".reg .b64 %to;\n.reg .b32 %a, %b;\nld.param.u8 %a, [a];\nld.param.u64 %to, [to];\nld.param.u32 %b, [b];\n"
      "cvta.to.global.u64 %to, %to;\nadd.u32 %a, %a, %b;\nst.global.u32 [%to], %a;\nret;\n}\n");
  Buffer<unsigned> to(std::vector<unsigned>{0});
  struct {
    unsigned char a = 7;
    CUdeviceptr to;
    unsigned b = 1000;
  } arguments;
  arguments.to = to.p;
  size_t size = 20;
  const auto launch = [&](void** params, std::initializer_list<void*> list) {
    std::vector<void*> extra(list);
    return cuLaunchKernel(module.get("sum"), 1, 1, 1, 1, 1, 1, 0, nullptr, params, extra.data());
  };
  void* const kBuffer = CU_LAUNCH_PARAM_BUFFER_POINTER;
  void* const kSize = CU_LAUNCH_PARAM_BUFFER_SIZE;
  void* const kEnd = CU_LAUNCH_PARAM_END;
  CHECK_STATUS(launch(nullptr, {kBuffer, &arguments, kSize, &size, kEnd}), CUDA_SUCCESS);
  CHECK(to.get()[0] == 1007);
  arguments.a = 8;
  size = sizeof arguments;   // with the padding at its end
  CHECK_STATUS(launch(nullptr, {kSize, &size, kBuffer, &arguments, kEnd}), CUDA_SUCCESS);
  CHECK(to.get()[0] == 1008);

  void* params[] = {&arguments.a, &arguments.to, &arguments.b};
  CHECK_STATUS(launch(params, {kBuffer, &arguments, kSize, &size, kEnd}), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(launch(nullptr, {kBuffer, &arguments, kEnd}), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(launch(nullptr, {kSize, &size, kEnd}), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(launch(nullptr, {kEnd}), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(launch(nullptr, {kBuffer, &arguments, kSize, &size, kSize, &size}), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(launch(nullptr, {reinterpret_cast<void*>(5), &size, kEnd}), CUDA_ERROR_INVALID_VALUE);
  size = 19;
  CHECK_STATUS(launch(nullptr, {kBuffer, &arguments, kSize, &size, kEnd}), CUDA_ERROR_INVALID_VALUE);
  check(
      std::string(spectralCpuLastError()) == "the kernel takes 20 bytes of arguments, not 19", spectralCpuLastError());
}

// More than the 4 KB of older versions of PTX, in a launch that runs at once and in a captured one.
TEST_GROUP(large_arguments) {
  const auto text = [](size_t bytes) {
    std::string ptx = ".version 8.4\n.target sm_80\n.address_size 64\n.visible .entry last(.param .u64 to, ";
    ptx += ".param .align 4 .b8 values[" + std::to_string(bytes) + "])\n{\n.reg .b64 %to;\n.reg .b32 %v;\n";
    ptx += "ld.param.u64 %to, [to];\ncvta.to.global.u64 %to, %to;\nld.param.u32 %v, [values+";
    return ptx + std::to_string(bytes - 4) + "];\nst.global.u32 [%to], %v;\nret;\n}\n";
  };
  constexpr size_t kMost = 32764 - 8;
  const PtxModule module(text(kMost));
  Buffer<unsigned> to(std::vector<unsigned>{0});
  std::vector<unsigned> values(kMost / 4);
  void* params[] = {&to.p, values.data()};
  const auto launch = [&](CUstream stream) {
    return cuLaunchKernel(module.get("last"), 1, 1, 1, 1, 1, 1, 0, stream, params, nullptr);
  };
  values.back() = 7;
  CHECK_STATUS(launch(nullptr), CUDA_SUCCESS);
  CHECK(to.get()[0] == 7);

  CUstream stream = nullptr;
  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  CU(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  values.back() = 8;
  CHECK_STATUS(launch(stream), CUDA_SUCCESS);
  CU(cuStreamEndCapture(stream, &graph));
  values.back() = 9;
  CU(cuGraphInstantiateWithFlags(&exec, graph, 0));
  CU(cuGraphLaunch(exec, stream));
  CU(cuStreamSynchronize(stream));
  CHECK(to.get()[0] == 8);
  CU(cuGraphExecDestroy(exec));
  CU(cuGraphDestroy(graph));
  CU(cuStreamDestroy(stream));

  CUmodule larger = nullptr;
  CHECK_STATUS(cuModuleLoadData(&larger, text(kMost + 4).c_str()), CUDA_ERROR_INVALID_PTX);
}

// Each thread loads modules of its own, whose kernels have equal names, and launches them while the others' are loaded.
TEST_GROUP(modules_in_threads) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 25;
  CUcontext context = nullptr;
  CU(cuCtxGetCurrent(&context));
  std::barrier loaded(kThreads);
  int wrong[kThreads] = {};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      cuCtxSetCurrent(context);
      for (int round = 0; round < kRounds; ++round) {
        const int value = t * kRounds + round;
        CUmodule module = nullptr;
        CUfunction f = nullptr;
        CUdeviceptr to = 0;
        int found = -1;
        void* params[] = {&to};
        bool ok = !cuModuleLoadData(&module, storing_ptx("same", value).c_str()) && !cuMemAlloc(&to, sizeof found);
        loaded.arrive_and_wait();
        ok = ok && !cuModuleGetFunction(&f, module, "same") &&
             !cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr) &&
             !cuMemcpyDtoH(&found, to, sizeof found) && !cuMemFree(to) && !cuModuleUnload(module);
        wrong[t] += !ok || found != value;
      }
    });
  for (std::thread& t : threads)
    t.join();
  for (int n : wrong)
    check(n == 0, std::to_string(n) + " modules of a thread gave another's value");
}
