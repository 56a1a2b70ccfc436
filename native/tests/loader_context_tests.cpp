// What loaders ask of devices, contexts and streams: the answers, and the status of each wrong question.
#include "../cpu/loader_api.h"
#include "host.h"
#include <thread>

namespace {
CUcontext current() {
  CUcontext c = nullptr;
  CHECK_STATUS(cuCtxGetCurrent(&c), CUDA_SUCCESS);
  return c;
}

void stack() {
  const CUcontext bottom = current();
  CUcontext a = nullptr;
  CUcontext b = nullptr;
  CUcontext popped = nullptr;
  CHECK_STATUS(cuCtxCreate(&a, CU_CTX_SCHED_SPIN | CU_CTX_MAP_HOST, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxCreate(&b, 0, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxPopCurrent(&popped), CUDA_SUCCESS);
  CHECK(popped == b && current() == a);
  CHECK_STATUS(cuCtxPushCurrent(b), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxPushCurrent(b), CUDA_SUCCESS);   // twice: each push is popped
  CHECK_STATUS(cuCtxPopCurrent(nullptr), CUDA_SUCCESS);
  CHECK(current() == b);
  CHECK_STATUS(cuCtxSetCurrent(bottom), CUDA_SUCCESS);   // in place of the top
  CHECK_STATUS(cuCtxPopCurrent(&popped), CUDA_SUCCESS);
  CHECK(popped == bottom && current() == a);
  CHECK_STATUS(cuCtxSetCurrent(nullptr), CUDA_SUCCESS);   // as a pop
  CHECK(current() == bottom);
  CHECK_STATUS(cuCtxPushCurrent(a), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxDestroy(a), CUDA_SUCCESS);   // pops it
  CHECK(current() == bottom);
  CHECK_STATUS(cuCtxPushCurrent(a), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_STATUS(cuCtxPushCurrent(nullptr), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_STATUS(cuCtxPushCurrent(b), CUDA_SUCCESS);
  std::thread([&] {
    CHECK_STATUS(cuCtxPopCurrent(&popped), CUDA_ERROR_INVALID_CONTEXT);   // a stack per thread
    CHECK_STATUS(cuCtxSetCurrent(nullptr), CUDA_SUCCESS);
    CHECK_STATUS(cuCtxPushCurrent(b), CUDA_SUCCESS);
    CHECK_STATUS(cuCtxDestroy(b), CUDA_SUCCESS);
  }).join();
  CHECK_STATUS(cuCtxSynchronize(), CUDA_ERROR_CONTEXT_IS_DESTROYED);   // current to another thread than its destroyer
  CHECK_STATUS(cuCtxPopCurrent(nullptr), CUDA_SUCCESS);
  CHECK(current() == bottom);
}

void creation() {
  CUcontext c = nullptr;
  CUexecAffinityParam affinity{};
  CUctxCreateParams wanted{};
  CHECK_STATUS(cuCtxCreate(&c, 0x100, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuCtxCreate(&c, CU_CTX_SCHED_SPIN | CU_CTX_SCHED_YIELD, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuCtxCreate(nullptr, 0, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuCtxCreate(&c, 0, 1), CUDA_ERROR_INVALID_DEVICE);
  CHECK_STATUS(cuCtxCreate_v3(&c, &affinity, 1, 0, 0), CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY);
  CHECK_STATUS(cuCtxCreate_v3(&c, nullptr, 1, 0, 0), CUDA_ERROR_INVALID_VALUE);
  wanted.cigParams = &affinity;
  CHECK_STATUS(cuCtxCreate_v4(&c, &wanted, 0, 0), CUDA_ERROR_NOT_SUPPORTED);
  CHECK_STATUS(cuCtxCreate_v3(&c, nullptr, 0, CU_CTX_SCHED_YIELD, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxDestroy(c), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxCreate_v4(&c, nullptr, CU_CTX_SCHED_YIELD, 0), CUDA_SUCCESS);

  unsigned flags = 0;
  unsigned version = 0;
  unsigned long long id = 0;
  unsigned long long other = 0;
  CHECK_STATUS(cuCtxGetFlags(&flags), CUDA_SUCCESS);
  CHECK(flags == CU_CTX_SCHED_YIELD);
  CHECK_STATUS(cuCtxSetFlags(0x1000), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuCtxSetFlags(CU_CTX_SCHED_SPIN), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxGetFlags(&flags), CUDA_SUCCESS);
  CHECK(flags == CU_CTX_SCHED_SPIN);
  CHECK_STATUS(cuCtxGetApiVersion(nullptr, &version), CUDA_SUCCESS);
  CHECK(version == 3020);
  CHECK_STATUS(cuCtxGetApiVersion(c, nullptr), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuCtxGetId(c, &id), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxDestroy(c), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxGetId(nullptr, &other), CUDA_SUCCESS);
  CHECK(id != other);
  CHECK_STATUS(cuCtxGetId(c, &id), CUDA_ERROR_INVALID_CONTEXT);
}

void settings() {
  size_t value = 0;
  CUfunc_cache cache = CU_FUNC_CACHE_PREFER_EQUAL;
  CUsharedconfig banks = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
  CUexecAffinityParam affinity{};
  int least = -1;
  int greatest = -1;
  CHECK_STATUS(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE), CUDA_SUCCESS);
  CHECK(value == 4096);
  CHECK_STATUS(cuCtxGetLimit(&value, CU_LIMIT_MALLOC_HEAP_SIZE), CUDA_SUCCESS);
  CHECK(value == 8 << 20);
  CHECK_STATUS(cuCtxGetLimit(&value, CUlimit(99)), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuCtxGetLimit(nullptr, CU_LIMIT_STACK_SIZE), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuCtxGetLimit(&value, CU_LIMIT_PERSISTING_L2_CACHE_SIZE), CUDA_ERROR_UNSUPPORTED_LIMIT);
  CHECK_STATUS(cuCtxSetLimit(CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH, 2), CUDA_ERROR_UNSUPPORTED_LIMIT);
  CHECK_STATUS(cuCtxSetLimit(CU_LIMIT_MAX_L2_FETCH_GRANULARITY, 129), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuCtxSetLimit(CU_LIMIT_MAX_L2_FETCH_GRANULARITY, 128), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxGetCacheConfig(&cache), CUDA_SUCCESS);
  CHECK(cache == CU_FUNC_CACHE_PREFER_NONE);
  CHECK_STATUS(cuCtxSetCacheConfig(CUfunc_cache(4)), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_EQUAL), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxGetCacheConfig(&cache), CUDA_SUCCESS);
  CHECK(cache == CU_FUNC_CACHE_PREFER_EQUAL);
  CHECK_STATUS(cuCtxSetSharedMemConfig(CUsharedconfig(3)), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuCtxSetSharedMemConfig(CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxGetSharedMemConfig(&banks), CUDA_SUCCESS);
  CHECK(banks == CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE);
  CHECK_STATUS(cuCtxGetStreamPriorityRange(&least, &greatest), CUDA_SUCCESS);
  CHECK(least == 0 && greatest == 0);
  CHECK_STATUS(cuCtxGetStreamPriorityRange(nullptr, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxGetExecAffinity(&affinity, CU_EXEC_AFFINITY_TYPE_SM_COUNT), CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY);
  CHECK_STATUS(cuCtxGetExecAffinity(nullptr, CU_EXEC_AFFINITY_TYPE_SM_COUNT), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuCtxResetPersistingL2Cache(), CUDA_SUCCESS);
  CHECK_STATUS(cuProfilerStart(), CUDA_SUCCESS);
  CHECK_STATUS(cuProfilerStop(), CUDA_SUCCESS);
}

// In a thread of its own, whose context is one of cuCtxCreate: the primary is reset.
void primary() {
  unsigned flags = 0;
  int active = 0;
  CHECK_STATUS(cuDevicePrimaryCtxGetState(0, &flags, &active), CUDA_SUCCESS);
  CHECK(active == 1);
  CHECK_STATUS(cuDevicePrimaryCtxGetState(1, &flags, &active), CUDA_ERROR_INVALID_DEVICE);
  CHECK_STATUS(cuDevicePrimaryCtxGetState(0, nullptr, &active), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuDevicePrimaryCtxSetFlags(0, 0x200), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuDevicePrimaryCtxSetFlags(2, 0), CUDA_ERROR_INVALID_DEVICE);
  CHECK_STATUS(cuDevicePrimaryCtxSetFlags(0, CU_CTX_SCHED_BLOCKING_SYNC), CUDA_SUCCESS);
  CHECK_STATUS(cuDevicePrimaryCtxGetState(0, &flags, &active), CUDA_SUCCESS);
  CHECK(flags == CU_CTX_SCHED_BLOCKING_SYNC);
  CHECK_STATUS(cuDevicePrimaryCtxSetFlags(0, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuDevicePrimaryCtxReset(1), CUDA_ERROR_INVALID_DEVICE);
}

void identity() {
  CUuuid uuid{};
  CUuuid again{};
  char bus[32];
  CUdevice device = -1;
  CUdevprop properties{};
  int value = -1;
  int major = 0;
  int minor = -1;
  CHECK_STATUS(cuDeviceGetUuid(&uuid, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuDeviceGetUuid_v2(&again, 0), CUDA_SUCCESS);
  CHECK(!std::memcmp(&uuid, &again, sizeof uuid) && uuid.bytes[0]);
  CHECK_STATUS(cuDeviceGetUuid(&uuid, 1), CUDA_ERROR_INVALID_DEVICE);
  CHECK_STATUS(cuDeviceGetUuid(nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuDeviceGetPCIBusId(bus, 12, 0), CUDA_ERROR_INVALID_VALUE);   // 12 characters and a zero
  CHECK_STATUS(cuDeviceGetPCIBusId(bus, 13, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuDeviceGetByPCIBusId(&device, bus), CUDA_SUCCESS);
  CHECK(device == 0);
  CHECK_STATUS(cuDeviceGetByPCIBusId(&device, "0000:65:00.0"), CUDA_ERROR_INVALID_DEVICE);
  CHECK_STATUS(cuDeviceComputeCapability(&major, &minor, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0), CUDA_SUCCESS);
  CHECK(major == value && minor >= 0);
  CHECK_STATUS(cuDeviceGetProperties(&properties, 0), CUDA_SUCCESS);
  CHECK(properties.maxThreadsPerBlock == 1024 && properties.SIMDWidth == 32 && properties.maxThreadsDim[2] == 64);
  CHECK_STATUS(cuDeviceGetProperties(nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuDeviceGetAttribute(&value, CUdevice_attribute(22), 0), CUDA_SUCCESS);   // of textures: none
  CHECK(value == 0);
  CHECK_STATUS(cuDeviceGetAttribute(&value, CUdevice_attribute(0), 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuDeviceCanAccessPeer(&value, 0, 0), CUDA_SUCCESS);
  CHECK(value == 0);
  CHECK_STATUS(cuDeviceCanAccessPeer(&value, 0, 1), CUDA_ERROR_INVALID_DEVICE);
  CHECK_STATUS(
      cuDeviceGetP2PAttribute(&value, CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK, 0, 0), CUDA_ERROR_INVALID_DEVICE);
  CHECK_STATUS(cuDeviceGetP2PAttribute(&value, CUdevice_P2PAttribute(7), 0, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuDeviceGetExecAffinitySupport(&value, CU_EXEC_AFFINITY_TYPE_SM_COUNT, 0), CUDA_SUCCESS);
  CHECK(value == 0);
  CUcontext peer = nullptr;
  CHECK_STATUS(cuCtxEnablePeerAccess(current(), 0), CUDA_ERROR_INVALID_CONTEXT);
  CHECK_STATUS(cuCtxCreate(&peer, 0, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxPopCurrent(&peer), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxEnablePeerAccess(peer, 1), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuCtxEnablePeerAccess(peer, 0), CUDA_ERROR_PEER_ACCESS_UNSUPPORTED);
  CHECK_STATUS(cuCtxDisablePeerAccess(peer), CUDA_ERROR_PEER_ACCESS_NOT_ENABLED);
  CHECK_STATUS(cuCtxDestroy(peer), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxDisablePeerAccess(peer), CUDA_ERROR_INVALID_CONTEXT);
}
}   // namespace

TEST_GROUP(loader_contexts) {
  CUcontext own = nullptr;   // what the tests set goes with it
  CU(cuCtxCreate(&own, 0, 0));
  stack();
  creation();
  settings();
  primary();
  identity();
  CU(cuCtxDestroy(own));
}
