#include "chain.h"
#include "liveness.h"
#include "steps.h"
#include "targets.h"
#include <algorithm>
#include <atomic>
#include <cstring>

namespace spectral::cpu::ptx {
namespace {
constexpr size_t kMaxSteps = size_t(4) << 20;           // of a kernel with its calls
constexpr size_t kMaxLocal = size_t(512) << 10;         // bytes of a thread, as on a GPU
constexpr size_t kMaxStaticShared = size_t(48) << 10;   // bytes of a block, as on a GPU
constexpr size_t kStackBytes = size_t(64) << 10;        // of a thread, for calls that are not expanded and for alloca
}   // namespace

uint64_t next_program_number() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

ProgramBuilder::ProgramBuilder(const Module& module, const Function& entry, const Addresses& addresses)
    : module_(module), entry_(entry), addresses_(addresses), program_(std::make_unique<Program>()) {}

std::unique_ptr<Program> ProgramBuilder::build() {
  program_->name = entry_.name;
  program_->module = &module_;
  for (const auto& [variable, address] : addresses_)
    if (variable->space == Space::Const)
      program_->constant_memory.emplace_back(address, address + variable->bytes);
  const unsigned* most = entry_.required_threads[0] ? entry_.required_threads : entry_.max_threads;
  if (most[0])
    program_->max_threads = unsigned(std::min<uint64_t>(1024, uint64_t(most[0]) * most[1] * most[2]));
  std::copy_n(entry_.required_threads, 3, program_->required_threads);
  take_cluster();
  lay_out_parameters();
  plan_calls();
  lay_out_shared(entry_);
  for (const Callable& c : program_->callables)
    lay_out_shared(*c.function);
  if (dynamic_align_)
    program_->shared_bytes = round_up(program_->shared_bytes, dynamic_align_);
  for (size_t i = 0; i < program_->callables.size(); ++i)
    expand_own(i);
  program_->first_step = uint32_t(program_->steps.size());
  Frame frame{&entry_};
  if (uses_stack())
    begin_stack();
  expand(frame);
  if (program_->shared_bytes > kMaxStaticShared)
    throw PtxError(
        entry_.place,
        "kernel '" + entry_.name + "' has " + std::to_string(program_->shared_bytes) +
            " bytes of .shared variables; a block has at most 49152");
  constexpr size_t kWidest = 16;   // bytes of an access: each lane's local memory is aligned for it
  if (uses_stack()) {
    program_->stack_start = round_up(program_->local_bytes, kWidest);
    program_->local_bytes = program_->stack_start + kStackBytes;
  }
  program_->local_stride = round_up(program_->local_bytes, kWidest);
  assign_places();
  return std::move(program_);
}

// PTX ISA, "Cluster Dimension Directives"
void ProgramBuilder::take_cluster() {
  const unsigned* c = entry_.cluster;
  constexpr uint64_t kMostBlocks = 16;
  if (entry_.max_cluster && c[0])
    throw PtxError(entry_.place, ".maxclusterrank and .reqnctapercluster exclude each other");
  if (c[0] &&
      (!c[1] || !c[2] || c[0] > kMostBlocks || c[1] > kMostBlocks || uint64_t(c[0]) * c[1] * c[2] > kMostBlocks))
    throw PtxError(entry_.place, "a cluster has 1 to 16 blocks");
  if (entry_.counts_clusters && !(c[0] && entry_.required_threads[0]))
    throw PtxError(entry_.place, ".blocksareclusters needs .reqntid and .reqnctapercluster");
  std::copy_n(c, 3, program_->cluster);
  program_->max_cluster = entry_.max_cluster;
  program_->needs_cluster = entry_.needs_cluster;
  program_->counts_clusters = entry_.counts_clusters;
}

void ProgramBuilder::lay_out_parameters() {
  size_t at = 0;
  for (const auto& p : entry_.parameters) {
    at = round_up(at, p->align);
    parameter_offsets_[p.get()] = at;
    program_->parameters.push_back({at, p->bytes, p->type});
    at += p->bytes;
    if (at > kMaxParameters)
      throw PtxError(p->place, "kernel '" + entry_.name + "' has more than 32764 bytes of parameters");
  }
  program_->parameter_bytes = at;
}

// The .shared variables that the kernel and what it calls declare or name, then the dynamic shared memory.
void ProgramBuilder::lay_out_shared(const Function& f) {
  auto add = [&](const Variable* v) {
    if (!v || v->space != Space::Shared)
      return;
    if (v->bytes == 0) {
      dynamic_align_ = std::max(dynamic_align_, v->align);
    } else if (!shared_.count(v)) {
      const size_t at = round_up(program_->shared_bytes, v->align);
      shared_[v] = at;
      program_->shared_bytes = at + v->bytes;
    }
  };
  if (!laid_out_.insert(&f).second)
    return;
  for (const auto& v : f.variables)
    add(v.get());
  auto visit = [&](const Operand& o) {
    add(o.variable);
    if (o.function)
      lay_out_shared(*o.function);
  };
  for (const Instruction& i : f.instructions)
    for (const Operand& o : i.operands) {
      visit(o);
      for (const Operand& part : o.parts)
        visit(part);
    }
}

std::string ProgramBuilder::named(const Instruction& i) const {
  std::string text("'");
  return text.append(i.spelling()).append("' of '").append(frame_->function->name).append("'");
}

// ---- functions
void ProgramBuilder::add_registers(Frame& frame) {
  frame.first_register = uint32_t(registers_.size());
  for (const Register& r : frame.function->registers) {
    registers_.push_back(r.type);
    predicate_of_.push_back(r.type == Type::Pred ? program_->predicates++ : 0);
    kept_.push_back(false);
  }
}
size_t ProgramBuilder::add_local(Frame& frame, const Variable& v) {
  size_t& bytes = frame.owner ? frame.owner->own_bytes : program_->local_bytes;
  const size_t at = round_up(bytes, std::max<size_t>(v.align, 1));
  bytes = at + v.bytes;
  if (bytes > kMaxLocal)
    throw PtxError(v.place, "kernel '" + entry_.name + "' has more than 512 KiB of local memory per thread");
  return frame.locals[&v] = at;
}

void ProgramBuilder::expand(Frame& frame) {
  Frame* const outer = frame_;
  frame_ = &frame;
  add_registers(frame);
  for (const auto& v : frame.function->variables) {
    if (v->space == Space::Local || v->space == Space::Param)
      add_local(frame, *v);
    else if (v->space != Space::Shared)
      throw PtxError(v->place, "a variable of a function is in .local, .shared or .param here");
  }
  for (const Instruction& i : frame.function->instructions) {
    frame.step_of.push_back(uint32_t(program_->steps.size()));
    add_instruction(i);
  }
  frame.step_of.push_back(uint32_t(program_->steps.size()));
  if (in_entry() || frame.owner == &frame) {   // what runs off the end has ended
    Step& end = emit_own(in_entry() ? &end_threads : &return_from_call);
    end.flags = kEndFlag;
    if (!in_entry())
      set_return(end);
  }
  for (const auto& [step, target] : frame.jumps)
    program_->steps[step].value = frame.step_of[target];
  for (const auto& [entry, target] : frame.switches)
    program_->lists[entry] = frame.step_of[target];
  frame_ = outer;
}

void ProgramBuilder::add_instruction(const Instruction& i) {
  const InstructionRow* row = find_instruction(i.opcode);
  if (!row)
    throw PtxError(i.place, "instruction " + named(i) + " is not supported");
  check_target(i, frame_->function->target);
  if (program_->steps.size() > kMaxSteps)
    throw PtxError(i.place, "kernel '" + entry_.name + "' is longer than this device takes");
  Builder builder(*this, i, row->kind);
  row->build(builder);
  builder.no_more_modifiers();
}

void ProgramBuilder::end_function(Builder& b) {
  if (in_entry()) {
    b.emit(&end_threads).flags |= kEndFlag;
  } else if (frame_->owner == frame_) {
    Step& s = b.emit(&return_from_call);
    s.flags |= kEndFlag;
    set_return(s);
  } else {
    b.emit(&jump);
    jump_to(uint32_t(frame_->function->instructions.size()));
  }
}

void ProgramBuilder::jump_to(uint32_t instruction) {
  program_->steps.back().flags |= kJumpFlag;
  frame_->jumps.emplace_back(program_->steps.size() - 1, instruction);
}
void ProgramBuilder::switch_to(Step& s, const std::vector<Operand>& labels) {
  s.list = add_list(std::vector<uint32_t>(labels.size()));
  s.value = int64_t(labels.size());
  s.flags |= kSwitchFlag;
  for (size_t i = 0; i < labels.size(); ++i)
    frame_->switches.emplace_back(s.list + i, labels[i].id);
}

// ---- operands
uint32_t ProgramBuilder::constant(uint64_t bits, bool wide) {
  if (!wide)
    bits &= UINT32_MAX;
  auto [it, added] = constants_.try_emplace({bits, wide}, fixed_bytes_);
  if (added) {
    program_->constants.push_back({fixed_bytes_, wide, bits});
    fixed_bytes_ += wide ? 2 * kUnit : kUnit;
  }
  return it->second;
}
uint32_t ProgramBuilder::sink(bool wide) {
  auto [it, added] = sinks_.try_emplace(wide, fixed_bytes_);
  if (added)
    fixed_bytes_ += wide ? 2 * kUnit : kUnit;
  return it->second;
}
uint32_t ProgramBuilder::use(uint32_t reg, bool writes) {
  uses_.push_back({uint32_t(program_->steps.size()), reg, writes});
  return kRegisterMark | reg;
}
uint32_t ProgramBuilder::read_register(uint32_t id) { return use(frame_->first_register + id, false); }
uint32_t ProgramBuilder::write_register(uint32_t id) { return use(frame_->first_register + id, true); }
uint32_t ProgramBuilder::add_hidden_register() {
  registers_.push_back(Type::B64);
  predicate_of_.push_back(0);
  kept_.push_back(true);
  return uint32_t(registers_.size() - 1);
}
void ProgramBuilder::keep_register(uint32_t id) { kept_[frame_->first_register + id] = true; }
uint32_t ProgramBuilder::use_predicate(uint32_t id, bool writes) {
  const uint32_t number = predicate_of_[frame_->first_register + id];
  predicate_uses_.push_back({uint32_t(program_->steps.size()), number, writes});
  return number;
}
uint32_t ProgramBuilder::new_predicate() { return program_->predicates++; }
uint32_t ProgramBuilder::carry() {
  if (!carry_)
    carry_ = new_predicate();
  return carry_;
}

uint64_t ProgramBuilder::address_of(const Variable& v, Space* space, const Operand& o) {
  *space = v.space;
  switch (v.space) {
    case Space::Param:
      if (auto it = parameter_offsets_.find(&v); in_entry() && it != parameter_offsets_.end())
        return it->second;
      [[fallthrough]];
    case Space::Local:
      if (auto it = frame_->locals.find(&v); it != frame_->locals.end()) {
        *space = Space::Local;
        return it->second;
      }
      break;
    case Space::Shared:
      return v.bytes ? shared_.at(&v) : program_->shared_bytes;   // dynamic shared memory lies behind the variables
    default:
      if (auto it = addresses_.find(&v); it != addresses_.end())
        return it->second;
  }
  throw PtxError(o.place, "variable '" + v.name + "' has no address here");
}

uint32_t ProgramBuilder::add_list(const std::vector<uint32_t>& places) {
  const auto first = uint32_t(program_->lists.size());
  program_->lists.insert(program_->lists.end(), places.begin(), places.end());
  return first;
}

// A step that no instruction stands for.
Step& ProgramBuilder::emit_own(Run run) {
  Step step{run};
  step.kind = StepClass::Part;
  step.line = frame_ ? frame_->function->place.line : entry_.place.line;
  program_->steps.push_back(step);
  program_->sources.push_back({});
  return program_->steps.back();
}
Step& ProgramBuilder::emit(Step step, const Instruction& i) {
  program_->uses_copies |= step.kind == StepClass::AsyncCopy;
  step.line = i.place.line;
  program_->steps.push_back(step);
  program_->sources.push_back(i.source);
  return program_->steps.back();
}

void ProgramBuilder::assign_places() {
  std::vector<bool> wide(registers_.size());
  for (size_t r = 0; r < registers_.size(); ++r) {
    if (registers_[r] == Type::B128)
      throw PtxError(entry_.place, "128-bit registers are not supported");
    wide[r] = bytes_of(registers_[r]) == 8;
  }
  std::stable_sort(uses_.begin(), uses_.end(), [](const RegisterUse& a, const RegisterUse& b) {   // reads first
    return a.step != b.step ? a.step < b.step : a.writes < b.writes;
  });
  follow_accumulators();
  std::vector<uint32_t> places;
  program_->fixed_bytes = fixed_bytes_;
  const std::vector<BasicBlock> blocks = find_live(*program_, uses_, registers_.size());
  const std::vector<bool> fixed = find_invariants(blocks);
  find_lines(blocks, fixed);
  program_->register_bytes = choose_places(*program_, blocks, uses_, wide, kept_, fixed, &places);
  auto resolve = [&](uint32_t& place) {
    if (place & kRegisterMark)
      place = places[place & ~kRegisterMark];
  };
  for (Step& s : program_->steps) {
    resolve(s.d);
    resolve(s.a);
    resolve(s.b);
    resolve(s.c);
  }
  for (uint32_t& place : program_->lists)
    resolve(place);
  list_uses(places);
  resolve(program_->stack_place);
  for (Callable& c : program_->callables) {
    resolve(c.frame_place);
    for (SavedRegister& r : c.saved)
      resolve(r.place);
  }
}

// The uses of each step, what it reads first. Places of registers are numbered by units, predicates come behind them.
void ProgramBuilder::list_uses(const std::vector<uint32_t>& places) {
  const uint32_t units = program_->register_bytes / kUnit;
  std::vector<RegisterUse> all = uses_;
  for (RegisterUse& u : all)
    u.reg = places[u.reg] / kUnit;
  for (const RegisterUse& u : predicate_uses_)
    all.push_back({u.step, units + u.reg, u.writes});
  std::stable_sort(all.begin(), all.end(), [](const RegisterUse& a, const RegisterUse& b) {
    return a.step != b.step ? a.step < b.step : a.writes < b.writes;
  });
  program_->chain_slots = units + program_->predicates;
  size_t next = 0;
  for (uint32_t i = 0; i < program_->steps.size(); ++i) {
    const Step& s = program_->steps[i];
    StepChain step{uint32_t(next), uint32_t(next), uint32_t(next), uint16_t(latency_of(s)), accesses_memory(s.kind)};
    for (; next < all.size() && all[next].step == i; ++next) {
      program_->use_slots.push_back(all[next].reg);
      step.writes += !all[next].writes;
      ++step.end;
    }
    program_->chain_steps.push_back(step);
  }
}

// Kept registers are those that wgmma works on beside the program's order.
void ProgramBuilder::follow_accumulators() {
  std::unordered_map<uint32_t, uint32_t> numbers;
  for (const RegisterUse& use : uses_) {
    if (!kept_[use.reg])
      continue;
    Step& step = program_->steps[use.step];
    const uint32_t number = numbers.try_emplace(use.reg, uint32_t(numbers.size())).first->second;
    auto& [run, registers] = program_->accumulator_uses[use.step];
    if (std::find(registers.begin(), registers.end(), number) == registers.end())
      registers.push_back(number);
    if (step.kind == StepClass::Wgmma || step.run == &use_accumulators)
      continue;
    run = step.run;
    step.run = &use_accumulators;
  }
  program_->accumulators = numbers.size();
  program_->uses_warpgroups |= !numbers.empty();
}

std::unique_ptr<Program> build_program(const Module& module, const Function& entry, const Addresses& addresses) {
  return ProgramBuilder(module, entry, addresses).build();
}
}   // namespace spectral::cpu::ptx
