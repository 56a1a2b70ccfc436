// Builds a Program: places for variables, constants and registers, calls expanded in place, labels resolved.
#pragma once
#include "builder.h"
#include <set>
#include <unordered_map>

namespace spectral::cpu::ptx {
struct RegisterUse {
  uint32_t step;
  uint32_t reg;
  bool writes;
};

struct BasicBlock;

class ProgramBuilder {
 public:
  ProgramBuilder(const Module&, const Function& entry, const Addresses&);
  std::unique_ptr<Program> build();

  // ---- for Builder
  uint32_t constant(uint64_t bits, bool wide);
  uint32_t sink(bool wide);   // a place that is written and never read
  uint32_t special(std::string_view name, const Operand&);
  static bool is_zero(std::string_view special);   // of any size: counters and registers that are 0 here
  uint32_t read_register(uint32_t id);
  uint32_t write_register(uint32_t id);
  uint32_t read_predicate(uint32_t id) { return use_predicate(id, false); }
  uint32_t write_predicate(uint32_t id) { return use_predicate(id, true); }
  uint32_t new_predicate();
  void use_async_proxy() { program_->uses_async_proxy = true; }
  void use_warpgroups() { program_->uses_warpgroups = true; }
  uint32_t carry();                              // the predicate that is the condition code
  std::string named(const Instruction&) const;   // the instruction and the function it stands in, for reports
  const Register& register_at(uint32_t id) const { return frame_->function->registers[id]; }
  void keep_register(uint32_t id);
  uint64_t address_of(const Variable&, Space* space, const Operand&);
  uint32_t add_list(const std::vector<uint32_t>&);
  Step& emit(Step, const Instruction&);
  void jump_to(uint32_t instruction);                          // of the step emitted last
  void switch_to(Step&, const std::vector<Operand>& labels);   // by a list of steps
  void end_function(Builder&);                                 // ret
  void call(Builder&);
  bool in_entry() const { return frame_->function == &entry_; }
  bool has_own_frame() const { return frame_->owner != nullptr; }   // its local memory begins where a register says
  uint32_t frame_register();
  uint32_t frame_address(uint64_t offset, const Instruction&);   // of local memory, as a value
  uint32_t read_stack() { return use(stack_, false); }
  uint32_t write_stack() { return use(stack_, true); }

 private:
  // A function that is being expanded.
  struct Frame {
    const Function* function;
    Frame* parent = nullptr;
    Frame* owner = nullptr;   // the function with code of its own that this is part of; null: the kernel
    uint32_t first_register = 0;
    size_t own_bytes = 0;                                      // of an owner's local memory
    uint32_t frame_register = 0;                               // of an owner: where its local memory begins
    size_t callable = 0;                                       // of an owner
    std::unordered_map<const Variable*, size_t> locals = {};   // offsets in the thread's local memory
    std::vector<uint32_t> step_of = {};                        // of each instruction
    std::vector<std::pair<size_t, uint32_t>> jumps = {};       // step, instruction
    std::vector<std::pair<size_t, uint32_t>> switches = {};    // entry of Program::lists, instruction
  };

  // calls.cpp
  void plan_calls();
  void expand_own(size_t callable);
  void begin_stack();
  bool uses_stack() const { return stack_ != kNoRegister; }
  void call_own(Builder&, const CallSite&, const Operand* target);
  void call_in_place(Builder&, const Function&, const Operand* results, const Operand* arguments);
  CallSite bind(Builder&, const Function& signature, const Operand* results, const Operand* arguments);
  void set_return(Step&);

  void expand(Frame&);
  void add_instruction(const Instruction&);
  void add_registers(Frame&);
  size_t add_local(Frame&, const Variable&);
  Step& emit_own(Run);
  uint32_t add_hidden_register();
  uint32_t use(uint32_t reg, bool writes);
  uint32_t use_predicate(uint32_t id, bool writes);
  void take_cluster();
  void lay_out_parameters();
  void lay_out_shared(const Function&);
  void assign_places();
  void list_uses(const std::vector<uint32_t>& places);
  void follow_accumulators();
  // invariants.cpp: marks the steps; returns which registers they write.
  Scope scope_of_specials(uint32_t step) const;
  std::vector<bool> find_invariants(const std::vector<BasicBlock>&);
  void find_lines(const std::vector<BasicBlock>&, const std::vector<bool>& invariants);   // lines.cpp

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
  std::vector<RegisterUse> predicate_uses_;
  // Steps that read a special register of the warp or block.
  std::vector<std::pair<uint32_t, Scope>> special_reads_;
  std::map<std::pair<uint64_t, bool>, uint32_t> constants_;
  std::map<Special, uint32_t> specials_;
  std::unordered_map<const Variable*, size_t> shared_;
  std::unordered_map<const Variable*, size_t> parameter_offsets_;
  uint32_t fixed_bytes_ = 0;   // of constants, special registers and sinks
  std::map<bool, uint32_t> sinks_;
  uint32_t carry_ = 0;
  std::set<const Function*> laid_out_;
  static constexpr uint32_t kNoRegister = ~0u;
  uint32_t stack_ = kNoRegister;                           // the register that says where free local memory begins
  std::unordered_map<const Function*, size_t> own_code_;   // functions that are called, not expanded
  size_t dynamic_align_ = 0;                               // 0: the kernel names no dynamic shared memory
};

constexpr uint32_t kJumpFlag = 1u << 31;     // of Step::flags: value is a step
constexpr uint32_t kEndFlag = 1u << 30;      // the thread ends here, or returns
constexpr uint32_t kSwitchFlag = 1u << 29;   // the list has `value` steps
}   // namespace spectral::cpu::ptx
