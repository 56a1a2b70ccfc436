// Streams and events. Where calls are synchronous, a stream only has to be valid, and an event is a time.
#include "capture.h"
#include "options.h"

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

namespace {
// How far work is. Callers ask until it is done, so each time some of it runs.
CUresult ask(const StreamPoint& p) {
  progress();
  if (!reached(p))
    return CUDA_ERROR_NOT_READY;
  return finish(p);
}
}   // namespace

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
  SPECTRAL_TRY(finish(s));
  return verify_guards();
}
CUresult cuStreamQuery(CUstream s) {
  SPECTRAL_TRY(check_stream(s));
  SPECTRAL_TRY(check_waits(s));
  return options.async ? ask(point_of(s)) : CUDA_SUCCESS;
}
CUresult cuStreamWaitEvent(CUstream s, CUevent e, unsigned flags) {
  SPECTRAL_TRY(check_stream(s));
  SPECTRAL_TRY(check_event(e));
  if (flags > 1)
    return CUDA_ERROR_INVALID_VALUE;
  if (!e->mark && !e->captured)
    return CUDA_SUCCESS;   // never recorded
  if (e->captured || capturing(s))
    return join(s, e->captured);
  if (!reached(e->mark->point))
    wait_for(s, e->mark->point);
  return CUDA_SUCCESS;
}
CUresult cuStreamDestroy(CUstream s) {
  SPECTRAL_TRY(check_initialised());
  if (!streams.remove(s))
    return CUDA_ERROR_INVALID_HANDLE;
  forget_capture(s);
  forget_stream(s);
  delete s;
  return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent* e, unsigned flags) {
  SPECTRAL_TRY(check_context());
  if (!e || flags & ~7u)
    return CUDA_ERROR_INVALID_VALUE;
  *e = events.add(new CUevent_st{current_context(), !(flags & CU_EVENT_DISABLE_TIMING), nullptr, nullptr});
  return CUDA_SUCCESS;
}
CUresult cuEventRecord(CUevent e, CUstream s) {
  SPECTRAL_TRY(check_stream(s));
  SPECTRAL_TRY(check_event(e));
  if (auto captured = mark_of(s)) {
    e->captured = std::move(captured);
    e->mark = nullptr;
    return CUDA_SUCCESS;
  }
  auto mark = std::make_shared<EventMark>();
  SPECTRAL_TRY(submit(s, [mark] {
    mark->at = std::chrono::steady_clock::now();
    return CUDA_SUCCESS;
  }));
  if (options.async)
    mark->point = point_of(s);
  e->captured = nullptr;
  e->mark = std::move(mark);
  return CUDA_SUCCESS;
}
CUresult cuEventSynchronize(CUevent e) {
  SPECTRAL_TRY(check_event(e));
  if (e->captured)
    return CUDA_ERROR_CAPTURED_EVENT;
  return e->mark ? finish(e->mark->point) : CUDA_SUCCESS;
}
CUresult cuEventQuery(CUevent e) {
  SPECTRAL_TRY(check_event(e));
  if (e->captured)
    return CUDA_ERROR_CAPTURED_EVENT;
  return e->mark ? ask(e->mark->point) : CUDA_SUCCESS;   // an event never recorded counts as complete
}
CUresult cuEventElapsedTime(float* milliseconds, CUevent from, CUevent to) {
  SPECTRAL_TRY(check_event(from));
  SPECTRAL_TRY(check_event(to));
  if (!milliseconds)
    return CUDA_ERROR_INVALID_VALUE;
  if (!from->mark || !to->mark || !from->timing || !to->timing)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!reached(from->mark->point) || !reached(to->mark->point))
    return CUDA_ERROR_NOT_READY;
  *milliseconds = std::chrono::duration<float, std::milli>(to->mark->at - from->mark->at).count();
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
