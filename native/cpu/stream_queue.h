// Streams that really are asynchronous (option "async"): work that a call submits waits in its stream until something
// waits for it. Without a seed only what is waited for runs, as late as CUDA allows; with one, work also runs between
// calls, in an order drawn from it among those that the streams and events leave open. So a missing wait for an event,
// or host memory that is used again too early, shows.
#pragma once
#include "driver.h"
#include <deque>
#include <functional>

namespace spectral::cpu {
struct StreamQueue;

// A place in a stream: reached when all work submitted before it has run.
struct StreamPoint {
  std::shared_ptr<StreamQueue> queue;   // none: nothing to wait for
  uint64_t count = 0;
};
// The latest record of an event.
struct EventMark {
  StreamPoint point;
  std::chrono::steady_clock::time_point at;
};
struct HostRange {
  const void* start = nullptr;
  size_t bytes = 0;
};

void enqueue(CUstream, std::function<CUresult()> work, HostRange = {});
StreamPoint point_of(CUstream);   // all that has been submitted to it
bool reached(const StreamPoint&);
void wait_for(CUstream, const StreamPoint&);   // work that is submitted from now on
void progress();                               // runs a piece that is ready, for callers that ask again and again

// Run work until what is named is done, whatever its context; the status is the current context's failure.
CUresult finish(const StreamPoint&);
CUresult finish(CUstream);
CUresult finish_context();
void finish_all(CUcontext);   // null: of every context

void forget_stream(CUstream);                             // its work still runs
void forget_queues(CUcontext);                            // in which all is done
bool uses_host_memory(const void* start, size_t bytes);   // work that has not run
}   // namespace spectral::cpu
