// Calls. Most functions are expanded where they are called, their parameters being the caller's .param variables. A
// function that is recursive, may be called by its address, or takes memory from the stack has code of its own, and
// each call of it a frame in local memory: results, parameters, variables. PTX ISA, "Abstracting the ABI".
#include "call_graph.h"
#include "host_functions.h"
#include "program_builder.h"
#include "steps.h"

namespace spectral::cpu::ptx {
namespace {
constexpr int kMaxCalls = 64;                          // functions within functions
constexpr size_t kMaxExpansions = size_t(1) << 16;     // of functions where they are called
constexpr size_t kMaxAllRegisters = size_t(4) << 20;   // of a kernel with its calls

// Offsets in a frame, first of the results, then of the parameters: those who call by address know no more than sizes.
std::vector<size_t> frame_offsets(const Function& f, size_t* end) {
  std::vector<size_t> offsets;
  size_t at = 0;
  for (const auto* list : {&f.results, &f.parameters})
    for (const auto& v : *list) {
      offsets.push_back(at);
      at += round_up(v->bytes, kFrameAlign);
    }
  *end = at;
  return offsets;
}
}   // namespace

void ProgramBuilder::plan_calls() {
  CallGraph graph(module_, entry_);
  graph.uses_stack.resize(graph.functions.size());
  std::vector<bool> cycles = graph.find_cycles();
  bool needs_stack = graph.uses_stack[0];
  for (size_t i = 2; i < graph.functions.size(); ++i) {
    const Function& f = *graph.functions[i];
    const bool by_address = graph.calls_by_address && f.is_address_taken;
    if (!f.has_body || !(cycles[i] || by_address || graph.uses_stack[i]))
      continue;
    own_code_[&f] = program_->callables.size();
    program_->callables.push_back({&f});
    needs_stack = true;
  }
  if (needs_stack)
    program_->stack_place = kRegisterMark | (stack_ = add_hidden_register());
}
void ProgramBuilder::begin_stack() { emit_own(&ptx::begin_stack).d = write_stack(); }

void ProgramBuilder::expand_own(size_t callable) {
  const Function& f = *program_->callables[callable].function;
  if (registers_.size() + f.registers.size() > kMaxAllRegisters)
    throw PtxError(f.place, "kernel '" + entry_.name + "' with all that it calls is longer than this device takes");
  const auto first_register = uint32_t(registers_.size());
  const uint32_t first_predicate = program_->predicates;
  Frame frame{&f};
  frame.owner = &frame;
  frame.callable = callable;
  const std::vector<size_t> offsets = frame_offsets(f, &frame.own_bytes);
  size_t n = 0;
  for (const auto* list : {&f.results, &f.parameters})
    for (const auto& v : *list)
      frame.locals[v.get()] = offsets[n++];
  frame.frame_register = add_hidden_register();
  const auto first_step = uint32_t(program_->steps.size());
  expand(frame);
  Callable& c = program_->callables[callable];
  c.first_step = first_step;
  c.frame_bytes = round_up(frame.own_bytes, kFrameAlign);
  c.frame_place = kRegisterMark | frame.frame_register;
  c.first_predicate = first_predicate;
  c.end_predicate = program_->predicates;
  for (uint32_t r = first_register; r < registers_.size(); ++r)
    if (registers_[r] != Type::Pred) {
      kept_[r] = true;
      c.saved.push_back({kRegisterMark | r, bytes_of(registers_[r]) == 8});
    }
}
uint32_t ProgramBuilder::frame_register() { return use(frame_->owner->frame_register, false); }
uint32_t ProgramBuilder::frame_address(uint64_t offset, const Instruction& i) {
  const uint32_t sum = add_hidden_register();
  const uint32_t from = frame_register();
  const uint32_t to = use(sum, true);
  Step& s = emit(Step{&add_offset}, i);
  s.kind = StepClass::Part;
  s.a = from;
  s.d = to;
  s.value = int64_t(offset);
  return use(sum, false);
}
void ProgramBuilder::set_return(Step& s) { s.value = int64_t(frame_->owner->callable); }

CallSite ProgramBuilder::bind(Builder& b, const Function& signature, const Operand* results, const Operand* arguments) {
  CallSite site{&signature, {}, {}};
  size_t end;
  const std::vector<size_t> offsets = frame_offsets(signature, &end);
  size_t at = 0;
  auto add = [&](const std::vector<std::unique_ptr<Variable>>& formal, const Operand* actual, const char* what) {
    std::vector<Transfer> transfers;
    const size_t given = actual ? actual->parts.size() : 0;
    if (given != formal.size())
      b.fail(
          "function '" + signature.name + "' has " + std::to_string(formal.size()) + what + ", not " +
          std::to_string(given));
    for (size_t k = 0; k < given; ++k) {
      const Operand& o = actual->parts[k];
      const bool local = o.kind == OperandKind::Symbol && frame_->locals.count(o.variable);
      if (!local || o.variable->bytes != formal[k]->bytes)
        b.fail(o, "an argument is a .param variable of the caller, of the parameter's size");
      transfers.push_back({frame_->locals[o.variable], offsets[at++], o.variable->bytes});
    }
    return transfers;
  };
  site.results = add(signature.results, results, " results");
  site.arguments = add(signature.parameters, arguments, " parameters");
  return site;
}

void ProgramBuilder::call(Builder& b) {
  b.take("uni");
  const size_t at = b.count() && b.operand(0).kind == OperandKind::Arguments ? 1 : 0;
  const Operand& callee = b.operand(at);
  const bool by_address = callee.kind != OperandKind::Callee;
  b.expect_operands(at + (by_address ? 2 : 1), at + 3);   // a direct call may name targets too
  const Operand* results = at ? &b.operand(0) : nullptr;
  const bool has_arguments = b.count() > at + 1 && b.operand(at + 1).kind == OperandKind::Arguments;
  const Operand* arguments = has_arguments ? &b.operand(at + 1) : nullptr;
  if (by_address) {
    const Operand& signature = b.operand(b.count() - 1);
    if (signature.kind != OperandKind::Callee)
      b.fail(signature, "a call by address names its prototype");
    return call_own(b, bind(b, *signature.function, results, arguments), &callee);
  }
  const Function& f = *callee.function;
  if (f.is_entry)
    b.fail(callee, "a kernel cannot be called");
  if (own_code_.count(&f))
    return call_own(b, bind(b, f, results, arguments), nullptr);
  if (f.has_body)
    return call_in_place(b, f, results, arguments);
  const Run run = find_host_function(f);
  if (!run)
    b.fail(callee, "function '" + f.name + "' has no body in this module, and is none that this device has");
  program_->uses_heap |= uses_heap(f);
  const CallSite site = bind(b, f, results, arguments);
  const uint32_t frame = has_own_frame() ? frame_register() : constant(0, true);
  Step& s = b.emit(run);
  s.b = frame;
  s.value = int64_t(program_->calls.size());
  program_->calls.push_back(site);
}

void ProgramBuilder::call_own(Builder& b, const CallSite& site, const Operand* target) {
  const uint32_t address = target ? b.read(*target, Type::U64) : 0;
  const uint32_t frame = has_own_frame() ? frame_register() : constant(0, true);
  Step& s = b.emit(&call_function);
  s.a = address;
  s.b = frame;
  s.c = target ? 0 : uint32_t(1 + own_code_.at(site.signature));
  s.value = int64_t(program_->calls.size());
  program_->calls.push_back(site);
}

// The callee's parameters are the caller's .param variables themselves.
void ProgramBuilder::call_in_place(Builder& b, const Function& f, const Operand* results, const Operand* arguments) {
  int depth = 0;
  for (const Frame* frame = frame_; frame; frame = frame->parent)
    if (++depth > kMaxCalls)
      b.fail("calls are nested deeper than this device takes");
  if (++expansions_ > kMaxExpansions || registers_.size() + f.registers.size() > kMaxAllRegisters)
    b.fail("kernel '" + entry_.name + "' with all that it calls is longer than this device takes");
  const CallSite site = bind(b, f, results, arguments);
  Frame frame{&f};
  frame.parent = frame_;
  frame.owner = frame_->owner;
  for (size_t k = 0; k < site.results.size(); ++k)
    frame.locals[f.results[k].get()] = site.results[k].caller;
  for (size_t k = 0; k < site.arguments.size(); ++k)
    frame.locals[f.parameters[k].get()] = site.arguments[k].caller;
  const size_t before = program_->steps.size();
  const bool guarded = b.instruction().guard.has_value();
  Step& counted = b.emit(guarded ? &jump : &do_nothing);   // the call counts
  if (guarded) {                                           // the other lanes jump behind it
    counted.guard_flip = ~counted.guard_flip;
    counted.flags |= kJumpFlag;
  }
  expand(frame);
  if (guarded)
    program_->steps[before].value = int64_t(program_->steps.size());
}
}   // namespace spectral::cpu::ptx
