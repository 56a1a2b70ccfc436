// What loaders ask of streams, events, functions and libraries.
#include "../cpu/loader_api.h"
#include "host.h"

namespace {
struct NothingArgs {
  int unused = 0;
};
struct Told {
  int calls = 0;
  CUstream stream = nullptr;
  CUresult status = CUDA_ERROR_UNKNOWN;
};

void streams() {
  CUstream s = nullptr;
  CUstream other = nullptr;
  CUcontext context = nullptr;
  CUcontext now = nullptr;
  CUgreenCtx green = reinterpret_cast<CUgreenCtx>(&s);
  CUdevice device = -1;
  unsigned flags = 99;
  int priority = 99;
  unsigned long long id = 0;
  unsigned long long another = 0;
  const auto wrong = reinterpret_cast<CUstream>(&s);
  CHECK_STATUS(cuStreamCreateWithPriority(&s, 2, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, -7), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamCreate(&other, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamGetPriority(s, &priority), CUDA_SUCCESS);
  CHECK(priority == 0);
  CHECK_STATUS(cuStreamGetPriority(wrong, &priority), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuStreamGetPriority(s, nullptr), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuStreamGetFlags(s, &flags), CUDA_SUCCESS);
  CHECK(flags == CU_STREAM_NON_BLOCKING);
  CHECK_STATUS(cuStreamGetFlags(nullptr, &flags), CUDA_SUCCESS);
  CHECK(flags == CU_STREAM_DEFAULT);
  CHECK_STATUS(cuStreamGetId(s, &id), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamGetId(other, &another), CUDA_SUCCESS);
  CHECK(id != another && id > 2);
  CHECK_STATUS(cuCtxGetCurrent(&now), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamGetCtx(s, &context), CUDA_SUCCESS);
  CHECK(context == now);
  CHECK_STATUS(cuStreamGetCtx_v2(CU_STREAM_LEGACY, &context, &green), CUDA_SUCCESS);
  CHECK(context == now && !green);
  CHECK_STATUS(cuStreamGetCtx(s, nullptr), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuStreamGetDevice(s, &device), CUDA_SUCCESS);
  CHECK(device == 0);

  CUstreamAttrValue value{};
  value.priority = -3;
  CHECK_STATUS(cuStreamSetAttribute(s, CU_LAUNCH_ATTRIBUTE_PRIORITY, &value), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamSetAttribute(s, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &value), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuStreamCopyAttributes(other, s), CUDA_SUCCESS);
  value.priority = 0;
  CHECK_STATUS(cuStreamGetAttribute(other, CU_LAUNCH_ATTRIBUTE_PRIORITY, &value), CUDA_SUCCESS);
  CHECK(value.priority == -3);
  CHECK_STATUS(cuStreamGetAttribute(other, CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN, &value), CUDA_SUCCESS);
  CHECK(value.priority == 0);
  CHECK_STATUS(cuStreamGetAttribute(other, CUstreamAttrID(77), &value), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuStreamCopyAttributes(other, nullptr), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuStreamDestroy(s), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamDestroy(other), CUDA_SUCCESS);
}

void host_functions() {
  CUstream s = nullptr;
  Told told;
  const auto tell = [](CUstream stream, CUresult status, void* data) {
    auto& t = *static_cast<Told*>(data);
    ++t.calls;
    t.stream = stream;
    t.status = status;
  };
  const auto count = [](void* data) { ++static_cast<Told*>(data)->calls; };
  CHECK_STATUS(cuStreamCreate(&s, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamAddCallback(s, tell, &told, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamSynchronize(s), CUDA_SUCCESS);
  CHECK(told.calls == 1 && told.stream == s && told.status == CUDA_SUCCESS);
  CHECK_STATUS(cuStreamAddCallback(s, tell, &told, 1), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuStreamAddCallback(s, nullptr, &told, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuLaunchHostFunc(s, count, &told), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamSynchronize(s), CUDA_SUCCESS);
  CHECK(told.calls == 2);
  CHECK_STATUS(cuLaunchHostFunc(s, nullptr, &told), CUDA_ERROR_INVALID_VALUE);

  CUgraph graph = nullptr;   // a host function is kept for a graph, a callback is not
  CUgraphExec executable = nullptr;
  CHECK_STATUS(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  CHECK_STATUS(cuLaunchHostFunc(s, count, &told), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamEndCapture(s, &graph), CUDA_SUCCESS);
  CHECK(told.calls == 2);
  CHECK_STATUS(cuGraphInstantiateWithFlags(&executable, graph, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuGraphLaunch(executable, s), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamSynchronize(s), CUDA_SUCCESS);
  CHECK(told.calls == 3);
  CHECK_STATUS(cuGraphExecDestroy(executable), CUDA_SUCCESS);
  CHECK_STATUS(cuGraphDestroy(graph), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamAddCallback(s, tell, &told, 0), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CHECK_STATUS(cuStreamEndCapture(s, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  CHECK(told.calls == 3);
  CHECK_STATUS(cuStreamDestroy(s), CUDA_SUCCESS);
}

void events() {
  CUevent a = nullptr;
  CUevent b = nullptr;
  CUcontext now = nullptr;
  float ms = -1;
  CHECK_STATUS(cuEventCreate(&a, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuEventCreate(&b, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuEventRecordWithFlags(a, nullptr, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuEventRecordWithFlags(a, nullptr, 1), CUDA_ERROR_INVALID_VALUE);   // external: while capturing only
  CHECK_STATUS(cuEventRecordWithFlags(a, nullptr, 2), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuCtxGetCurrent(&now), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxRecordEvent(now, b), CUDA_SUCCESS);
  CHECK_STATUS(cuEventSynchronize(b), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxWaitEvent(now, b), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxWaitEvent(nullptr, b), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_STATUS(cuEventElapsedTime_v2(&ms, a, b), CUDA_SUCCESS);
  CHECK(ms >= 0);
  CHECK_STATUS(cuEventElapsedTime_v2(nullptr, a, b), CUDA_ERROR_INVALID_VALUE);
  CUcontext other = nullptr;
  CHECK_STATUS(cuCtxCreate(&other, 0, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxRecordEvent(other, b), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuCtxRecordEvent(now, b), CUDA_SUCCESS);   // of the context that is not current
  CHECK_STATUS(cuCtxDestroy(other), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxRecordEvent(other, b), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_STATUS(cuEventDestroy(a), CUDA_SUCCESS);
  CHECK_STATUS(cuEventDestroy(b), CUDA_SUCCESS);
}

void functions() {
  const CUfunction f = kernel("nothing");
  const auto wrong = reinterpret_cast<CUfunction>(&tally);
  CUmoduleLoadingMode mode = CU_MODULE_LAZY_LOADING;
  CUfunctionLoadingState state = CU_FUNCTION_LOADING_STATE_UNLOADED;
  CUmodule m = nullptr;
  const char* name = nullptr;
  unsigned count = 0;
  CHECK_STATUS(cuModuleGetLoadingMode(&mode), CUDA_SUCCESS);
  CHECK(mode == CU_MODULE_EAGER_LOADING);
  CHECK_STATUS(cuModuleGetLoadingMode(nullptr), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuFuncGetModule(&m, f), CUDA_SUCCESS);
  CHECK(m == test_module);
  CHECK_STATUS(cuFuncGetModule(&m, wrong), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuFuncGetName(&name, f), CUDA_SUCCESS);
  CHECK(std::string(name) == "nothing");
  CHECK_STATUS(cuFuncIsLoaded(&state, f), CUDA_SUCCESS);
  CHECK(state == CU_FUNCTION_LOADING_STATE_LOADED);
  CHECK_STATUS(cuFuncLoad(f), CUDA_SUCCESS);
  CHECK_STATUS(cuFuncLoad(wrong), CUDA_ERROR_INVALID_HANDLE);
  int value = 9;
  CHECK_STATUS(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, f), CUDA_SUCCESS);
  CHECK(value == -1);
  CHECK_STATUS(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH, f), CUDA_SUCCESS);
  CHECK(value == 0);   // none is required
  CHECK_STATUS(cuFuncGetAttribute(&value, CUfunction_attribute(16), f), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuFuncSetCacheConfig(f, CU_FUNC_CACHE_PREFER_EQUAL), CUDA_SUCCESS);
  CHECK_STATUS(cuFuncSetCacheConfig(f, CUfunc_cache(9)), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuFuncSetSharedMemConfig(f, CUsharedconfig(-1)), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuFuncSetSharedMemConfig(f, CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE), CUDA_SUCCESS);
  CHECK_STATUS(cuModuleGetFunctionCount(&count, test_module), CUDA_SUCCESS);
  std::vector<CUfunction> all(count + 1, nullptr);
  CHECK_STATUS(cuModuleEnumerateFunctions(all.data(), count + 1, test_module), CUDA_SUCCESS);
  CHECK(count > 1 && all[count - 1] && !all[count]);
  CHECK_STATUS(cuModuleEnumerateFunctions(all.data(), 0, test_module), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuModuleGetFunctionCount(&count, reinterpret_cast<CUmodule>(&m)), CUDA_ERROR_INVALID_HANDLE);
}

void launch_attributes() {
  NothingArgs args;
  void* params[] = {&args};
  CUevent done = nullptr;
  CHECK_STATUS(cuEventCreate(&done, CU_EVENT_DISABLE_TIMING), CUDA_SUCCESS);
  CUlaunchAttribute a{};
  CUlaunchConfig c{1, 1, 1, 32, 1, 1, 0, nullptr, &a, 1};
  const CUfunction f = kernel("nothing");
  const auto with = [&](CUlaunchAttributeID id) {
    a.id = id;
    return cuLaunchKernelEx(&c, f, params, nullptr);
  };
  CHECK_STATUS(with(CU_LAUNCH_ATTRIBUTE_IGNORE), CUDA_SUCCESS);
  CHECK_STATUS(with(CU_LAUNCH_ATTRIBUTE_COOPERATIVE), CUDA_SUCCESS);   // 0: it is not
  a.value.cooperative = 1;
  CHECK_STATUS(with(CU_LAUNCH_ATTRIBUTE_COOPERATIVE), CUDA_ERROR_NOT_SUPPORTED);
  CHECK_STATUS(with(CU_LAUNCH_ATTRIBUTE_PRIORITY), CUDA_SUCCESS);
  CHECK_STATUS(with(CUlaunchAttributeID(99)), CUDA_ERROR_INVALID_VALUE);
  a.value.clusterDim = {1, 1, 1};
  CHECK_STATUS(with(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION), CUDA_SUCCESS);
  a.value.clusterDim = {2, 1, 1};
  CHECK_STATUS(with(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION), CUDA_ERROR_NOT_SUPPORTED);
  CHECK(*spectralCpuLastError());
  a.value.clusterDim = {0, 1, 1};
  CHECK_STATUS(with(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION), CUDA_ERROR_INVALID_CLUSTER_SIZE);
  a.value = {};
  CHECK_STATUS(with(CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT), CUDA_ERROR_INVALID_HANDLE);
  a.value.launchCompletionEvent.event = done;
  CHECK_STATUS(with(CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT), CUDA_SUCCESS);
  CHECK_STATUS(cuEventSynchronize(done), CUDA_SUCCESS);
  CHECK_STATUS(cuLaunchKernelEx(nullptr, f, params, nullptr), CUDA_ERROR_INVALID_VALUE);
  c.attrs = nullptr;
  CHECK_STATUS(cuLaunchKernelEx(&c, f, params, nullptr), CUDA_ERROR_INVALID_VALUE);
  c.numAttrs = 0;
  c.blockDimX = 2048;
  CHECK_STATUS(cuLaunchKernelEx(&c, f, params, nullptr), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuEventDestroy(done), CUDA_SUCCESS);
}
}   // namespace

TEST_GROUP(loader_streams) {
  streams();
  host_functions();
  events();
  functions();
  launch_attributes();
}
