// PTX text as tokens, each with its place, and the exception for text that is not PTX.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace spectral::cpu::ptx {
struct Place {
  uint32_t line = 0;
  uint32_t column = 0;
};

// Text that does not parse, or asks for what this device does not have.
class PtxError : public std::runtime_error {
 public:
  PtxError(Place place, const std::string& message)
      : std::runtime_error(
            "PTX line " + std::to_string(place.line) + ", column " + std::to_string(place.column) + ": " + message) {}
};

enum class TokenKind : uint8_t {
  Name,       // add, %r1, $L__BB0_1, _
  Modifier,   // .f32, .shared::cta; without its dot. Written without a space after what it belongs to, or a directive.
  Integer,
  Float32,   // 0f and eight digits
  Float64,   // 0d and sixteen digits, or a decimal fraction
  String,
  Symbol,   // one character of punctuation
  End
};

struct Token {
  TokenKind kind;
  bool attached;           // no space before it
  std::string_view text;   // of the source; a string's without its quotes
  uint64_t value;          // of a number: the integer, or the bits of the float
  Place place;

  bool is(char symbol) const { return kind == TokenKind::Symbol && text[0] == symbol; }
  bool is(std::string_view name) const { return kind == TokenKind::Name && text == name; }
  bool is_directive(std::string_view name) const { return kind == TokenKind::Modifier && text == name; }
};

// All tokens of the text, End last. The text must outlive them. Throws PtxError.
std::vector<Token> tokenize(std::string_view text);
}   // namespace spectral::cpu::ptx
