// Graphs: what was captured, and its replay. Without a seed nodes run in the order they were captured in; with one, in
// an order drawn from it among those that their dependencies leave open.
#include "capture.h"
#include "options.h"
#include <algorithm>
#include <random>

namespace spectral::cpu {
namespace {
Handles<CUgraphExec_st> executables;

CUresult replay(const std::vector<GraphNode>& nodes) {
  if (!options.seed) {
    for (const GraphNode& node : nodes)
      SPECTRAL_TRY(node.work());
    return CUDA_SUCCESS;
  }
  static std::atomic<uint32_t> launches{0};
  std::mt19937 order(uint32_t(options.seed) + launches++);
  std::vector<bool> done(nodes.size());
  for (size_t left = nodes.size(); left; --left) {
    std::vector<size_t> ready;
    for (size_t n = 0; n < nodes.size(); ++n)
      if (!done[n] && std::all_of(nodes[n].after.begin(), nodes[n].after.end(), [&](size_t m) { return done[m]; }))
        ready.push_back(n);
    const size_t n = ready[order() % ready.size()];
    SPECTRAL_TRY(nodes[n].work());
    done[n] = true;
  }
  return CUDA_SUCCESS;
}
}   // namespace

Handles<CUgraph_st> graphs;

void forget_graphs(CUcontext c) {
  for (CUgraph g : graphs.of(c))
    graphs.remove(g), delete g;
  for (CUgraphExec e : executables.of(c))
    executables.remove(e), delete e;
}
}   // namespace spectral::cpu

using namespace spectral::cpu;

extern "C" {
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
  *e = executables.add(new CUgraphExec_st{g->context, std::make_shared<const std::vector<GraphNode>>(g->nodes)});
  return CUDA_SUCCESS;
}
CUresult cuGraphLaunch(CUgraphExec e, CUstream s) {
  SPECTRAL_TRY(check_stream(s));
  if (!executables.has(e))
    return CUDA_ERROR_INVALID_VALUE;
  return submit(s, [nodes = e->nodes] { return replay(*nodes); });
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
