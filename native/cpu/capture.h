// Stream capture: while a stream is being captured, the calls on it are checked and kept, with copies of their
// arguments, instead of run. Work forks to other streams, and joins again, by events.
#pragma once
#include "stream_queue.h"

namespace spectral::cpu {
struct GraphNode {
  std::function<CUresult()> work;
  std::vector<size_t> after;   // nodes that run before it
};
struct Capture;
struct CaptureMark {   // an event in a capture
  std::weak_ptr<Capture> capture;
  std::vector<size_t> after;   // the nodes that it stands for
};

bool capturing(CUstream);
// Sets *keep if work on the stream is to be kept, for its capture or, with asynchronous streams, until it is waited
// for; an error if it may neither run nor be kept.
CUresult check_work(CUstream, bool* keep);
void keep(CUstream, std::function<CUresult()> work, HostRange = {});
// Runs the work, or keeps it.
CUresult submit(CUstream, std::function<CUresult()> work, HostRange = {});
// A call that waits for the stream, or asks how far it is: never part of a capture, which it ends.
CUresult check_waits(CUstream);
// For allocations, loading and copies that wait: a capture in global mode forbids them in every thread, one in
// thread-local mode in its own thread.
CUresult check_unsafe();
// What an event in the stream stands for; none if the stream is not being captured.
std::shared_ptr<CaptureMark> mark_of(CUstream);
// The stream waits for the mark: inside a capture, or to become part of one. `mark` is none for an event outside.
CUresult join(CUstream, const std::shared_ptr<CaptureMark>& mark);
void forget_capture(CUstream);
void forget_captures(CUcontext);   // and graphs
}   // namespace spectral::cpu

struct CUgraph_st {
  CUcontext context;
  std::vector<spectral::cpu::GraphNode> nodes;
};
struct CUgraphExec_st {
  CUcontext context;
  std::shared_ptr<const std::vector<spectral::cpu::GraphNode>> nodes;   // a launch may outlive the handle
};

namespace spectral::cpu {
extern Handles<CUgraph_st> graphs;
void forget_graphs(CUcontext);
}   // namespace spectral::cpu
