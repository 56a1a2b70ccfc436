// Stream capture: while a stream is being captured, the calls on it are checked and kept, with copies of their
// arguments, instead of run.
#pragma once
#include "driver.h"
#include <functional>

struct CUgraph_st {
  CUcontext context;
  std::vector<std::function<CUresult()>> nodes;
};
struct CUgraphExec_st {
  CUcontext context;
  std::vector<std::function<CUresult()>> nodes;
};

namespace spectral::cpu {
bool capturing(CUstream);
// Sets *keep if work on the stream is to be kept for a capture; an error if it may neither run nor be kept.
CUresult check_work(CUstream, bool* keep);
void keep(CUstream, std::function<CUresult()> work);
// Runs the work, or keeps it when the stream is being captured (an invalidated capture refuses it).
CUresult submit(CUstream, std::function<CUresult()> work);
// A call that waits for the stream, or asks how far it is: never part of a capture, which it ends.
CUresult check_waits(CUstream);
// For allocations, loading and copies that wait: a capture in global mode forbids them in every thread, one in
// thread-local mode in its own thread.
CUresult check_unsafe();
void forget_captures(CUcontext);
}   // namespace spectral::cpu
