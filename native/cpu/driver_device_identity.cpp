// The device's names, and its peers, of which it has none.
#include "driver.h"
#include <cstdio>
#include <cstring>

using namespace spectral::cpu;

namespace {
constexpr char kUuid[sizeof(CUuuid) + 1] = "spectral-cpu-dev";
constexpr char kBusId[] = "0000:00:00.0";   // it sits on no bus

CUresult check_device(CUdevice device) {
  SPECTRAL_TRY(check_initialised());
  return device == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
int attribute(CUdevice_attribute a) {
  int value = 0;
  cuDeviceGetAttribute(&value, a, 0);
  return value;
}
}   // namespace

extern "C" {
CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) {
  SPECTRAL_TRY(check_device(device));
  if (!uuid)
    return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(uuid->bytes, kUuid, sizeof uuid->bytes);
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) { return cuDeviceGetUuid(uuid, device); }
CUresult cuDeviceGetPCIBusId(char* text, int size, CUdevice device) {
  SPECTRAL_TRY(check_device(device));
  if (!text || size < int(sizeof kBusId))
    return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(text, kBusId, sizeof kBusId);
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetByPCIBusId(CUdevice* device, const char* text) {
  SPECTRAL_TRY(check_initialised());
  if (!device || !text)
    return CUDA_ERROR_INVALID_VALUE;
  if (std::strcmp(text, kBusId))
    return CUDA_ERROR_INVALID_DEVICE;
  *device = 0;
  return CUDA_SUCCESS;
}
CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice device) {
  SPECTRAL_TRY(check_device(device));
  if (!major || !minor)
    return CUDA_ERROR_INVALID_VALUE;
  *major = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  *minor = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetProperties(CUdevprop* p, CUdevice device) {
  SPECTRAL_TRY(check_device(device));
  if (!p)
    return CUDA_ERROR_INVALID_VALUE;
  *p = {
      attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
      {attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X),
       attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y),
       attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z)},
      {attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X),
       attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y),
       attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z)},
      attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK),
      attribute(CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY),
      attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE),
      attribute(CU_DEVICE_ATTRIBUTE_MAX_PITCH),
      attribute(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK),
      attribute(CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
      attribute(CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT)};
  return CUDA_SUCCESS;
}

CUresult cuDeviceCanAccessPeer(int* can, CUdevice device, CUdevice peer) {
  SPECTRAL_TRY(check_device(device));
  SPECTRAL_TRY(check_device(peer));
  if (!can)
    return CUDA_ERROR_INVALID_VALUE;
  *can = 0;   // a device is not its own peer
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetP2PAttribute(int* value, CUdevice_P2PAttribute a, CUdevice, CUdevice) {
  SPECTRAL_TRY(check_initialised());
  if (!value || a < CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK || a > CU_DEVICE_P2P_ATTRIBUTE_CUDA_ARRAY_ACCESS_SUPPORTED)
    return CUDA_ERROR_INVALID_VALUE;
  return CUDA_ERROR_INVALID_DEVICE;   // two devices are asked for, and there is one
}
CUresult cuDeviceGetExecAffinitySupport(int* supported, CUexecAffinityType type, CUdevice device) {
  SPECTRAL_TRY(check_device(device));
  if (!supported || type != CU_EXEC_AFFINITY_TYPE_SM_COUNT)
    return CUDA_ERROR_INVALID_VALUE;
  *supported = 0;
  return CUDA_SUCCESS;
}
CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) {
  SPECTRAL_TRY(check_context());
  if (flags)
    return CUDA_ERROR_INVALID_VALUE;
  return !is_live(peer) || peer == current_context() ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
}
CUresult cuCtxDisablePeerAccess(CUcontext peer) {
  SPECTRAL_TRY(check_context());
  return is_live(peer) ? CUDA_ERROR_PEER_ACCESS_NOT_ENABLED : CUDA_ERROR_INVALID_CONTEXT;
}
}
