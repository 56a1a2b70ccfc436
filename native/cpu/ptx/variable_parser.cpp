#include "variable_parser.h"
#include <bit>

namespace spectral::cpu::ptx {
VariableParser::Kind VariableParser::read_kind() {
  Kind kind{Type::None, 0, 1};
  for (;;) {
    const Token& t = tokens_.peek();
    if (tokens_.accept_directive("align")) {
      kind.align = tokens_.take_integer("an alignment", 1 << 16);
      if (!std::has_single_bit(kind.align))
        TokenStream::fail(t, "an alignment is a power of two");
    } else if (tokens_.accept_directive("attribute")) {
      tokens_.expect('(');
      while (!tokens_.accept(')'))
        if (tokens_.take().kind == TokenKind::End)
          TokenStream::fail(t, "')' is missing");
    } else if (tokens_.accept_directive("ptr")) {   // says what a parameter points to; nothing follows from it here
      tokens_.take_space();
    } else if (tokens_.accept_directive("v2")) {
      kind.count = 2;
    } else if (tokens_.accept_directive("v4")) {
      kind.count = 4;
    } else if (t.kind == TokenKind::Modifier && kind.type == Type::None) {
      kind.type = type_named(t.text);
      if (bytes_of(kind.type) == 0)
        TokenStream::fail(t, "a variable of type ." + std::string(t.text) + " is not supported");
      tokens_.take();
    } else {
      break;
    }
  }
  if (kind.type == Type::None)
    TokenStream::fail(tokens_.peek(), "a type is missing before " + shown(tokens_.peek()));
  kind.align = std::max(kind.align, size_t(bytes_of(kind.type)) * kind.count);
  return kind;
}

std::unique_ptr<Variable> VariableParser::read_variable(Space space, const Kind& kind, Linkage linkage) {
  auto v = std::make_unique<Variable>();
  const Token& name = tokens_.take_name("a variable's name");
  v->place = name.place;
  v->name = name.text;
  v->space = space;
  v->type = kind.type;
  v->align = kind.align;
  v->linkage = linkage;
  size_t count = kind.count;
  while (tokens_.accept('[')) {
    if (tokens_.accept(']')) {
      count = 0;
      continue;
    }
    const uint64_t n = tokens_.take_integer("an array's length", kMaxVariable);
    if (count && n > kMaxVariable / count / size_t(bytes_of(kind.type)))
      TokenStream::fail(name, "variable " + quoted(v->name) + " is larger than this device takes");
    count *= n;
    tokens_.expect(']');
  }
  v->bytes = count * size_t(bytes_of(kind.type));
  return v;
}

void VariableParser::declare(const Variable& v) {
  if (scopes_.current() == 0 && scopes_.functions.count(v.name))
    throw PtxError(v.place, quoted(v.name) + " is a function already");
  if (!scopes_.add_variable(v))
    throw PtxError(v.place, quoted(v.name) + " is declared twice");
}

void VariableParser::read_initial(Variable& v) {
  if (v.space != Space::Global && v.space != Space::Const)
    TokenStream::fail(
        tokens_.peek(),
        "variable " + quoted(v.name) + " has an initial value; those of ." + name_of(v.space) + " have none");
  if (v.bytes == 0 && v.linkage != Linkage::Extern) {   // the length follows from the values
    read_values(v, 0, SIZE_MAX);
    v.bytes = v.initial.size();
  } else {
    read_values(v, 0, v.bytes);
  }
}

void VariableParser::read_values(Variable& v, int depth, size_t room) {
  if (depth > kMaxNesting)
    TokenStream::fail(tokens_.peek(), "braces are nested too deep");
  if (tokens_.accept('{')) {
    do
      read_values(v, depth + 1, room);
    while (tokens_.accept(','));
    return tokens_.expect('}');
  }
  const Token& t = tokens_.peek();
  const size_t size = size_t(bytes_of(v.type));
  if (v.initial.size() + size > room)
    TokenStream::fail(t, "more values than variable " + quoted(v.name) + " has room for");
  uint64_t bits = 0;
  if (t.kind == TokenKind::Name) {
    read_address(v);
  } else {
    const Operand value = tokens_.take_number();
    bits = value.is_float && v.type == Type::F32 ? std::bit_cast<uint32_t>(float(std::bit_cast<double>(value.value)))
                                                 : value.value;
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(&bits);
  v.initial.insert(v.initial.end(), bytes, bytes + size);
}

void VariableParser::read_address(Variable& v) {
  const Token& first = tokens_.take();
  const bool generic = first.is("generic");
  if (generic)
    tokens_.expect('(');
  const Token& name = generic ? tokens_.take_name("a variable") : first;
  if (generic)
    tokens_.expect(')');
  const Variable* to = scopes_.find_variable(name.text);
  const auto callee = scopes_.functions.find(name.text);
  Function* function = to || callee == scopes_.functions.end() ? nullptr : callee->second;
  const bool has_address = function || (to && (to->space == Space::Global || to->space == Space::Const));
  if (!has_address || bytes_of(v.type) != 8)
    TokenStream::fail(
        name, "an initial value is a number, or in 64 bits the address of a function or .global or .const variable");
  if (function)
    function->is_address_taken = true;
  int64_t addend = 0;
  if (tokens_.accept('+'))
    addend = int64_t(tokens_.take_integer("an offset", kMaxVariable));
  v.addresses.push_back({v.initial.size(), to, function, addend, generic});
}

void VariableParser::read_variables(Space space, Linkage linkage, Variables& into) {
  const Kind kind = read_kind();
  do {
    into.push_back(read_variable(space, kind, linkage));
    declare(*into.back());
    if (tokens_.accept('='))
      read_initial(*into.back());
  } while (tokens_.accept(','));
  tokens_.expect(';');
}

void VariableParser::read_parameters(Variables& into, bool has_names) {
  tokens_.expect('(');
  if (tokens_.accept(')'))
    return;
  do {
    const Token& t = tokens_.peek();
    const std::optional<Space> space = tokens_.take_space();
    if (space != Space::Param)
      TokenStream::fail(t, "a parameter is declared as .param, not " + shown(t));
    const Kind kind = read_kind();
    into.push_back(read_variable(Space::Param, kind, Linkage::Internal));
    if (has_names)
      declare(*into.back());
  } while (tokens_.accept(','));
  tokens_.expect(')');
}
}   // namespace spectral::cpu::ptx
