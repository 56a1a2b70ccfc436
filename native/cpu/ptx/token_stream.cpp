#include "token_stream.h"

namespace spectral::cpu::ptx {
std::string quoted(std::string_view text) {
  constexpr size_t kShown = 60;
  std::string q("'");
  q.append(text.substr(0, kShown));
  return q.append(text.size() > kShown ? "...'" : "'");
}
std::string shown(const Token& t) { return t.kind == TokenKind::End ? "the end of the text" : quoted(t.text); }

void TokenStream::expect(char symbol) {
  if (!accept(symbol))
    fail(peek(), std::string("'") + symbol + "' is missing before " + shown(peek()));
}
void TokenStream::expect_directive(std::string_view name) {
  if (!accept_directive(name))
    fail(peek(), std::string(".").append(name) + " is missing before " + shown(peek()));
}
const Token& TokenStream::take_name(const char* what) {
  if (peek().kind != TokenKind::Name)
    fail(peek(), std::string(what) + " is missing before " + shown(peek()));
  return take();
}
uint64_t TokenStream::take_integer(const char* what, uint64_t limit) {
  const Token& t = peek();
  if (t.kind != TokenKind::Integer)
    fail(t, std::string(what) + " is a number, not " + shown(t));
  if (t.value > limit)
    fail(t, std::string(what) + " is at most " + std::to_string(limit));
  return take().value;
}
void TokenStream::skip_to(char symbol) {
  while (!peek().is(symbol))
    if (take().kind == TokenKind::End)
      fail(peek(), std::string("'") + symbol + "' is missing");
  expect(symbol);
}

Operand TokenStream::take_number() {
  Operand number{OperandKind::Immediate, peek().place};
  bool minus = false;
  bool inverted = false;
  while (peek().is('-') || peek().is('~')) {
    minus ^= peek().is('-');
    inverted ^= peek().is('~');
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

std::optional<Space> TokenStream::take_space() {
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

void TokenStream::skip_braces() {
  while (!peek().is('{'))
    if (take().kind == TokenKind::End)
      fail(peek(), "'{' is missing");
  int depth = 0;
  do {
    depth += peek().is('{') - peek().is('}');
    if (take().kind == TokenKind::End)
      fail(peek(), "'}' is missing");
  } while (depth);
}
}   // namespace spectral::cpu::ptx
