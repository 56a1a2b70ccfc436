#include "program_builder.h"
#include "steps.h"
#include <algorithm>
#include <cstring>

namespace spectral::cpu::ptx {
namespace {
constexpr int kMaxCalls = 64;                           // functions within functions
constexpr size_t kMaxExpansions = size_t(1) << 16;      // of functions where they are called
constexpr size_t kMaxAllRegisters = size_t(4) << 20;    // of a kernel with its calls
constexpr size_t kMaxSteps = size_t(4) << 20;           // of a kernel with its calls
constexpr size_t kMaxLocal = size_t(512) << 10;         // bytes of a thread, as on a GPU
constexpr size_t kMaxStaticShared = size_t(48) << 10;   // bytes of a block, as on a GPU

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

struct SpecialName {
  std::string_view name;
  Special which;
};
constexpr SpecialName kSpecials[] = {   // PTX ISA, "Special Registers"
    {"%tid.x", Special::TidX},
    {"%tid.y", Special::TidY},
    {"%tid.z", Special::TidZ},
    {"%ntid.x", Special::NtidX},
    {"%ntid.y", Special::NtidY},
    {"%ntid.z", Special::NtidZ},
    {"%ctaid.x", Special::CtaidX},
    {"%ctaid.y", Special::CtaidY},
    {"%ctaid.z", Special::CtaidZ},
    {"%nctaid.x", Special::NctaidX},
    {"%nctaid.y", Special::NctaidY},
    {"%nctaid.z", Special::NctaidZ},
    {"%laneid", Special::LaneId},
    {"%warpid", Special::WarpId},
    {"%nwarpid", Special::NWarpId},
    {"%smid", Special::SmId},
    {"%nsmid", Special::NSmId},
    {"%gridid", Special::GridId},
    {"%lanemask_eq", Special::LanemaskEq},
    {"%lanemask_lt", Special::LanemaskLt},
    {"%lanemask_le", Special::LanemaskLe},
    {"%lanemask_gt", Special::LanemaskGt},
    {"%lanemask_ge", Special::LanemaskGe},
    {"%clusterid.x", Special::ClusterIdX},
    {"%clusterid.y", Special::ClusterIdY},
    {"%clusterid.z", Special::ClusterIdZ},
    {"%nclusterid.x", Special::NClusterIdX},
    {"%nclusterid.y", Special::NClusterIdY},
    {"%nclusterid.z", Special::NClusterIdZ},
    {"%cluster_ctaid.x", Special::ClusterCtaidX},
    {"%cluster_ctaid.y", Special::ClusterCtaidY},
    {"%cluster_ctaid.z", Special::ClusterCtaidZ},
    {"%cluster_nctaid.x", Special::ClusterNctaidX},
    {"%cluster_nctaid.y", Special::ClusterNctaidY},
    {"%cluster_nctaid.z", Special::ClusterNctaidZ},
    {"%cluster_ctarank", Special::ClusterCtarank},
    {"%cluster_nctarank", Special::ClusterNctarank},
    {"%is_explicit_cluster", Special::IsExplicitCluster},
    {"%dynamic_smem_size", Special::DynamicSmemSize},
    {"%total_smem_size", Special::TotalSmemSize}};
}   // namespace

ProgramBuilder::ProgramBuilder(const Module& module, const Function& entry, const Addresses& addresses)
    : module_(module), entry_(entry), addresses_(addresses), program_(std::make_unique<Program>()) {}

std::unique_ptr<Program> ProgramBuilder::build() {
  program_->name = entry_.name;
  program_->module = &module_;
  const unsigned* most = entry_.required_threads[0] ? entry_.required_threads : entry_.max_threads;
  if (most[0])
    program_->max_threads = unsigned(std::min<uint64_t>(1024, uint64_t(most[0]) * most[1] * most[2]));
  std::copy_n(entry_.required_threads, 3, program_->required_threads);
  if (entry_.cluster[0]) {
    if (entry_.cluster[1] != 1 || entry_.cluster[2] != 1 || entry_.cluster[0] > 16)
      throw PtxError(entry_.place, "clusters of up to 16 blocks along x are supported");
    program_->cluster = entry_.cluster[0];
  }
  lay_out_parameters();
  lay_out_shared(entry_);
  if (dynamic_align_)
    program_->shared_bytes = round_up(program_->shared_bytes, dynamic_align_);
  Frame frame{&entry_, nullptr, 0, {}, {}, {}};
  expand(frame);
  if (program_->shared_bytes > kMaxStaticShared)
    throw PtxError(
        entry_.place,
        "kernel '" + entry_.name + "' has " + std::to_string(program_->shared_bytes) +
            " bytes of .shared variables; a block has at most 49152");
  constexpr size_t kWidest = 16;   // bytes of an access: each lane's local memory is aligned for it
  program_->local_stride = round_up(program_->local_bytes, kWidest);
  assign_places();
  return std::move(program_);
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
  const size_t at = round_up(program_->local_bytes, std::max<size_t>(v.align, 1));
  program_->local_bytes = at + v.bytes;
  if (program_->local_bytes > kMaxLocal)
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
  if (in_entry()) {   // what runs off the end has ended
    Step end{&end_threads};
    end.flags = kEndFlag;
    end.kind = StepClass::Part;
    end.line = frame.function->place.line;
    program_->steps.push_back(end);
    program_->sources.push_back({});
  }
  for (const auto& [step, target] : frame.jumps)
    program_->steps[step].value = frame.step_of[target];
  frame_ = outer;
}

void ProgramBuilder::add_instruction(const Instruction& i) {
  const InstructionRow* row = find_instruction(i.opcode);
  if (!row)
    throw PtxError(i.place, "instruction '" + i.spelling() + "' of '" + frame_->function->name + "' is not supported");
  if (program_->steps.size() > kMaxSteps)
    throw PtxError(i.place, "kernel '" + entry_.name + "' is longer than this device takes");
  Builder builder(*this, i, row->kind);
  row->build(builder);
  builder.no_more_modifiers();
}

// The callee's parameters are the caller's .param variables themselves.
void ProgramBuilder::call(Builder& b) {
  b.take("uni");
  const size_t n = b.count();
  if (n < 1 || n > 3)
    b.fail("expected (results), function, (arguments)");
  const size_t at = b.operand(0).kind == OperandKind::Arguments ? 1 : 0;
  const Operand& callee = b.operand(at);
  if (callee.kind != OperandKind::Callee)
    b.fail(callee, "only functions of the module can be called, by name");
  const Function& f = *callee.function;
  if (!f.has_body)
    b.fail(callee, "function '" + f.name + "' has no body");
  if (b.instruction().guard)
    b.fail("a guarded call is not supported");
  int depth = 0;
  for (const Frame* frame = frame_; frame; frame = frame->parent) {
    if (frame->function == &f || ++depth > kMaxCalls)
      b.fail(callee, "recursive calls are not supported");
  }
  if (++expansions_ > kMaxExpansions || registers_.size() + f.registers.size() > kMaxAllRegisters)
    b.fail("kernel '" + entry_.name + "' with all that it calls is longer than this device takes");
  Frame frame{&f, frame_, 0, {}, {}, {}};
  auto bind = [&](const std::vector<std::unique_ptr<Variable>>& formal, const Operand* actual) {
    const size_t given = actual ? actual->parts.size() : 0;
    if (given != formal.size())
      b.fail(
          "function '" + f.name + "' takes " + std::to_string(formal.size()) + " of these, not " +
          std::to_string(given));
    for (size_t k = 0; k < given; ++k) {
      const Operand& o = actual->parts[k];
      const bool local = o.kind == OperandKind::Symbol && frame_->locals.count(o.variable);
      if (!local || o.variable->bytes != formal[k]->bytes)
        b.fail(o, "an argument is a .param variable of the caller, of the parameter's size");
      frame.locals[formal[k].get()] = frame_->locals[o.variable];
    }
  };
  bind(f.results, at == 1 ? &b.operand(0) : nullptr);
  bind(f.parameters, n > at + 1 ? &b.operand(at + 1) : nullptr);
  b.emit(&do_nothing);   // the call counts
  expand(frame);
}

void ProgramBuilder::end_function(Builder& b) {
  if (in_entry()) {
    b.emit(&end_threads).flags |= kEndFlag;
    return;
  }
  b.emit(&jump);
  jump_to(uint32_t(frame_->function->instructions.size()));
}

void ProgramBuilder::jump_to(uint32_t instruction) {
  program_->steps.back().flags |= kJumpFlag;
  frame_->jumps.emplace_back(program_->steps.size() - 1, instruction);
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
uint32_t ProgramBuilder::special(std::string_view name, const Operand& o) {
  for (const SpecialName& s : kSpecials)
    if (s.name == name) {
      auto [it, added] = specials_.try_emplace(s.which, fixed_bytes_);
      if (added) {
        program_->specials.push_back({fixed_bytes_, s.which});
        fixed_bytes_ += kUnit;
      }
      return it->second;
    }
  throw PtxError(o.place, "'" + std::string(name) + "' is neither a register of the function nor one supported here");
}
uint32_t ProgramBuilder::read_register(uint32_t id) {
  const uint32_t r = frame_->first_register + id;
  uses_.push_back({uint32_t(program_->steps.size()), r, false});
  return kRegisterMark | r;
}
uint32_t ProgramBuilder::write_register(uint32_t id) {
  const uint32_t r = frame_->first_register + id;
  uses_.push_back({uint32_t(program_->steps.size()), r, true});
  return kRegisterMark | r;
}
void ProgramBuilder::keep_register(uint32_t id) { kept_[frame_->first_register + id] = true; }
uint32_t ProgramBuilder::predicate(uint32_t id) { return predicate_of_[frame_->first_register + id]; }
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

Step& ProgramBuilder::emit(Step step, const Instruction& i) {
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
  std::vector<uint32_t> places;
  program_->fixed_bytes = fixed_bytes_;
  program_->register_bytes = choose_places(program_->steps, uses_, wide, kept_, fixed_bytes_, &places);
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
}

std::unique_ptr<Program> build_program(const Module& module, const Function& entry, const Addresses& addresses) {
  return ProgramBuilder(module, entry, addresses).build();
}
}   // namespace spectral::cpu::ptx
