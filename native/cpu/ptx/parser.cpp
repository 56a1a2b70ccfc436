// From tokens to a Module: PTX ISA, "Syntax", "State Spaces, Types, and Variables", "Abstracting the ABI",
// "Directives".
#include "module.h"
#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

namespace spectral::cpu::ptx {
namespace {
constexpr int kMaxNesting = 32;        // braces within braces
constexpr size_t kMaxOperands = 256;   // of an instruction; wgmma has the most, 128 and a few

std::string quoted(std::string_view text) {
  constexpr size_t kShown = 60;
  return "'" + std::string(text.substr(0, kShown)) + (text.size() > kShown ? "...'" : "'");
}
std::string shown(const Token& t) { return t.kind == TokenKind::End ? "the end of the text" : quoted(t.text); }

// What a name means between two braces; labels are known only at the end.
struct Scope {
  int parent;
  std::unordered_map<std::string_view, uint32_t> registers;
  std::unordered_map<std::string_view, const Variable*> variables;
  std::unordered_map<std::string_view, uint32_t> labels;
};
struct LabelUse {
  size_t instruction;
  size_t operand;
  int scope;
};

class Parser {
 public:
  explicit Parser(Module& module) : module_(module), tokens_(tokenize(module.text)) {}

  void run() {
    scopes_.push_back({-1, {}, {}, {}});
    expect_directive("version");
    read_version();
    while (token().kind != TokenKind::End)
      read_top_level();
    if (module_.target.empty())
      fail(token(), "a module says its .target");
  }

 private:
  // ---- tokens
  const Token& token(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  const Token& take() {
    const Token& t = token();
    if (t.kind != TokenKind::End)
      ++at_;
    return t;
  }
  [[noreturn]] static void fail(const Token& t, const std::string& message) { throw PtxError(t.place, message); }
  bool accept(char symbol) {
    if (!token().is(symbol))
      return false;
    ++at_;
    return true;
  }
  void expect(char symbol) {
    if (!accept(symbol))
      fail(token(), std::string("'") + symbol + "' is missing before " + shown(token()));
  }
  bool accept_directive(std::string_view name) {
    if (!token().is_directive(name))
      return false;
    ++at_;
    return true;
  }
  void expect_directive(std::string_view name) {
    if (!accept_directive(name))
      fail(token(), "." + std::string(name) + " is missing before " + shown(token()));
  }
  const Token& take_name(const char* what) {
    if (token().kind != TokenKind::Name)
      fail(token(), std::string(what) + " is missing before " + shown(token()));
    return take();
  }
  uint64_t take_integer(const char* what, uint64_t limit) {
    const Token& t = token();
    if (t.kind != TokenKind::Integer)
      fail(t, std::string(what) + " is a number, not " + shown(t));
    if (t.value > limit)
      fail(t, std::string(what) + " is at most " + std::to_string(limit));
    return take().value;
  }

  // ---- the module's directives
  void read_version() {
    const Token& t = take();
    const size_t dot = t.text.find('.');
    const bool one_digit = dot != std::string_view::npos && dot + 2 == t.text.size();
    if (t.kind != TokenKind::Float64 || !one_digit || dot > 2)
      fail(t, "the version is two numbers, as in 8.4, not " + shown(t));
    for (char c : t.text)
      if (c != '.')
        module_.version = module_.version * 10 + (c - '0');
    if (module_.version < 60 || module_.version > 99)
      fail(t, "versions 6.0 to 9.9 of PTX are read, not " + std::string(t.text));
  }

  void read_top_level() {
    const Token& t = token();
    if (accept(';'))
      return;
    if (accept_directive("target"))
      return read_target();
    if (accept_directive("address_size")) {
      if (take_integer("the address size", 64) != 64)
        fail(t, "addresses have 64 bits here");
      return;
    }
    if (accept_directive("file"))
      return read_file();
    if (accept_directive("section"))
      return skip_braces();
    if (accept_directive("pragma"))
      return skip_to_semicolon();
    bool is_extern = false;
    while (token().is_directive("visible") || token().is_directive("extern") || token().is_directive("weak") ||
           token().is_directive("common"))
      is_extern |= take().text == "extern";
    if (accept_directive("entry"))
      return read_function(true);
    if (accept_directive("func"))
      return read_function(false);
    const std::optional<Space> space = take_space();
    if (!space || *space == Space::Param || *space == Space::Local)
      fail(t, shown(t) + " does not begin a part of a module");
    read_variables(*space, is_extern, module_.variables);
  }

  void read_target() {
    const Token& t = take();
    if (t.kind != TokenKind::Name || t.text.substr(0, 3) != "sm_")
      fail(t, "the target is an architecture, as in sm_80, not " + shown(t));
    module_.target = t.text;
    while (accept(','))
      take_name("a target's option");
  }

  void read_file() {
    const auto index = uint32_t(take_integer("a file's index", UINT32_MAX));
    if (token().kind != TokenKind::String)
      fail(token(), "a file has a name in quotes");
    module_.files[index] = take().text;
    while (accept(','))
      take_integer("a file's time or size", UINT64_MAX);
  }

  void skip_to_semicolon() {
    while (!token().is(';'))
      if (take().kind == TokenKind::End)
        fail(token(), "';' is missing");
    expect(';');
  }

  void skip_braces() {
    while (!token().is('{'))
      if (take().kind == TokenKind::End)
        fail(token(), "'{' is missing");
    int depth = 0;
    do {
      depth += token().is('{') - token().is('}');
      if (take().kind == TokenKind::End)
        fail(token(), "'}' is missing");
    } while (depth);
  }

  // ---- variables
  std::optional<Space> take_space() {
    constexpr std::pair<std::string_view, Space> kSpaces[] = {
        {"param", Space::Param},
        {"const", Space::Const},
        {"global", Space::Global},
        {"local", Space::Local},
        {"shared", Space::Shared},
        {"shared::cta", Space::Shared}};
    for (const auto& [name, space] : kSpaces)
      if (accept_directive(name))
        return space;
    return std::nullopt;
  }

  void read_variables(Space space, bool is_extern, std::vector<std::unique_ptr<Variable>>& into) {
    const VariableKind kind = read_kind();
    do {
      into.push_back(read_variable(space, kind, is_extern));
      declare(*into.back());
      if (accept('='))
        read_initial(*into.back());
    } while (accept(','));
    expect(';');
  }

  struct VariableKind {
    Type type;
    size_t align;
    size_t count;   // of a vector
  };
  VariableKind read_kind() {
    VariableKind kind{Type::None, 0, 1};
    for (;;) {
      const Token& t = token();
      if (accept_directive("align")) {
        kind.align = take_integer("an alignment", 1 << 16);
        if (!std::has_single_bit(kind.align))
          fail(t, "an alignment is a power of two");
      } else if (accept_directive("attribute")) {
        expect('(');
        while (!accept(')'))
          if (take().kind == TokenKind::End)
            fail(t, "')' is missing");
      } else if (accept_directive("ptr")) {   // says what a parameter points to; nothing follows from it here
        take_space();
      } else if (accept_directive("v2")) {
        kind.count = 2;
      } else if (accept_directive("v4")) {
        kind.count = 4;
      } else if (t.kind == TokenKind::Modifier && kind.type == Type::None) {
        kind.type = type_named(t.text);
        if (bytes_of(kind.type) == 0)
          fail(t, "a variable of type ." + std::string(t.text) + " is not supported");
        ++at_;
      } else {
        break;
      }
    }
    if (kind.type == Type::None)
      fail(token(), "a type is missing before " + shown(token()));
    kind.align = std::max(kind.align, size_t(bytes_of(kind.type)) * kind.count);
    return kind;
  }

  std::unique_ptr<Variable> read_variable(Space space, const VariableKind& kind, bool is_extern) {
    auto v = std::make_unique<Variable>();
    const Token& name = take_name("a variable's name");
    v->place = name.place;
    v->name = name.text;
    v->space = space;
    v->type = kind.type;
    v->align = kind.align;
    v->is_extern = is_extern;
    size_t count = kind.count;
    while (accept('[')) {
      if (accept(']')) {
        count = 0;
        continue;
      }
      const uint64_t n = take_integer("an array's length", kMaxVariable);
      if (count && n > kMaxVariable / count / size_t(bytes_of(kind.type)))
        fail(name, "variable " + quoted(v->name) + " is larger than this device takes");
      count *= n;
      expect(']');
    }
    v->bytes = count * size_t(bytes_of(kind.type));
    return v;
  }

  void declare(const Variable& v) {
    Scope& scope = scopes_.back();
    const std::string_view name = v.name;
    if (scopes_.size() == 1 && functions_.count(name))
      throw PtxError(v.place, quoted(name) + " is a function already");
    if (scope.registers.count(name) || !scope.variables.emplace(name, &v).second)
      throw PtxError(v.place, quoted(name) + " is declared twice");
  }

  void read_initial(Variable& v) {
    if (v.space != Space::Global && v.space != Space::Const)
      fail(
          token(),
          "variable " + quoted(v.name) + " has an initial value; those of ." + name_of(v.space) + " have none");
    if (v.bytes == 0 && !v.is_extern) {   // the length follows from the values
      read_values(v, 0, SIZE_MAX);
      v.bytes = v.initial.size();
    } else {
      read_values(v, 0, v.bytes);
    }
  }
  void read_values(Variable& v, int depth, size_t room) {
    if (depth > kMaxNesting)
      fail(token(), "braces are nested too deep");
    if (accept('{')) {
      do
        read_values(v, depth + 1, room);
      while (accept(','));
      return expect('}');
    }
    const Token& t = token();
    const size_t size = size_t(bytes_of(v.type));
    if (v.initial.size() + size > room)
      fail(t, "more values than variable " + quoted(v.name) + " has room for");
    uint64_t bits = 0;
    if (t.kind == TokenKind::Name) {
      read_address(v);
    } else {
      const Operand value = read_number();
      bits = value.is_float && v.type == Type::F32 ? std::bit_cast<uint32_t>(float(std::bit_cast<double>(value.value)))
                                                   : value.value;
    }
    const auto* bytes = reinterpret_cast<const unsigned char*>(&bits);
    v.initial.insert(v.initial.end(), bytes, bytes + size);
  }
  void read_address(Variable& v) {
    const Token& first = take();
    const bool generic = first.is("generic");
    if (generic)
      expect('(');
    const Token& name = generic ? take_name("a variable") : first;
    if (generic)
      expect(')');
    const Variable* to = find_variable(name.text);
    if (!to || (to->space != Space::Global && to->space != Space::Const) || bytes_of(v.type) != 8)
      fail(name, "an initial value is a number, or in 64 bits the address of a .global or .const variable");
    int64_t addend = 0;
    if (accept('+'))
      addend = int64_t(take_integer("an offset", kMaxVariable));
    v.addresses.push_back({v.initial.size(), to, addend, generic});
  }

  const Variable* find_variable(std::string_view name) const {
    for (int s = int(scopes_.size()) - 1; s >= 0; s = scopes_[size_t(s)].parent)
      if (auto it = scopes_[size_t(s)].variables.find(name); it != scopes_[size_t(s)].variables.end())
        return it->second;
    return nullptr;
  }

  // ---- functions
  void read_function(bool is_entry) {
    auto made = std::make_unique<Function>();
    function_ = made.get();
    function_->is_entry = is_entry;
    scopes_.resize(1);
    scopes_.push_back({0, {}, {}, {}});
    scope_ = 1;
    label_uses_.clear();
    if (!is_entry && token().is('('))
      read_parameters(function_->results);
    const Token& name = take_name("a function's name");
    function_->name = name.text;
    function_->place = name.place;
    if (token().is('('))
      read_parameters(function_->parameters);
    read_limits();
    if (!accept(';')) {
      function_->has_body = true;
      read_body();
      resolve_labels();
    }
    keep(std::move(made), name);
    scopes_.resize(1);
  }

  // A declaration may come first and is replaced by the function itself.
  void keep(std::unique_ptr<Function> made, const Token& name) {
    if (scopes_[0].variables.count(name.text))
      fail(name, quoted(name.text) + " is a variable already");
    auto [known, added] = functions_.try_emplace(name.text, made.get());
    if (added) {
      module_.functions.push_back(std::move(made));
      return;
    }
    Function& declared = *known->second;
    if (declared.has_body && made->has_body)
      fail(name, "function " + quoted(made->name) + " is defined twice");
    if (made->has_body)
      declared = std::move(*made);
  }

  void read_parameters(std::vector<std::unique_ptr<Variable>>& into) {
    expect('(');
    if (accept(')'))
      return;
    do {
      const Token& t = token();
      const std::optional<Space> space = take_space();
      if (space != Space::Param)
        fail(t, "a parameter is declared as .param, not " + shown(t));
      const VariableKind kind = read_kind();
      into.push_back(read_variable(Space::Param, kind, false));
      declare(*into.back());
    } while (accept(','));
    expect(')');
  }

  void read_limits() {
    for (;;) {
      if (accept_directive("maxntid"))
        read_three(function_->max_threads);
      else if (accept_directive("reqntid"))
        read_three(function_->required_threads);
      else if (accept_directive("reqnctapercluster"))
        read_three(function_->cluster);
      else if (
          accept_directive("minnctapersm") || accept_directive("maxnctapersm") || accept_directive("maxnreg") ||
          accept_directive("maxclusterrank"))
        take_integer("a limit", UINT32_MAX);
      else if (accept_directive("pragma"))
        skip_to_semicolon();
      else if (
          !accept_directive("explicitcluster") && !accept_directive("noreturn") &&
          !accept_directive("blocksareclusters"))
        return;
    }
  }
  void read_three(unsigned (&into)[3]) {
    int n = 0;
    do {
      if (n == 3)
        fail(token(), "a size has at most three numbers");
      into[n++] = unsigned(take_integer("a size", UINT32_MAX));
    } while (accept(','));
    for (; n < 3; ++n)
      into[n] = 1;
  }

  void read_body() {
    expect('{');
    for (int depth = 1; depth;) {
      const Token& t = token();
      if (t.kind == TokenKind::End)
        fail(t, "'}' is missing: function " + quoted(function_->name) + " has no end");
      if (accept('{')) {
        if (++depth > kMaxNesting)
          fail(t, "braces are nested too deep");
        scopes_.push_back({scope_, {}, {}, {}});
        scope_ = int(scopes_.size()) - 1;
      } else if (accept('}')) {
        --depth;
        scope_ = scopes_[size_t(scope_)].parent;
      } else if (t.kind == TokenKind::Modifier) {
        read_body_directive();
      } else if (t.kind == TokenKind::Name && token(1).is(':')) {
        read_label();
      } else if (!accept(';')) {
        read_instruction();
      }
    }
  }

  void read_label() {
    const Token& name = take();
    expect(':');
    const auto here = uint32_t(function_->instructions.size());
    if (!scopes_[size_t(scope_)].labels.emplace(name.text, here).second)
      fail(name, "label " + quoted(name.text) + " stands twice");
  }

  void read_body_directive() {
    const Token& t = token();
    if (accept_directive("loc"))
      return read_location();
    if (accept_directive("pragma"))
      return skip_to_semicolon();
    if (accept_directive("reg"))
      return read_registers();
    const std::optional<Space> space = take_space();
    if (!space)
      fail(t, "." + std::string(t.text) + " is not supported in a function");
    read_variables_in_function(*space);
  }

  void read_variables_in_function(Space space) {
    const VariableKind kind = read_kind();
    do {
      auto v = read_variable(space, kind, false);
      Scope& scope = scopes_[size_t(scope_)];
      if (scope.registers.count(v->name) || scope.variables.count(v->name))
        throw PtxError(v->place, quoted(v->name) + " is declared twice");
      function_->variables.push_back(std::move(v));
      Variable& kept = *function_->variables.back();
      scope.variables.emplace(kept.name, &kept);
      if (accept('='))
        read_initial(kept);
    } while (accept(','));
    expect(';');
  }

  void read_location() {
    source_.file = uint32_t(take_integer("a file's index", UINT32_MAX));
    source_.line = uint32_t(take_integer("a line", UINT32_MAX));
    take_integer("a column", UINT32_MAX);
    if (!accept(','))
      return;
    take_name("function_name");
    take_name("a function's name");
    if (accept('+'))
      take_integer("an offset", UINT64_MAX);
    expect(',');
    take_name("inlined_at");
    for (int i = 0; i < 3; ++i)
      take_integer("a place", UINT32_MAX);
  }

  void read_registers() {
    const Token& t = take();
    const Type type = t.kind == TokenKind::Modifier ? type_named(t.text) : Type::None;
    if (type == Type::None)
      fail(t, "registers have a scalar type, not " + shown(t));
    do {
      const Token& name = take_name("a register's name");
      if (!accept('<')) {
        add_register(name.text, name.text, type, name);
        continue;
      }
      const uint64_t count = take_integer("a number of registers", kMaxRegisters);
      expect('>');
      for (uint64_t i = 0; i < count; ++i) {
        names_.push_back(std::make_unique<std::string>(std::string(name.text) + std::to_string(i)));
        add_register(*names_.back(), *names_.back(), type, name);
      }
    } while (accept(','));
    expect(';');
  }
  void add_register(std::string_view key, std::string_view name, Type type, const Token& at) {
    if (function_->registers.size() >= kMaxRegisters)
      fail(at, "a function has at most " + std::to_string(kMaxRegisters) + " registers here");
    Scope& scope = scopes_[size_t(scope_)];
    const auto id = uint32_t(function_->registers.size());
    if (scope.variables.count(key) || !scope.registers.emplace(key, id).second)
      fail(at, quoted(name) + " is declared twice");
    function_->registers.push_back({std::string(name), type});
  }

  // ---- instructions
  void read_instruction() {
    Instruction i;
    i.place = token().place;
    i.source = source_;
    if (accept('@')) {
      const bool negated = accept('!');
      i.guard = read_register(take_name("a predicate"));
      i.guard->negated = negated;
      if (function_->registers[i.guard->id].type != Type::Pred)
        throw PtxError(i.guard->place, "an instruction is guarded by a predicate, not by " + quoted(i.guard->name));
    }
    i.opcode = take_name("an instruction").text;
    while (token().kind == TokenKind::Modifier)
      i.modifiers.push_back(take().text);
    while (!accept(';')) {
      if (!i.operands.empty())
        expect(',');
      i.operands.push_back(read_operand(i));
      if (i.operands.size() > kMaxOperands)
        throw PtxError(i.place, "an instruction with more than " + std::to_string(kMaxOperands) + " operands");
      if (i.operands.back().kind == OperandKind::Label)
        label_uses_.push_back({function_->instructions.size(), i.operands.size() - 1, scope_});
    }
    function_->instructions.push_back(std::move(i));
  }

  Operand read_operand(const Instruction& i) {
    Operand first = read_simple(i);
    if (!accept('|'))
      return first;
    Operand pair{OperandKind::Pair, first.place};
    pair.parts.push_back(std::move(first));
    pair.parts.push_back(read_simple(i));
    return pair;
  }

  Operand read_simple(const Instruction& i) {
    const Token& t = token();
    if (t.is('{'))
      return read_list(i, OperandKind::Vector, '{', '}');
    if (t.is('('))
      return read_list(i, OperandKind::Arguments, '(', ')');
    if (t.is('['))
      return read_memory(i);
    if (accept('!')) {
      Operand o = read_register(take_name("a predicate"));
      o.negated = true;
      return o;
    }
    if (t.kind == TokenKind::Name)
      return read_name(i);
    return read_number();
  }

  Operand read_list(const Instruction& i, OperandKind kind, char open, char close) {
    Operand list{kind, token().place};
    expect(open);
    if (accept(close))
      return list;
    do {
      list.parts.push_back(read_simple(i));
      const OperandKind part = list.parts.back().kind;
      if (part == OperandKind::Vector || part == OperandKind::Arguments || part == OperandKind::Address)
        throw PtxError(list.place, "a list within a list of operands");
      if (list.parts.size() > kMaxOperands)
        throw PtxError(list.place, "a list of more than " + std::to_string(kMaxOperands) + " operands");
    } while (accept(','));
    expect(close);
    return list;
  }

  // [base], [base + offset], [base, {coordinates}]
  Operand read_memory(const Instruction& i) {
    Operand address{OperandKind::Address, token().place};
    expect('[');
    Operand base = token().kind == TokenKind::Name ? read_name(i) : read_number();
    if (base.kind == OperandKind::Immediate) {
      address.value = base.value;
      base.value = 0;
    }
    if (token().is('+') || token().is('-'))
      address.value += read_offset();
    address.parts.push_back(std::move(base));
    if (accept(','))
      address.parts.push_back(read_list(i, OperandKind::Vector, '{', '}'));
    expect(']');
    return address;
  }
  uint64_t read_offset() {
    const bool minus = !accept('+') && accept('-');
    const Operand n = read_number();
    return minus ? 0 - n.value : n.value;
  }

  Operand read_register(const Token& name) {
    const std::optional<uint32_t> id = find_register(name.text);
    if (!id)
      fail(name, quoted(name.text) + " is not a register");
    Operand o{OperandKind::Register, name.place};
    o.id = *id;
    o.name = name.text;
    return o;
  }
  std::optional<uint32_t> find_register(std::string_view name) const {
    for (int s = scope_; s > 0; s = scopes_[size_t(s)].parent)
      if (auto it = scopes_[size_t(s)].registers.find(name); it != scopes_[size_t(s)].registers.end())
        return it->second;
    return std::nullopt;
  }

  Operand read_name(const Instruction& i) {
    const Token& t = take();
    if (t.text == "_")
      return {OperandKind::Sink, t.place};
    if (t.text == "WARP_SZ") {
      Operand size{OperandKind::Immediate, t.place};
      size.value = 32;
      return size;
    }
    if (find_register(t.text))
      return read_register(t);
    if (t.text[0] == '%')
      return read_special(t);
    if (i.opcode == "bra") {
      Operand label{OperandKind::Label, t.place};
      label.name = t.text;
      return label;
    }
    return read_symbol(t);
  }

  Operand read_special(const Token& t) {
    Operand special{OperandKind::Special, t.place};
    special.name = t.text;
    if (token().kind == TokenKind::Modifier && token().attached) {
      const Token& component = take();   // the name and its component, with the dot between them
      special.name =
          std::string_view(t.text.data(), size_t(component.text.data() + component.text.size() - t.text.data()));
    }
    return special;
  }

  Operand read_symbol(const Token& t) {
    Operand symbol{OperandKind::Symbol, t.place};
    symbol.name = t.text;
    for (int s = scope_; s >= 0 && !symbol.variable; s = scopes_[size_t(s)].parent)
      if (auto it = scopes_[size_t(s)].variables.find(t.text); it != scopes_[size_t(s)].variables.end())
        symbol.variable = it->second;
    if (symbol.variable)
      return symbol;
    if (t.text == function_->name)
      fail(t, "recursive calls are not supported");
    const auto callee = functions_.find(t.text);
    if (callee == functions_.end())
      fail(t, quoted(t.text) + " is not declared");
    symbol.kind = OperandKind::Callee;
    symbol.function = callee->second;
    return symbol;
  }

  Operand read_number() {
    Operand number{OperandKind::Immediate, token().place};
    bool minus = false;
    bool inverted = false;
    while (token().is('-') || token().is('~')) {
      minus ^= token().is('-');
      inverted ^= token().is('~');
      ++at_;
    }
    const Token& t = take();
    if (t.kind != TokenKind::Integer && t.kind != TokenKind::Float32 && t.kind != TokenKind::Float64)
      fail(t, "an operand is missing before " + shown(t));
    number.value = t.value;
    number.is_float = t.kind == TokenKind::Float64;
    number.is_float32 = t.kind == TokenKind::Float32;
    if (inverted)
      number.value = ~number.value;
    if (minus && t.kind == TokenKind::Integer)
      number.value = 0 - number.value;
    else if (minus)
      number.value ^= number.is_float ? uint64_t(1) << 63 : uint64_t(1) << 31;
    return number;
  }

  void resolve_labels() {
    for (const LabelUse& use : label_uses_) {
      Operand& label = function_->instructions[use.instruction].operands[use.operand];
      bool found = false;
      for (int s = use.scope; s > 0 && !found; s = scopes_[size_t(s)].parent)
        if (auto it = scopes_[size_t(s)].labels.find(label.name); it != scopes_[size_t(s)].labels.end()) {
          label.id = it->second;
          found = true;
        }
      if (!found)
        throw PtxError(label.place, "label " + quoted(label.name) + " stands nowhere in " + quoted(function_->name));
    }
  }

  Module& module_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  std::vector<Scope> scopes_;   // 0: the module's; 1: the function's; the others nest in it
  int scope_ = 0;
  Function* function_ = nullptr;
  std::unordered_map<std::string_view, Function*> functions_;   // the module's so far, by name
  std::vector<LabelUse> label_uses_;
  std::vector<std::unique_ptr<std::string>> names_;   // of numbered registers, while their scopes last
  SourceLine source_;
};
}   // namespace

std::unique_ptr<Module> parse(std::string text) {
  auto module = std::make_unique<Module>();
  if (text.size() > kMaxText)
    throw PtxError({}, "more than " + std::to_string(kMaxText >> 20) + " MiB of text");
  module->text = std::move(text);
  Parser(*module).run();
  return module;
}
}   // namespace spectral::cpu::ptx
