// Builds a Program: places for variables, constants and registers, calls expanded in place, labels resolved.
#pragma once
#include "builder.h"
#include <set>
#include <unordered_map>

namespace spectral::cpu::ptx {
// register_places.cpp: for each register its place, given where it is read and written; returns the bytes needed.
struct RegisterUse {
  uint32_t step;
  uint32_t reg;
  bool writes;
};
uint32_t choose_places(
    const std::vector<Step>& steps, const std::vector<RegisterUse>& uses, const std::vector<bool>& wide,
    const std::vector<bool>& kept, uint32_t first_place, std::vector<uint32_t>* places);

class ProgramBuilder {
 public:
  ProgramBuilder(const Module&, const Function& entry, const Addresses&);
  std::unique_ptr<Program> build();

  // ---- for Builder
  uint32_t constant(uint64_t bits, bool wide);
  uint32_t sink(bool wide);   // a place that is written and never read
  uint32_t special(std::string_view name, const Operand&);
  uint32_t read_register(uint32_t id);
  uint32_t write_register(uint32_t id);
  uint32_t predicate(uint32_t id);
  uint32_t new_predicate();
  void use_async_proxy() { program_->uses_async_proxy = true; }
  uint32_t carry();   // the predicate that is the condition code
  const Register& register_at(uint32_t id) const { return frame_->function->registers[id]; }
  void keep_register(uint32_t id);
  uint64_t address_of(const Variable&, Space* space, const Operand&);
  uint32_t add_list(const std::vector<uint32_t>&);
  Step& emit(Step, const Instruction&);
  void jump_to(uint32_t instruction);   // of the step emitted last
  void end_function(Builder&);          // ret
  void call(Builder&);
  bool in_entry() const { return frame_->parent == nullptr; }

 private:
  // A function that is being expanded.
  struct Frame {
    const Function* function;
    Frame* parent;
    uint32_t first_register;
    std::unordered_map<const Variable*, size_t> locals;   // offsets in the thread's local memory
    std::vector<uint32_t> step_of;                        // of each instruction
    std::vector<std::pair<size_t, uint32_t>> jumps;       // step, instruction
  };

  void expand(Frame&);
  void add_instruction(const Instruction&);
  void add_registers(Frame&);
  size_t add_local(Frame&, const Variable&);
  void lay_out_parameters();
  void lay_out_shared(const Function&);
  void assign_places();

  const Module& module_;
  const Function& entry_;
  const Addresses& addresses_;
  std::unique_ptr<Program> program_;
  Frame* frame_ = nullptr;
  size_t expansions_ = 0;                // calls, each of which is the callee's steps anew
  std::vector<Type> registers_;          // of all frames
  std::vector<uint32_t> predicate_of_;   // number, for predicates
  std::vector<bool> kept_;
  std::vector<RegisterUse> uses_;
  std::map<std::pair<uint64_t, bool>, uint32_t> constants_;
  std::map<Special, uint32_t> specials_;
  std::unordered_map<const Variable*, size_t> shared_;
  std::unordered_map<const Variable*, size_t> parameter_offsets_;
  uint32_t fixed_bytes_ = 0;   // of constants, special registers and sinks
  std::map<bool, uint32_t> sinks_;
  uint32_t carry_ = 0;
  std::set<const Function*> laid_out_;
  size_t dynamic_align_ = 0;   // 0: the kernel names no dynamic shared memory
};

constexpr uint32_t kJumpFlag = 1u << 31;   // of Step::flags: value is a step
constexpr uint32_t kEndFlag = 1u << 30;    // the thread ends here
}   // namespace spectral::cpu::ptx
