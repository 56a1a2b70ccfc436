// The instructions of a function and their operands. PTX ISA, "Instruction Operands".
#pragma once
#include "scopes.h"
#include "variable_parser.h"

namespace spectral::cpu::ptx {
class InstructionParser {
 public:
  InstructionParser(TokenStream& tokens, Scopes& scopes, VariableParser& variables)
      : tokens_(tokens), scopes_(scopes), variables_(variables) {}

  void begin_function(Function& f) {
    function_ = &f;
    label_uses_.clear();
    targets_.clear();
    prototypes_.clear();
  }
  void read_label();   // or what a label names: a .callprototype, .calltargets or .branchtargets
  void read_instruction(SourceLine source);
  void resolve_labels();

 private:
  struct LabelUse {
    size_t instruction;
    size_t operand;
    int scope;
  };
  void read_prototype(const Token& name);
  void read_call_targets(const Token& name);
  void read_branch_targets(const Token& name);
  void resolve(Operand& label, int scope) const;
  Operand read_operand(const Instruction&);
  Operand read_simple(const Instruction&);
  Operand read_list(const Instruction&, OperandKind kind, char open, char close);
  Operand read_memory(const Instruction&);   // [base], [base + offset], [base, {coordinates}]
  uint64_t read_offset();
  Operand read_register(const Token& name);
  Operand read_name(const Instruction&);
  Operand read_special(const Token&);
  Operand read_symbol(const Instruction&, const Token&);

  TokenStream& tokens_;
  Scopes& scopes_;
  VariableParser& variables_;
  Function* function_ = nullptr;
  std::vector<LabelUse> label_uses_;
  std::unordered_map<std::string_view, std::vector<Operand>> targets_;   // of .branchtargets
  std::unordered_map<std::string_view, const Function*> prototypes_;     // and .calltargets
};
}   // namespace spectral::cpu::ptx
