// Capture of a stream into a graph, and replay: the kept calls one after the other, in the order they were made. One
// stream per capture: work does not fork to others by events.
#include "capture.h"
#include <map>
#include <thread>

using namespace spectral::cpu;

namespace spectral::cpu {
namespace {
struct Capture {
  CUstreamCaptureMode mode;
  std::thread::id thread;
  bool invalidated = false;
  std::unique_ptr<CUgraph_st> graph;
};
std::mutex mutex;   // guards the captures
std::map<CUstream, Capture> captures;
Handles<CUgraph_st> graphs;
Handles<CUgraphExec_st> executables;

bool forbids(const Capture& c) {
  return c.mode == CU_STREAM_CAPTURE_MODE_GLOBAL ||
         (c.mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL && c.thread == std::this_thread::get_id());
}
}   // namespace

bool capturing(CUstream s) {
  std::lock_guard l(mutex);
  return captures.count(s);
}
CUresult check_work(CUstream s, bool* keep) {
  std::lock_guard l(mutex);
  const auto found = captures.find(s);
  *keep = found != captures.end();
  if (*keep)
    return found->second.invalidated ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS;
  // The default stream waits for every stream that was not made to ignore it, and a captured one cannot be waited for.
  if (reinterpret_cast<uintptr_t>(s) <= 1)
    for (auto& [stream, capture] : captures)
      if (stream->context == current_context() && !stream->non_blocking) {
        capture.invalidated = true;
        return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
      }
  return CUDA_SUCCESS;
}
void keep(CUstream s, std::function<CUresult()> work) {
  std::lock_guard l(mutex);
  captures.at(s).graph->nodes.push_back(std::move(work));
}
CUresult submit(CUstream s, std::function<CUresult()> work) {
  bool kept;
  SPECTRAL_TRY(check_work(s, &kept));
  if (!kept)
    return work();
  keep(s, std::move(work));
  return CUDA_SUCCESS;
}
CUresult check_waits(CUstream s) {
  std::lock_guard l(mutex);
  const auto found = captures.find(s);
  if (found == captures.end())
    return CUDA_SUCCESS;
  found->second.invalidated = true;
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}
CUresult check_unsafe() {
  std::lock_guard l(mutex);
  CUresult status = CUDA_SUCCESS;
  for (auto& [stream, capture] : captures)
    if (stream->context == current_context() && forbids(capture)) {
      capture.invalidated = true;
      status = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
  return status;
}
void forget_captures(CUcontext c) {
  std::lock_guard l(mutex);
  for (auto i = captures.begin(); i != captures.end();)
    i = i->first->context == c ? captures.erase(i) : std::next(i);
  for (CUgraph g : graphs.of(c))
    graphs.remove(g), delete g;
  for (CUgraphExec e : executables.of(c))
    executables.remove(e), delete e;
}
}   // namespace spectral::cpu

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
  captures[s] = {mode, std::this_thread::get_id(), false, std::make_unique<CUgraph_st>(CUgraph_st{s->context, {}})};
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
  Capture& capture = found->second;
  if (capture.mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture.thread != std::this_thread::get_id())
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  const bool invalidated = capture.invalidated;
  *graph = invalidated ? nullptr : capture.graph.release();
  captures.erase(found);
  if (invalidated)
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
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
    *status = found->second.invalidated ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}

CUresult cuGraphGetNodes(CUgraph g, CUgraphNode* nodes, size_t* count) {
  SPECTRAL_TRY(check_context());
  if (!graphs.has(g))
    return CUDA_ERROR_INVALID_VALUE;
  if (!count)
    return CUDA_ERROR_INVALID_VALUE;
  if (nodes)
    return CUDA_ERROR_NOT_SUPPORTED;   // nodes have no handles here; their number is what callers ask for
  *count = g->nodes.size();
  return CUDA_SUCCESS;
}
CUresult cuGraphInstantiateWithFlags(CUgraphExec* e, CUgraph g, unsigned long long flags) {
  SPECTRAL_TRY(check_context());
  if (!e || !graphs.has(g) || flags)
    return CUDA_ERROR_INVALID_VALUE;
  *e = executables.add(new CUgraphExec_st{g->context, g->nodes});
  return CUDA_SUCCESS;
}
CUresult cuGraphLaunch(CUgraphExec e, CUstream s) {
  SPECTRAL_TRY(check_stream(s));
  if (!executables.has(e))
    return CUDA_ERROR_INVALID_VALUE;
  return submit(s, [e] {
    for (const auto& node : e->nodes)
      SPECTRAL_TRY(node());
    return CUDA_SUCCESS;
  });
}
CUresult cuGraphDestroy(CUgraph g) {
  SPECTRAL_TRY(check_initialised());
  if (!graphs.remove(g))
    return CUDA_ERROR_INVALID_VALUE;
  delete g;
  return CUDA_SUCCESS;
}
CUresult cuGraphExecDestroy(CUgraphExec e) {
  SPECTRAL_TRY(check_initialised());
  if (!executables.remove(e))
    return CUDA_ERROR_INVALID_VALUE;
  delete e;
  return CUDA_SUCCESS;
}
}
