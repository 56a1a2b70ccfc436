// Launches with attributes.
#include "driver.h"

using namespace spectral::cpu;

namespace {
CUresult refuse(CUresult status, const char* reason) {
  set_error(reason);
  return status;
}
CUresult apply(const CUlaunchAttribute& a, LaunchShape& shape) {
  switch (a.id) {
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:   // hints, up to the events
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
    case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN: return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT: return check_event(a.value.programmaticEvent.event);
    case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT: return check_event(a.value.launchCompletionEvent.event);
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
      shape.cluster = {a.value.clusterDim.x, a.value.clusterDim.y, a.value.clusterDim.z};
      shape.is_cluster_stated = true;
      return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
      return a.value.cooperative
                 ? refuse(CUDA_ERROR_NOT_SUPPORTED, "the CPU device does not run all blocks of a grid at once")
                 : CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
      return refuse(CUDA_ERROR_NOT_SUPPORTED, "kernels on the CPU device do not change graphs");
    default: return CUDA_ERROR_INVALID_VALUE;
  }
}
// Events are recorded when all of the launch is done, the latest that their attributes allow.
CUresult record(const CUlaunchAttribute& a, CUstream stream) {
  if (a.id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT)
    return cuEventRecord(a.value.programmaticEvent.event, stream);
  if (a.id == CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT)
    return cuEventRecord(a.value.launchCompletionEvent.event, stream);
  return CUDA_SUCCESS;
}
}   // namespace

extern "C" {
CUresult cuLaunchKernelEx(const CUlaunchConfig* c, CUfunction f, void** params, void** extra) {
  SPECTRAL_TRY(check_context());
  if (!c || (c->numAttrs && !c->attrs))
    return CUDA_ERROR_INVALID_VALUE;
  LaunchShape shape{
      {c->gridDimX, c->gridDimY, c->gridDimZ},
      {c->blockDimX, c->blockDimY, c->blockDimZ},
      {},
      false,
      c->sharedMemBytes};
  for (unsigned i = 0; i < c->numAttrs; ++i)
    SPECTRAL_TRY(apply(c->attrs[i], shape));
  SPECTRAL_TRY(launch_kernel(f, shape, c->hStream, params, extra));
  for (unsigned i = 0; i < c->numAttrs; ++i)
    SPECTRAL_TRY(record(c->attrs[i], c->hStream));
  return CUDA_SUCCESS;
}
}
