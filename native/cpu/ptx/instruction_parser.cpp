#include "instruction_parser.h"

namespace spectral::cpu::ptx {
namespace {
constexpr size_t kMaxOperands = 256;   // of an instruction; wgmma has the most, 128 and a few
}

void InstructionParser::read_label() {
  const Token& name = tokens_.take();
  tokens_.expect(':');
  if (tokens_.accept_directive("callprototype"))
    return read_prototype(name);
  if (tokens_.accept_directive("calltargets"))
    return read_call_targets(name);
  if (tokens_.accept_directive("branchtargets"))
    return read_branch_targets(name);
  const auto here = uint32_t(function_->instructions.size());
  if (!scopes_.add_label(name.text, here))
    TokenStream::fail(name, "label " + quoted(name.text) + " stands twice");
}

void InstructionParser::read_prototype(const Token& name) {
  auto made = std::make_unique<Function>();
  made->name = name.text;
  made->place = name.place;
  if (tokens_.peek().is('('))
    variables_.read_parameters(made->results, false);
  tokens_.take_name("_");
  if (tokens_.peek().is('('))
    variables_.read_parameters(made->parameters, false);
  tokens_.accept_directive("noreturn");
  tokens_.expect(';');
  if (!prototypes_.emplace(name.text, made.get()).second)
    TokenStream::fail(name, "prototype " + quoted(name.text) + " stands twice");
  function_->prototypes.push_back(std::move(made));
}
void InstructionParser::read_call_targets(const Token& name) {
  do {
    const Token& target = tokens_.take_name("a function");
    const auto callee = scopes_.functions.find(target.text);
    if (callee == scopes_.functions.end())
      TokenStream::fail(target, quoted(target.text) + " is not a function");
    prototypes_.emplace(name.text, callee->second);   // all have the signature of the first
  } while (tokens_.accept(','));
  tokens_.expect(';');
}
void InstructionParser::read_branch_targets(const Token& name) {
  std::vector<Operand>& labels = targets_[name.text];
  do {
    const Token& target = tokens_.take_name("a label");
    Operand label{OperandKind::Label, target.place};
    label.name = target.text;
    labels.push_back(std::move(label));
  } while (tokens_.accept(','));
  tokens_.expect(';');
}

void InstructionParser::read_instruction(SourceLine source) {
  Instruction i;
  i.place = tokens_.peek().place;
  i.source = source;
  if (tokens_.accept('@')) {
    const bool negated = tokens_.accept('!');
    i.guard = read_register(tokens_.take_name("a predicate"));
    i.guard->negated = negated;
    if (function_->registers[i.guard->id].type != Type::Pred)
      throw PtxError(i.guard->place, "an instruction is guarded by a predicate, not by " + quoted(i.guard->name));
  }
  i.opcode = tokens_.take_name("an instruction").text;
  while (tokens_.peek().kind == TokenKind::Modifier)
    i.modifiers.push_back(tokens_.take().text);
  while (!tokens_.accept(';')) {
    if (!i.operands.empty())
      tokens_.expect(',');
    i.operands.push_back(read_operand(i));
    if (i.operands.size() > kMaxOperands)
      throw PtxError(i.place, "an instruction with more than " + std::to_string(kMaxOperands) + " operands");
    if (i.operands.back().kind == OperandKind::Label)
      label_uses_.push_back({function_->instructions.size(), i.operands.size() - 1, scopes_.current()});
  }
  function_->instructions.push_back(std::move(i));
}

Operand InstructionParser::read_operand(const Instruction& i) {
  Operand first = read_simple(i);
  if (!tokens_.accept('|'))
    return first;
  Operand pair{OperandKind::Pair, first.place};
  pair.parts.push_back(std::move(first));
  pair.parts.push_back(read_simple(i));
  return pair;
}

Operand InstructionParser::read_simple(const Instruction& i) {
  const Token& t = tokens_.peek();
  if (t.is('{'))
    return read_list(i, OperandKind::Vector, '{', '}');
  if (t.is('('))
    return read_list(i, OperandKind::Arguments, '(', ')');
  if (t.is('['))
    return read_memory(i);
  if (tokens_.accept('!')) {
    Operand o = read_register(tokens_.take_name("a predicate"));
    o.negated = true;
    return o;
  }
  if (t.kind == TokenKind::Name)
    return read_name(i);
  return tokens_.take_number();
}

Operand InstructionParser::read_list(const Instruction& i, OperandKind kind, char open, char close) {
  Operand list{kind, tokens_.peek().place};
  tokens_.expect(open);
  if (tokens_.accept(close))
    return list;
  do {
    list.parts.push_back(read_simple(i));
    const OperandKind part = list.parts.back().kind;
    if (part == OperandKind::Vector || part == OperandKind::Arguments || part == OperandKind::Address)
      throw PtxError(list.place, "a list within a list of operands");
    if (list.parts.size() > kMaxOperands)
      throw PtxError(list.place, "a list of more than " + std::to_string(kMaxOperands) + " operands");
  } while (tokens_.accept(','));
  tokens_.expect(close);
  return list;
}

Operand InstructionParser::read_memory(const Instruction& i) {
  Operand address{OperandKind::Address, tokens_.peek().place};
  tokens_.expect('[');
  Operand base = tokens_.peek().kind == TokenKind::Name ? read_name(i) : tokens_.take_number();
  if (base.kind == OperandKind::Immediate) {
    address.value = base.value;
    base.value = 0;
  }
  if (tokens_.peek().is('+') || tokens_.peek().is('-'))
    address.value += read_offset();
  address.parts.push_back(std::move(base));
  if (tokens_.accept(','))
    address.parts.push_back(read_list(i, OperandKind::Vector, '{', '}'));
  tokens_.expect(']');
  return address;
}

uint64_t InstructionParser::read_offset() {
  const bool minus = !tokens_.accept('+') && tokens_.accept('-');
  const Operand n = tokens_.take_number();
  return minus ? 0 - n.value : n.value;
}

Operand InstructionParser::read_register(const Token& name) {
  const std::optional<uint32_t> id = scopes_.find_register(name.text);
  if (!id)
    TokenStream::fail(name, quoted(name.text) + " is not a register");
  Operand o{OperandKind::Register, name.place};
  o.id = *id;
  o.name = name.text;
  return o;
}

Operand InstructionParser::read_name(const Instruction& i) {
  const Token& t = tokens_.take();
  if (t.text == "_")
    return {OperandKind::Sink, t.place};
  if (t.text == "WARP_SZ") {
    Operand size{OperandKind::Immediate, t.place};
    size.value = 32;
    return size;
  }
  if (scopes_.find_register(t.text))
    return read_register(t);
  if (t.text[0] == '%')
    return read_special(t);
  if (i.opcode == "bra" || i.opcode == "brx") {
    Operand label{OperandKind::Label, t.place};
    label.name = t.text;
    return label;
  }
  return read_symbol(i, t);
}

Operand InstructionParser::read_special(const Token& t) {
  Operand special{OperandKind::Special, t.place};
  special.name = t.text;
  if (tokens_.peek().kind == TokenKind::Modifier && tokens_.peek().attached) {
    const Token& component = tokens_.take();   // the name and its component, with the dot between them
    special.name =
        std::string_view(t.text.data(), size_t(component.text.data() + component.text.size() - t.text.data()));
  }
  return special;
}

Operand InstructionParser::read_symbol(const Instruction& i, const Token& t) {
  Operand symbol{OperandKind::Symbol, t.place};
  symbol.name = t.text;
  symbol.variable = scopes_.find_variable(t.text);
  if (symbol.variable)
    return symbol;
  if (const auto prototype = prototypes_.find(t.text); prototype != prototypes_.end()) {
    symbol.kind = OperandKind::Callee;
    symbol.function = prototype->second;
    return symbol;
  }
  const auto callee = scopes_.functions.find(t.text);
  if (callee == scopes_.functions.end())
    TokenStream::fail(t, quoted(t.text) + " is not declared");
  if (i.opcode != "call")
    callee->second->is_address_taken = true;
  symbol.kind = OperandKind::Callee;
  symbol.function = callee->second;
  return symbol;
}

void InstructionParser::resolve_labels() {
  for (const LabelUse& use : label_uses_) {
    Operand& label = function_->instructions[use.instruction].operands[use.operand];
    const auto list = targets_.find(label.name);
    if (list == targets_.end()) {
      resolve(label, use.scope);
      continue;
    }
    label.parts = list->second;
    for (Operand& part : label.parts)
      resolve(part, use.scope);
  }
}
void InstructionParser::resolve(Operand& label, int scope) const {
  const std::optional<uint32_t> at = scopes_.find_label(label.name, scope);
  if (!at)
    throw PtxError(label.place, "label " + quoted(label.name) + " stands nowhere in " + quoted(function_->name));
  label.id = *at;
}
}   // namespace spectral::cpu::ptx
