// The tokens of a module, taken one after another; what is missing or does not fit is an error with its place.
#pragma once
#include "module.h"
#include <algorithm>

namespace spectral::cpu::ptx {
constexpr int kMaxNesting = 32;   // braces within braces

std::string quoted(std::string_view text);   // for reports, cut where it is long
std::string shown(const Token&);

class TokenStream {
 public:
  explicit TokenStream(std::string_view text) : tokens_(tokenize(text)) {}

  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  const Token& take() {
    const Token& t = peek();
    if (t.kind != TokenKind::End)
      ++at_;
    return t;
  }
  [[noreturn]] static void fail(const Token& t, const std::string& message) { throw PtxError(t.place, message); }

  bool accept(char symbol) {
    if (!peek().is(symbol))
      return false;
    ++at_;
    return true;
  }
  void expect(char symbol);
  bool accept_directive(std::string_view name) {
    if (!peek().is_directive(name))
      return false;
    ++at_;
    return true;
  }
  void expect_directive(std::string_view name);
  const Token& take_name(const char* what);
  uint64_t take_integer(const char* what, uint64_t limit);
  Operand take_number();   // with its signs
  std::optional<Space> take_space();

  void skip_to(char symbol);   // and behind it
  void skip_braces();

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
};
}   // namespace spectral::cpu::ptx
