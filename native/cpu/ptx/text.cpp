// PTX ISA, "Syntax": source format, identifiers, constants.
#include "text.h"
#include <bit>
#include <charconv>
#include <cstdio>

namespace spectral::cpu::ptx {
namespace {
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool starts_name(char c) { return is_letter(c) || c == '_' || c == '$' || c == '%'; }
bool continues_name(char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '$'; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }

std::string shown(char c) {
  if (c >= ' ' && c < 127)
    return std::string("'") + c + "'";
  char text[16];
  std::snprintf(text, sizeof text, "byte 0x%02x", unsigned(static_cast<unsigned char>(c)));
  return text;
}

class Tokenizer {
 public:
  explicit Tokenizer(std::string_view text) : text_(text) {}

  std::vector<Token> run() {
    for (;;) {
      const size_t before = at_;
      skip_space();
      begin_ = at_;
      place_ = {line_, uint32_t(at_ - line_start_ + 1)};
      attached_ = at_ == before && before != 0;
      if (at_ == text_.size())
        break;
      take_token();
    }
    add(TokenKind::End, 0);
    return std::move(tokens_);
  }

 private:
  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  [[noreturn]] void fail(const std::string& message) const { throw PtxError(place_, message); }

  void add(TokenKind kind, uint64_t value) {
    tokens_.push_back({kind, attached_, text_.substr(begin_, at_ - begin_), value, place_});
  }

  void advance() {
    if (text_[at_++] == '\n') {
      ++line_;
      line_start_ = at_;
    }
  }

  void skip_space() {
    while (at_ < text_.size()) {
      if (is_space(peek())) {
        advance();
      } else if (peek() == '/' && peek(1) == '/') {
        while (at_ < text_.size() && peek() != '\n')
          ++at_;
      } else if (peek() == '/' && peek(1) == '*') {
        skip_block_comment();
      } else {
        return;
      }
    }
  }

  void skip_block_comment() {
    place_ = {line_, uint32_t(at_ - line_start_ + 1)};
    at_ += 2;
    while (!(peek() == '*' && peek(1) == '/')) {
      if (at_ == text_.size())
        fail("this comment has no end");
      advance();
    }
    at_ += 2;
  }

  void take_token() {
    const char c = peek();
    if (c == '"')
      return take_string();
    if (is_digit(c))
      return take_number();
    if (c == '.' && (continues_name(peek(1)) || peek(1) == '%'))
      return take_modifier();
    if (starts_name(c)) {
      ++at_;
      while (continues_name(peek()))
        ++at_;
      return add(TokenKind::Name, 0);
    }
    constexpr std::string_view kSymbols = ",;:[]{}()<>+-*/@!|=&^~?%.";
    if (kSymbols.find(c) == std::string_view::npos)
      fail(shown(c) + " has no place in PTX");
    ++at_;
    add(TokenKind::Symbol, 0);
  }

  // A dot and a word; words joined by :: are one (shared::cta).
  void take_modifier() {
    begin_ = ++at_;
    while (continues_name(peek()) || (peek() == ':' && peek(1) == ':' && continues_name(peek(2))))
      at_ += peek() == ':' ? 2 : 1;
    add(TokenKind::Modifier, 0);
  }

  void take_string() {
    begin_ = ++at_;
    while (peek() != '"') {
      if (at_ == text_.size() || peek() == '\n')
        fail("this string has no end");
      ++at_;
    }
    add(TokenKind::String, 0);
    ++at_;
  }

  void take_number() {
    if (peek() == '0' && (peek(1) == 'f' || peek(1) == 'F'))
      return take_bits(TokenKind::Float32, 8);
    if (peek() == '0' && (peek(1) == 'd' || peek(1) == 'D'))
      return take_bits(TokenKind::Float64, 16);
    if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'X'))
      return take_integer(2, 16);
    if (peek() == '0' && (peek(1) == 'b' || peek(1) == 'B'))
      return take_integer(2, 2);
    size_t end = at_;
    while (is_digit(text_[end]) && end + 1 < text_.size())
      ++end;
    if (text_[end] == '.' && end + 1 < text_.size() && is_digit(text_[end + 1]))
      return take_decimal();
    take_integer(0, peek() == '0' && is_digit(peek(1)) ? 8 : 10);
  }

  void take_bits(TokenKind kind, int digits) {
    at_ += 2;
    const char* first = text_.data() + at_;
    int count = 0;
    while (is_hex(peek())) {
      ++at_;
      ++count;
    }
    if (count != digits)
      fail(
          "a float of " + std::to_string(digits * 4) + " bits has " + std::to_string(digits) + " digits, not " +
          std::to_string(count));
    uint64_t value = 0;
    std::from_chars(first, first + count, value, 16);
    add(kind, value);
  }

  void take_decimal() {
    double value = 0;
    const char* first = text_.data() + at_;
    const auto result = std::from_chars(first, text_.data() + text_.size(), value);
    if (result.ec != std::errc())
      fail("this number is beyond a 64-bit float");
    at_ += size_t(result.ptr - first);
    add(TokenKind::Float64, std::bit_cast<uint64_t>(value));
  }

  void take_integer(int prefix, int base) {
    at_ += size_t(prefix);
    const char* first = text_.data() + at_;
    uint64_t value = 0;
    const auto result = std::from_chars(first, text_.data() + text_.size(), value, base);
    if (result.ec == std::errc::result_out_of_range)
      fail("this integer does not fit in 64 bits");
    if (result.ec != std::errc())
      fail("a number without digits");
    at_ += size_t(result.ptr - first);
    if (peek() == 'U')
      ++at_;
    if (continues_name(peek()))
      fail("a number is followed by " + shown(peek()));
    add(TokenKind::Integer, value);
  }

  std::string_view text_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  size_t begin_ = 0;
  size_t line_start_ = 0;
  uint32_t line_ = 1;
  Place place_;
  bool attached_ = false;
};
}   // namespace

std::vector<Token> tokenize(std::string_view text) { return Tokenizer(text).run(); }
}   // namespace spectral::cpu::ptx
