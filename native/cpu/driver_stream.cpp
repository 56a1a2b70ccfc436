// Streams and events. Work is done when its call returns, so a stream only has to be valid; an event is a time.
#include "capture.h"

namespace spectral::cpu {
CUresult check_stream(CUstream s) {
  SPECTRAL_TRY(check_context());
  const auto value = reinterpret_cast<uintptr_t>(s);   // 1, 2: the built-in legacy and per-thread streams
  return value <= 2 || streams.has(s) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}
CUresult check_event(CUevent e) {
  SPECTRAL_TRY(check_context());
  return events.has(e) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}
}   // namespace spectral::cpu

using namespace spectral::cpu;

extern "C" {
CUresult cuStreamCreate(CUstream* s, unsigned flags) {
  SPECTRAL_TRY(check_context());
  if (!s || flags & ~unsigned(CU_STREAM_NON_BLOCKING))
    return CUDA_ERROR_INVALID_VALUE;
  static std::atomic<unsigned long long> last_id{2};   // of the built-in streams
  *s = streams.add(new CUstream_st{current_context(), bool(flags & CU_STREAM_NON_BLOCKING), ++last_id});
  return CUDA_SUCCESS;
}
CUresult cuStreamSynchronize(CUstream s) {
  SPECTRAL_TRY(check_stream(s));
  SPECTRAL_TRY(check_waits(s));
  return verify_guards();
}
CUresult cuStreamQuery(CUstream s) {
  SPECTRAL_TRY(check_stream(s));
  return check_waits(s);
}
CUresult cuStreamWaitEvent(CUstream s, CUevent e, unsigned flags) {
  SPECTRAL_TRY(check_stream(s));
  SPECTRAL_TRY(check_event(e));
  if (flags > 1)
    return CUDA_ERROR_INVALID_VALUE;
  return e->captured && !capturing(s) ? CUDA_ERROR_NOT_SUPPORTED
                                      : CUDA_SUCCESS;   // on a GPU it would make this stream part of the capture
}
CUresult cuStreamDestroy(CUstream s) {
  SPECTRAL_TRY(check_initialised());
  if (!streams.remove(s))
    return CUDA_ERROR_INVALID_HANDLE;
  delete s;
  return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent* e, unsigned flags) {
  SPECTRAL_TRY(check_context());
  if (!e || flags & ~7u)
    return CUDA_ERROR_INVALID_VALUE;
  *e = events.add(new CUevent_st{current_context(), !(flags & CU_EVENT_DISABLE_TIMING), false, false, {}});
  return CUDA_SUCCESS;
}
CUresult cuEventRecord(CUevent e, CUstream s) {
  SPECTRAL_TRY(check_stream(s));
  SPECTRAL_TRY(check_event(e));
  e->captured = capturing(s);   // then it would only order work, and a capture is one stream, in order anyway
  e->recorded = !e->captured;
  e->at = std::chrono::steady_clock::now();
  return CUDA_SUCCESS;
}
CUresult cuEventSynchronize(CUevent e) {
  SPECTRAL_TRY(check_event(e));
  return e->captured ? CUDA_ERROR_CAPTURED_EVENT : CUDA_SUCCESS;
}
CUresult cuEventQuery(CUevent e) { return cuEventSynchronize(e); }   // an event never recorded counts as complete
CUresult cuEventElapsedTime(float* milliseconds, CUevent from, CUevent to) {
  SPECTRAL_TRY(check_event(from));
  SPECTRAL_TRY(check_event(to));
  if (!milliseconds)
    return CUDA_ERROR_INVALID_VALUE;
  if (!from->recorded || !to->recorded || !from->timing || !to->timing)
    return CUDA_ERROR_INVALID_HANDLE;
  *milliseconds = std::chrono::duration<float, std::milli>(to->at - from->at).count();
  return CUDA_SUCCESS;
}
CUresult cuEventDestroy(CUevent e) {
  SPECTRAL_TRY(check_initialised());
  if (!events.remove(e))
    return CUDA_ERROR_INVALID_HANDLE;
  delete e;
  return CUDA_SUCCESS;
}
}
