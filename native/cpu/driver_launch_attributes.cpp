// Launches with attributes.
#include "driver.h"

using namespace spectral::cpu;

namespace {
CUresult refuse(CUresult status, const char* reason) {
  set_error(reason);
  return status;
}
// A kernel's cluster is fixed when it is compiled, as neighbours along x.
CUresult check_cluster(CUfunction f, const CUlaunchAttributeValue& v) {
  f = launched(f);
  if (!functions.has(f))
    return CUDA_ERROR_INVALID_HANDLE;
  const auto& wanted = v.clusterDim;
  if (!wanted.x || !wanted.y || !wanted.z)
    return CUDA_ERROR_INVALID_CLUSTER_SIZE;
  if (wanted.x == f->info.cluster && wanted.y == 1 && wanted.z == 1)
    return CUDA_SUCCESS;
  if (f->info.cluster > 1)
    return refuse(CUDA_ERROR_INVALID_CLUSTER_SIZE, "the kernel was compiled for clusters of another size");
  return refuse(CUDA_ERROR_NOT_SUPPORTED, "the CPU device takes the size of clusters from the kernel, not its launch");
}
CUresult check(CUfunction f, const CUlaunchAttribute& a) {
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
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION: return check_cluster(f, a.value);
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
  for (unsigned i = 0; i < c->numAttrs; ++i)
    SPECTRAL_TRY(check(f, c->attrs[i]));
  SPECTRAL_TRY(cuLaunchKernel(
      f,
      c->gridDimX,
      c->gridDimY,
      c->gridDimZ,
      c->blockDimX,
      c->blockDimY,
      c->blockDimZ,
      c->sharedMemBytes,
      c->hStream,
      params,
      extra));
  for (unsigned i = 0; i < c->numAttrs; ++i)
    SPECTRAL_TRY(record(c->attrs[i], c->hStream));
  return CUDA_SUCCESS;
}
}
