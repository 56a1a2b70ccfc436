// What the instruction tables use to turn an instruction into a step: its modifiers are taken in order, its operands
// are asked for by position and type, and what is left over or does not fit is an error with its place.
#pragma once
#include "program.h"

namespace spectral::cpu::ptx {
class ProgramBuilder;

struct MemoryOperand {
  uint32_t base;   // place of the address
  bool wide;       // 64 bits of it
  bool is_fixed;   // a variable's or a number
  uint64_t fixed;
  int64_t offset;
  Space space;                  // of the variable it names, Generic if it names none
  const Operand* coordinates;   // of a tensor, else null
};

class Builder {
 public:
  Builder(ProgramBuilder& program, const Instruction& instruction, StepClass kind)
      : program_(program), instruction_(instruction), kind_(kind) {}

  // ---- modifiers
  bool take(std::string_view modifier);
  // The index of the modifier found in names, or -1.
  int take_one_of(std::initializer_list<std::string_view> names);
  std::string_view peek(size_t ahead = 0) const;   // empty at the end
  Type take_type();
  void skip_modifier() { ++modifier_; }
  void skip_cache_hints();                                               // L1::, L2::
  void skip_modifiers() { modifier_ = instruction_.modifiers.size(); }   // hints that change nothing here
  Space take_space();                                                    // Generic if none is written
  void no_more_modifiers();

  // ---- operands
  size_t count() const { return instruction_.operands.size(); }
  const Operand& operand(size_t index) const;
  void expect_operands(size_t least, size_t most);
  void expect_operands(size_t n) { expect_operands(n, n); }
  bool is_sink(const Operand& o) const { return o.kind == OperandKind::Sink; }
  // Places of a value of the type; a register's size is checked.
  uint32_t read(size_t index, Type type) { return read(operand(index), type); }
  uint32_t read(const Operand&, Type);
  uint32_t write(size_t index, Type type) { return write(operand(index), type); }
  uint32_t write(const Operand&, Type);
  uint32_t constant(uint64_t bits, bool wide);
  // A predicate's number; negated reads are refused unless `negated` is asked for.
  uint32_t read_predicate(const Operand&, bool* negated = nullptr);
  uint32_t write_predicate(const Operand&);   // a sink gets a number that nobody reads
  bool is_predicate(const Operand&) const;
  Type register_type(const Operand&) const;   // None if it is no register
  int64_t read_immediate(size_t index, int64_t least, int64_t most);
  MemoryOperand memory(size_t index) { return memory(operand(index)); }
  MemoryOperand memory(const Operand&);
  // Registers that hold their values for longer than the program's order shows, as a wgmma's accumulators.
  void keep(const Operand&);
  void use_async_proxy();   // the kernel has copies or products that read shared memory by it
  void use_warpgroups();    // the kernel has instructions of whole warpgroups
  uint32_t carry();         // the number of the predicate that is the condition code
  // Places of a vector's elements, or of the one operand, as entries of Program::lists; returns the first.
  uint32_t list(const std::vector<uint32_t>& places);
  static const std::vector<Operand>* parts_of(const Operand& o) {
    return o.kind == OperandKind::Vector ? &o.parts : nullptr;
  }

  Step& emit(Run);
  [[noreturn]] void fail(const std::string& message) const;
  [[noreturn]] void fail(const Operand&, const std::string& message) const;
  const Instruction& instruction() const { return instruction_; }
  ProgramBuilder& program() { return program_; }

 private:
  ProgramBuilder& program_;
  const Instruction& instruction_;
  StepClass kind_;
  size_t modifier_ = 0;
};

// An instruction of PTX by its first word, and what makes a step of it.
struct InstructionRow {
  const char* opcode;
  StepClass kind;
  void (*build)(Builder&);
};
const InstructionRow* find_instruction(std::string_view opcode);

// The tables, one per family (instructions.cpp joins them).
struct InstructionTable {
  const InstructionRow* rows;
  size_t count;
};
InstructionTable integer_instructions();
InstructionTable float_instructions();
InstructionTable logic_instructions();
InstructionTable comparison_instructions();
InstructionTable conversion_instructions();
InstructionTable memory_instructions();
InstructionTable move_instructions();
InstructionTable address_instructions();
InstructionTable atomic_instructions();
InstructionTable control_instructions();
InstructionTable barrier_instructions();
InstructionTable warp_instructions();
InstructionTable async_instructions();
InstructionTable matrix_instructions();
InstructionTable matrix_moves();
InstructionTable wmma_instructions();
InstructionTable video_instructions();
InstructionTable warpgroup_instructions();
}   // namespace spectral::cpu::ptx
