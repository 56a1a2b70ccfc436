// What names mean between two braces: registers, variables and labels of a function, and the module's variables and
// functions.
#pragma once
#include "module.h"
#include <unordered_map>

namespace spectral::cpu::ptx {
class Scopes {
 public:
  Scopes() { all_.push_back({-1, {}, {}, {}}); }

  void begin_function() {
    all_.resize(1);
    open();
  }
  void end_function() {
    all_.resize(1);
    current_ = 0;
  }
  void open() {
    all_.push_back({current_, {}, {}, {}});
    current_ = int(all_.size()) - 1;
  }
  void close() { current_ = all_[size_t(current_)].parent; }
  int current() const { return current_; }

  // Each returns false if the scope has the name already.
  bool add_register(std::string_view name, uint32_t id) {
    return !here().variables.count(name) && here().registers.emplace(name, id).second;
  }
  bool add_variable(const Variable& v) {
    return !here().registers.count(v.name) && here().variables.emplace(v.name, &v).second;
  }
  bool add_label(std::string_view name, uint32_t instruction) {
    return here().labels.emplace(name, instruction).second;
  }

  std::optional<uint32_t> find_register(std::string_view name) const {
    return find(
        name, current_, [](const Scope& s) -> auto& { return s.registers; });
  }
  const Variable* find_variable(std::string_view name) const {
    return find(
               name, current_, [](const Scope& s) -> auto& { return s.variables; })
        .value_or(nullptr);
  }
  // Labels are known only at the function's end, when another scope is the current one.
  std::optional<uint32_t> find_label(std::string_view name, int scope) const {
    return find(
        name, scope, [](const Scope& s) -> auto& { return s.labels; });
  }

  std::unordered_map<std::string_view, Function*> functions;   // the module's so far
  bool is_module_variable(std::string_view name) const { return all_[0].variables.count(name); }

 private:
  struct Scope {
    int parent;
    std::unordered_map<std::string_view, uint32_t> registers;
    std::unordered_map<std::string_view, const Variable*> variables;
    std::unordered_map<std::string_view, uint32_t> labels;
  };
  Scope& here() { return all_[size_t(current_)]; }
  template <class Names>
  auto find(std::string_view name, int scope, Names names) const
      -> std::optional<typename std::remove_cvref_t<decltype(names(Scope()))>::mapped_type> {
    for (int s = scope; s >= 0; s = all_[size_t(s)].parent)
      if (auto it = names(all_[size_t(s)]).find(name); it != names(all_[size_t(s)]).end())
        return it->second;
    return std::nullopt;
  }

  std::vector<Scope> all_;   // 0: the module's; 1: the function's; the others nest in it
  int current_ = 0;
};
}   // namespace spectral::cpu::ptx
