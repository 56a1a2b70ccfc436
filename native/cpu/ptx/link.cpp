#include "link.h"
#include "host_functions.h"
#include <algorithm>
#include <unordered_map>

namespace spectral::cpu::ptx {
namespace {
uint32_t lines_of(const std::string& text) { return 1 + uint32_t(std::count(text.begin(), text.end(), '\n')); }
bool defines(const Function& f) { return f.has_body; }
bool defines(const Variable& v) { return v.linkage != Linkage::Extern; }
bool is_shared_with_others(Linkage l) { return l != Linkage::Internal; }

template <class F>
void each_operand(Operand& o, F f) {
  f(o);
  for (Operand& part : o.parts)
    each_operand(part, f);
}
template <class F>
void each_operand(Function& function, F f) {
  for (Instruction& i : function.instructions) {
    if (i.guard)
      each_operand(*i.guard, f);
    for (Operand& o : i.operands)
      each_operand(o, f);
  }
}

// Names that modules share: which definition stands, and for what.
template <class T>
class Symbols {
 public:
  // Of two definitions one is weak, or both are common, and then the larger stands; of two weak ones the first.
  void define(T& made) {
    const auto [known, added] = definitions_.try_emplace(made.name, &made);
    if (added)
      return;
    T& other = *known->second;
    const bool both_common = is_common(other) && is_common(made);
    if (made.linkage == Linkage::Weak || (both_common && size_of(made) <= size_of(other)))
      return;
    if (other.linkage != Linkage::Weak && !both_common)
      throw PtxError(made.place, "'" + made.name + "' is defined in two of the modules");
    known->second = &made;
  }
  // What stands for it: itself where it is known in its module only, or nothing defines it.
  T* resolve(T* declared) const {
    const auto known = definitions_.find(declared->name);
    return known == definitions_.end() || (defines(*declared) && !is_shared_with_others(declared->linkage))
               ? declared
               : known->second;
  }

 private:
  static bool is_common(const T& t) { return t.linkage == Linkage::Common; }
  static size_t size_of(const Function&) { return 0; }
  static size_t size_of(const Variable& v) { return v.bytes; }
  std::unordered_map<std::string, T*> definitions_;
};

class Linker {
 public:
  explicit Linker(std::vector<std::unique_ptr<Module>> parts) : made_(std::make_unique<Module>()) {
    made_->parts = std::move(parts);
  }

  std::unique_ptr<Module> run() {
    for (const auto& part : made_->parts)
      add(*part);
    for (const auto& f : made_->functions)
      if (defines(*f) && (f->is_entry || is_shared_with_others(f->linkage)))
        functions_.define(*f);
    for (const auto& v : made_->variables)
      if (defines(*v) && is_shared_with_others(v->linkage))
        variables_.define(*v);
    for (const auto& f : made_->functions) {
      Function* target = functions_.resolve(f.get());
      target->is_address_taken |= f->is_address_taken;
      check_same_parameters(*f, *target);
    }
    for (const auto& f : made_->functions)
      each_operand(*f, [&](Operand& o) { redirect(o); });
    for (const auto& v : made_->variables)
      for (AddressIn& a : v->addresses) {
        if (a.variable)
          a.variable = find(*a.variable, v->place);
        if (a.function)
          a.function = find(*a.function, v->place);
      }
    drop_others();
    return std::move(made_);
  }

 private:
  // Lines and source files continue those of the modules before.
  void add(Module& part) {
    for (auto& [index, name] : part.files)
      made_->files[files_ + index] = std::move(name);
    for (const auto& v : part.variables)
      v->place.line += lines_;
    for (const auto& f : part.functions) {
      f->place.line += lines_;
      for (Instruction& i : f->instructions) {
        i.place.line += lines_;
        if (i.source.file)
          i.source.file += files_;
      }
      each_operand(*f, [&](Operand& o) { o.place.line += lines_; });
    }
    std::move(part.variables.begin(), part.variables.end(), std::back_inserter(made_->variables));
    std::move(part.functions.begin(), part.functions.end(), std::back_inserter(made_->functions));
    lines_ += lines_of(part.text);
    if (!made_->files.empty())
      files_ = made_->files.rbegin()->first + 1;
  }
  void redirect(Operand& o) {
    if (o.variable && o.variable->space != Space::Param && o.variable->space != Space::Local)
      o.variable = find(*o.variable, o.place);
    if (o.function && !is_prototype(*o.function))
      o.function = find(*o.function, o.place);
  }
  const Variable* find(const Variable& declared, Place place) const {
    const Variable* found = variables_.resolve(const_cast<Variable*>(&declared));
    const bool is_dynamic_shared = declared.space == Space::Shared && !declared.bytes;
    if (!defines(*found) && !is_dynamic_shared)
      throw PtxError(place, "undefined reference to variable '" + declared.name + "'");
    return found;
  }
  const Function* find(const Function& declared, Place place) const {
    const Function* found = functions_.resolve(const_cast<Function*>(&declared));
    if (!defines(*found) && !find_host_function(*found))
      throw PtxError(place, "undefined reference to function '" + declared.name + "'");
    return found;
  }
  // Of a call by address; it has no name in the module.
  bool is_prototype(const Function& f) const {
    return std::none_of(
        made_->functions.begin(), made_->functions.end(), [&](const auto& known) { return known.get() == &f; });
  }
  static void check_same_parameters(const Function& declared, const Function& defined) {
    const auto same = [](const auto& a, const auto& b) {
      return std::equal(
          a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return x->bytes == y->bytes; });
    };
    if (!same(declared.parameters, defined.parameters) || !same(declared.results, defined.results))
      throw PtxError(declared.place, "function '" + declared.name + "' has other parameters where it is defined");
  }
  // What another definition stands for.
  void drop_others() {
    std::erase_if(made_->functions, [&](const auto& f) { return functions_.resolve(f.get()) != f.get(); });
    std::erase_if(made_->variables, [&](const auto& v) { return variables_.resolve(v.get()) != v.get(); });
  }

  std::unique_ptr<Module> made_;
  Symbols<Function> functions_;
  Symbols<Variable> variables_;
  uint32_t lines_ = 0;
  uint32_t files_ = 0;
};
}   // namespace

std::unique_ptr<Module> link(std::vector<std::unique_ptr<Module>> parts) { return Linker(std::move(parts)).run(); }
}   // namespace spectral::cpu::ptx
