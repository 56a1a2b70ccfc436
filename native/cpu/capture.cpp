#include "capture.h"
#include "options.h"
#include <algorithm>
#include <map>
#include <thread>

namespace spectral::cpu {
struct Capture {
  CUstreamCaptureMode mode;
  std::thread::id thread;
  CUstream origin;
  bool invalidated = false;
  std::unique_ptr<CUgraph_st> graph;
  std::map<CUstream, std::vector<size_t>> last;   // by stream of the capture: the nodes its next one comes after
};

namespace {
std::mutex mutex;   // guards the captures
std::map<CUstream, std::shared_ptr<Capture>> captures;

thread_local CUstreamCaptureMode thread_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;   // which captures concern the thread

bool forbids(const Capture& c) {
  const bool own = c.thread == std::this_thread::get_id();
  if (thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED || (thread_mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL && !own))
    return false;
  return c.mode == CU_STREAM_CAPTURE_MODE_GLOBAL || (c.mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL && own);
}
void end(const std::shared_ptr<Capture>& c) {
  std::erase_if(captures, [&](const auto& entry) { return entry.second == c; });
}
// Every node comes before the last ones of the stream that the capture began in.
bool is_joined(const Capture& c) {
  std::vector<bool> before(c.graph->nodes.size());
  for (size_t n : c.last.at(c.origin))
    before[n] = true;
  for (size_t n = before.size(); n-- > 0;)
    if (before[n])
      for (size_t earlier : c.graph->nodes[n].after)
        before[earlier] = true;
  return std::find(before.begin(), before.end(), false) == before.end();
}
CUresult invalidate(Capture& c, CUresult status) {
  c.invalidated = true;
  return status;
}
}   // namespace

bool capturing(CUstream s) {
  std::lock_guard l(mutex);
  return captures.count(s);
}
CUresult check_work(CUstream s, bool* keep) {
  std::lock_guard l(mutex);
  const auto found = captures.find(s);
  *keep = found != captures.end() || options.async;
  if (found != captures.end())
    return found->second->invalidated ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS;
  // The default stream waits for every stream that was not made to ignore it, and a captured one cannot be waited for.
  if (reinterpret_cast<uintptr_t>(s) <= 1)
    for (auto& [stream, capture] : captures)
      if (stream->context == current_context() && !stream->non_blocking)
        return invalidate(*capture, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  return CUDA_SUCCESS;
}
void keep(CUstream s, std::function<CUresult()> work, HostRange host) {
  {
    std::lock_guard l(mutex);
    if (const auto found = captures.find(s); found != captures.end()) {
      Capture& c = *found->second;
      c.graph->nodes.push_back({std::move(work), c.last[s]});
      c.last[s] = {c.graph->nodes.size() - 1};
      return;
    }
  }
  enqueue(s, std::move(work), host);
}
CUresult submit(CUstream s, std::function<CUresult()> work, HostRange host) {
  bool kept;
  SPECTRAL_TRY(check_work(s, &kept));
  if (!kept)
    return work();
  keep(s, std::move(work), host);
  return CUDA_SUCCESS;
}
CUresult check_waits(CUstream s) {
  std::lock_guard l(mutex);
  const auto found = captures.find(s);
  return found == captures.end() ? CUDA_SUCCESS : invalidate(*found->second, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}
CUresult check_unsafe() {
  std::lock_guard l(mutex);
  CUresult status = CUDA_SUCCESS;
  for (auto& [stream, capture] : captures)
    if (stream->context == current_context() && forbids(*capture))
      status = invalidate(*capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  return status;
}
std::shared_ptr<CaptureMark> mark_of(CUstream s) {
  std::lock_guard l(mutex);
  const auto found = captures.find(s);
  if (found == captures.end())
    return nullptr;
  return std::make_shared<CaptureMark>(CaptureMark{found->second, found->second->last[s]});
}
CUresult join(CUstream s, const std::shared_ptr<CaptureMark>& mark) {
  std::lock_guard l(mutex);
  const auto found = captures.find(s);
  const std::shared_ptr<Capture> own = found == captures.end() ? nullptr : found->second;
  const std::shared_ptr<Capture> other = mark ? mark->capture.lock() : nullptr;
  if (!other)   // outside, or in a capture that has ended
    return own ? invalidate(*own, CUDA_ERROR_STREAM_CAPTURE_ISOLATION) : CUDA_ERROR_CAPTURED_EVENT;
  if (other->invalidated || (own && own->invalidated))
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (own && own != other) {
    invalidate(*other, CUDA_SUCCESS);
    return invalidate(*own, CUDA_ERROR_STREAM_CAPTURE_MERGE);
  }
  if (reinterpret_cast<uintptr_t>(s) <= 2)
    return invalidate(*other, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  captures[s] = other;
  std::vector<size_t>& last = other->last[s];
  last.insert(last.end(), mark->after.begin(), mark->after.end());
  return CUDA_SUCCESS;
}
void forget_capture(CUstream s) {
  std::lock_guard l(mutex);
  if (const auto found = captures.find(s); found != captures.end()) {
    found->second->invalidated = true;
    captures.erase(found);
  }
}
void forget_captures(CUcontext c) {
  std::lock_guard l(mutex);
  std::erase_if(captures, [c](const auto& entry) { return entry.first->context == c; });
  forget_graphs(c);
}
}   // namespace spectral::cpu

using namespace spectral::cpu;

extern "C" {
CUresult cuStreamBeginCapture(CUstream s, CUstreamCaptureMode mode) {
  SPECTRAL_TRY(check_stream(s));
  if (reinterpret_cast<uintptr_t>(s) <= 2)
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;   // the built-in streams
  if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED)
    return CUDA_ERROR_INVALID_VALUE;
  std::lock_guard l(mutex);
  if (captures.count(s))
    return CUDA_ERROR_ILLEGAL_STATE;
  auto graph = std::make_unique<CUgraph_st>(CUgraph_st{s->context, {}});
  captures[s] =
      std::make_shared<Capture>(Capture{mode, std::this_thread::get_id(), s, false, std::move(graph), {{s, {}}}});
  return CUDA_SUCCESS;
}
CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  SPECTRAL_TRY(check_initialised());
  if (!mode || *mode < CU_STREAM_CAPTURE_MODE_GLOBAL || *mode > CU_STREAM_CAPTURE_MODE_RELAXED)
    return CUDA_ERROR_INVALID_VALUE;
  std::swap(*mode, thread_mode);
  return CUDA_SUCCESS;
}
CUresult cuStreamEndCapture(CUstream s, CUgraph* graph) {
  SPECTRAL_TRY(check_stream(s));
  if (!graph)
    return CUDA_ERROR_INVALID_VALUE;
  std::lock_guard l(mutex);
  const auto found = captures.find(s);
  if (found == captures.end())
    return CUDA_ERROR_ILLEGAL_STATE;
  const std::shared_ptr<Capture> capture = found->second;
  if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->thread != std::this_thread::get_id())
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  *graph = nullptr;
  if (s != capture->origin)
    return invalidate(*capture, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
  end(capture);
  if (capture->invalidated)
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (!is_joined(*capture))
    return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
  *graph = capture->graph.release();
  graphs.add(*graph);
  return CUDA_SUCCESS;
}
CUresult cuStreamIsCapturing(CUstream s, CUstreamCaptureStatus* status) {
  SPECTRAL_TRY(check_stream(s));
  if (!status)
    return CUDA_ERROR_INVALID_VALUE;
  std::lock_guard l(mutex);
  const auto found = captures.find(s);
  *status = CU_STREAM_CAPTURE_STATUS_NONE;
  if (found != captures.end())
    *status = found->second->invalidated ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}
}
