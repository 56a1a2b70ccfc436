// Declarations of variables and parameters, with initial values. PTX ISA, "State Spaces, Types, and Variables".
#pragma once
#include "scopes.h"
#include "token_stream.h"

namespace spectral::cpu::ptx {
class VariableParser {
 public:
  using Variables = std::vector<std::unique_ptr<Variable>>;
  VariableParser(TokenStream& tokens, Scopes& scopes) : tokens_(tokens), scopes_(scopes) {}

  // What follows the state space, up to the semicolon.
  void read_variables(Space space, Linkage linkage, Variables& into);
  // ( .param ..., .param ... ); those of a prototype are called _.
  void read_parameters(Variables& into, bool has_names = true);

 private:
  struct Kind {
    Type type;
    size_t align;
    size_t count;   // of a vector
  };
  Kind read_kind();
  std::unique_ptr<Variable> read_variable(Space space, const Kind& kind, Linkage linkage);
  void declare(const Variable&);
  void read_initial(Variable&);
  void read_values(Variable&, int depth, size_t room);
  void read_address(Variable&);

  TokenStream& tokens_;
  Scopes& scopes_;
};
}   // namespace spectral::cpu::ptx
