#include "call_graph.h"
#include <algorithm>

namespace spectral::cpu::ptx {
namespace {
using Edges = std::vector<std::vector<size_t>>;

// Null where the instruction lacks it.
const Operand* callee_of(const Instruction& call) {
  const size_t at = !call.operands.empty() && call.operands[0].kind == OperandKind::Arguments ? 1 : 0;
  return at < call.operands.size() ? &call.operands[at] : nullptr;
}
// Takes away what has no edge to what is left, again and again.
void peel(const Edges& to, const Edges& from, std::vector<bool>& stays) {
  std::vector<size_t> left(to.size());
  std::vector<size_t> gone;
  for (size_t i = 0; i < to.size(); ++i) {
    left[i] = size_t(std::count_if(to[i].begin(), to[i].end(), [&](size_t k) { return stays[k]; }));
    if (stays[i] && !left[i])
      gone.push_back(i);
  }
  while (!gone.empty()) {
    const size_t i = gone.back();
    gone.pop_back();
    stays[i] = false;
    for (size_t k : from[i])
      if (stays[k] && --left[k] == 0)
        gone.push_back(k);
  }
}
}   // namespace

CallGraph::CallGraph(const Module& module, const Function& entry) {
  add(entry);
  functions.push_back(nullptr);
  edges_.emplace_back();
  bool knows_targets = false;
  for (size_t i = 0; i < functions.size(); ++i) {
    if (functions[i])
      visit(i);
    if (calls_by_address && !knows_targets)
      for (const auto& f : module.functions)
        if (f->is_address_taken && f->has_body && !f->is_entry)
          connect(1, *f);
    knows_targets = calls_by_address;
  }
}

std::vector<bool> CallGraph::find_cycles() const {
  std::vector<std::vector<size_t>> callers(functions.size());
  for (size_t i = 0; i < functions.size(); ++i)
    for (size_t to : edges_[i])
      callers[to].push_back(i);
  std::vector<bool> stays(functions.size(), true);
  peel(edges_, callers, stays);
  peel(callers, edges_, stays);
  return stays;
}

size_t CallGraph::add(const Function& f) {
  const auto [it, added] = index_.try_emplace(&f, functions.size());
  if (added) {
    functions.push_back(&f);
    edges_.emplace_back();
  }
  return it->second;
}
void CallGraph::connect(size_t from, const Function& to) {
  const size_t target = add(to);   // may move the edges
  edges_[from].push_back(target);
}
void CallGraph::visit(size_t i) {
  uses_stack.resize(functions.size());
  for (const Instruction& instruction : functions[i]->instructions) {
    if (instruction.opcode == "alloca" || instruction.opcode.starts_with("stack"))
      uses_stack[i] = true;
    const Operand* callee = instruction.opcode == "call" ? callee_of(instruction) : nullptr;
    if (!callee)
      continue;
    if (callee->kind == OperandKind::Callee) {
      connect(i, *callee->function);
    } else {
      calls_by_address = true;
      edges_[i].push_back(1);
    }
  }
}
}   // namespace spectral::cpu::ptx
