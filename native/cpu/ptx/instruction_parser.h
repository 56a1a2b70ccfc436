// The instructions of a function and their operands. PTX ISA, "Instruction Operands".
#pragma once
#include "scopes.h"
#include "token_stream.h"

namespace spectral::cpu::ptx {
class InstructionParser {
 public:
  InstructionParser(TokenStream& tokens, Scopes& scopes) : tokens_(tokens), scopes_(scopes) {}

  void begin_function(Function& f) {
    function_ = &f;
    label_uses_.clear();
  }
  void read_label();
  void read_instruction(SourceLine source);
  void resolve_labels();

 private:
  struct LabelUse {
    size_t instruction;
    size_t operand;
    int scope;
  };
  Operand read_operand(const Instruction&);
  Operand read_simple(const Instruction&);
  Operand read_list(const Instruction&, OperandKind kind, char open, char close);
  Operand read_memory(const Instruction&);
  uint64_t read_offset();
  Operand read_register(const Token& name);
  Operand read_name(const Instruction&);
  Operand read_special(const Token&);
  Operand read_symbol(const Token&);

  TokenStream& tokens_;
  Scopes& scopes_;
  Function* function_ = nullptr;
  std::vector<LabelUse> label_uses_;
};
}   // namespace spectral::cpu::ptx
