// Host functions in a stream's order, and what events have beyond being recorded.
#include "capture.h"

using namespace spectral::cpu;

extern "C" {
CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void* data) {
  SPECTRAL_TRY(check_stream(stream));
  if (!function)
    return CUDA_ERROR_INVALID_VALUE;
  return submit(stream, [=] {
    function(data);
    return CUDA_SUCCESS;
  });
}
// Other than a host function, a callback is never part of a graph.
CUresult cuStreamAddCallback(CUstream stream, CUstreamCallback callback, void* data, unsigned flags) {
  SPECTRAL_TRY(check_stream(stream));
  if (!callback || flags)
    return CUDA_ERROR_INVALID_VALUE;
  SPECTRAL_TRY(check_waits(stream));
  return submit(stream, [=] {
    callback(stream, CUDA_SUCCESS, data);
    return CUDA_SUCCESS;
  });
}

CUresult cuEventRecordWithFlags(CUevent e, CUstream stream, unsigned flags) {
  SPECTRAL_TRY(check_stream(stream));
  if (!flags)
    return cuEventRecord(e, stream);
  if (flags > 1 || !capturing(stream))
    return CUDA_ERROR_INVALID_VALUE;
  set_error("cuEventRecordWithFlags: graphs on the CPU device record no events");
  return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult cuEventElapsedTime_v2(float* milliseconds, CUevent from, CUevent to) {
  return cuEventElapsedTime(milliseconds, from, to);
}
// All work of the context is waited for, here and now: more than is asked, and no stream is left out.
CUresult cuCtxRecordEvent(CUcontext c, CUevent e) {
  SPECTRAL_TRY(check_event(e));
  if (!is_live(c))
    return CUDA_ERROR_INVALID_CONTEXT;
  if (e->context != c)
    return CUDA_ERROR_INVALID_HANDLE;
  SPECTRAL_TRY(cuCtxPushCurrent(c));
  const CUresult waited = cuCtxSynchronize();
  const CUresult recorded = waited ? waited : cuEventRecord(e, nullptr);
  cuCtxPopCurrent(nullptr);
  return recorded;
}
CUresult cuCtxWaitEvent(CUcontext c, CUevent e) {
  SPECTRAL_TRY(check_event(e));
  return is_live(c) ? cuEventSynchronize(e) : CUDA_ERROR_INVALID_CONTEXT;
}
}
