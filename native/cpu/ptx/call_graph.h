// Which functions a kernel calls, and which of them cannot be expanded where they are called.
#pragma once
#include "module.h"
#include <unordered_map>

namespace spectral::cpu::ptx {
// Who calls whom, from the kernel on. Node 0 is the kernel, node 1 stands for a call by address.
class CallGraph {
 public:
  CallGraph(const Module& module, const Function& entry);
  // True for those on a way from one cycle of calls to another, or within one.
  std::vector<bool> find_cycles() const;

  std::vector<const Function*> functions;   // by node, null for node 1
  std::vector<bool> uses_stack;             // by node
  bool calls_by_address = false;

 private:
  using Edges = std::vector<std::vector<size_t>>;
  size_t add(const Function&);
  void connect(size_t from, const Function& to);
  void visit(size_t node);

  Edges edges_;
  std::unordered_map<const Function*, size_t> index_;
};
}   // namespace spectral::cpu::ptx
