// Calls. Most functions are expanded where they are called, their parameters being the caller's .param variables. A
// function that is recursive, may be called by its address, or takes memory from the stack has code of its own, and
// each call of it a frame in local memory: results, parameters, variables. PTX ISA, "Abstracting the ABI".
#include "block.h"
#include "host_functions.h"
#include "program_builder.h"
#include "steps.h"
#include <algorithm>

namespace spectral::cpu::ptx {
namespace {
constexpr int kMaxCalls = 64;                          // functions within functions
constexpr size_t kMaxExpansions = size_t(1) << 16;     // of functions where they are called
constexpr size_t kMaxAllRegisters = size_t(4) << 20;   // of a kernel with its calls
constexpr size_t kFrameAlign = 16;

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

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
bool same_sizes(const std::vector<std::unique_ptr<Variable>>& a, const std::vector<std::unique_ptr<Variable>>& b) {
  return std::equal(
      a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return x->bytes == y->bytes; });
}

// Null where the instruction lacks it.
const Operand* callee_of(const Instruction& call) {
  const size_t at = !call.operands.empty() && call.operands[0].kind == OperandKind::Arguments ? 1 : 0;
  return at < call.operands.size() ? &call.operands[at] : nullptr;
}

// Who calls whom, from the kernel on. Node 0 is the kernel, node 1 stands for a call by address.
class CallGraph {
 public:
  CallGraph(const Module& module, const Function& entry) {
    add(entry);
    functions.push_back(nullptr);
    edges_.emplace_back();
    bool knows_targets = false;
    for (size_t i = 0; i < functions.size(); ++i) {
      if (functions[i])
        visit(i);
      if (calls_by_address && !knows_targets)
        for (const auto& f : module.functions)
          if (f->is_address_taken && f->has_body && !f->is_entry)
            connect(1, *f);
      knows_targets = calls_by_address;
    }
  }
  // True for those on a way from one cycle of calls to another, or within one.
  std::vector<bool> find_cycles() const {
    std::vector<std::vector<size_t>> callers(functions.size());
    for (size_t i = 0; i < functions.size(); ++i)
      for (size_t to : edges_[i])
        callers[to].push_back(i);
    std::vector<bool> stays(functions.size(), true);
    peel(edges_, callers, stays);
    peel(callers, edges_, stays);
    return stays;
  }

  std::vector<const Function*> functions;
  std::vector<bool> uses_stack;
  bool calls_by_address = false;

 private:
  using Edges = std::vector<std::vector<size_t>>;
  size_t add(const Function& f) {
    const auto [it, added] = index_.try_emplace(&f, functions.size());
    if (added) {
      functions.push_back(&f);
      edges_.emplace_back();
    }
    return it->second;
  }
  void connect(size_t from, const Function& to) {
    const size_t target = add(to);   // may move the edges
    edges_[from].push_back(target);
  }
  void visit(size_t i) {
    uses_stack.resize(functions.size());
    for (const Instruction& instruction : functions[i]->instructions) {
      if (instruction.opcode == "alloca" || instruction.opcode.starts_with("stack"))
        uses_stack[i] = true;
      const Operand* callee = instruction.opcode == "call" ? callee_of(instruction) : nullptr;
      if (!callee)
        continue;
      if (callee->kind == OperandKind::Callee) {
        connect(i, *callee->function);
      } else {
        calls_by_address = true;
        edges_[i].push_back(1);
      }
    }
  }
  // Takes away what has no edge to what is left, again and again.
  static void peel(const Edges& to, const Edges& from, std::vector<bool>& stays) {
    std::vector<size_t> left(to.size());
    std::vector<size_t> gone;
    for (size_t i = 0; i < to.size(); ++i) {
      left[i] = size_t(std::count_if(to[i].begin(), to[i].end(), [&](size_t k) { return stays[k]; }));
      if (stays[i] && !left[i])
        gone.push_back(i);
    }
    while (!gone.empty()) {
      const size_t i = gone.back();
      gone.pop_back();
      stays[i] = false;
      for (size_t k : from[i])
        if (stays[k] && --left[k] == 0)
          gone.push_back(k);
    }
  }

  Edges edges_;
  std::unordered_map<const Function*, size_t> index_;
};
}   // namespace

// ---- building
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

// ---- running
void begin_stack(Warp& w, const Step& s) {
  const uint64_t start = w.program().stack_start;
  write_lanes<uint64_t>(w, s.d, [&](int) { return start; });
}
void add_offset(Warp& w, const Step& s) {
  map1<uint64_t, uint64_t>(w, s, [&](uint64_t a) { return a + uint64_t(s.value); });
}

namespace {
unsigned char* local_of(Warp& w, int lane) { return w.local + w.program().local_stride * unsigned(lane); }

// What a call leaves on the lane's stack of calls, the last on top: the callee's registers and predicates as they were,
// where the stack began, the step to return to.
void keep_registers(Warp& w, const Callable& c, int k, std::vector<uint64_t>& kept) {
  for (const SavedRegister& r : c.saved)
    kept.push_back(r.wide ? w.lanes<uint64_t>(r.place)[k] : w.lanes<uint32_t>(r.place)[k]);
  for (uint32_t p = c.first_predicate; p < c.end_predicate; ++p)
    kept.push_back(w.predicate(p) >> k & 1);
}
void restore_registers(Warp& w, const Callable& c, int k, std::vector<uint64_t>& kept) {
  auto pop = [&] {
    const uint64_t value = kept.back();
    kept.pop_back();
    return value;
  };
  for (uint32_t p = c.end_predicate; p-- > c.first_predicate;)
    w.predicate(p) = (w.predicate(p) & ~(1u << k)) | uint32_t(pop()) << k;
  for (size_t i = c.saved.size(); i-- > 0;) {
    const SavedRegister& r = c.saved[i];
    if (r.wide)
      w.lanes<uint64_t>(r.place)[k] = pop();
    else
      w.lanes<uint32_t>(r.place)[k] = uint32_t(pop());
  }
}

void enter(Warp& w, const Step& s, const Callable& c, int k, uint32_t return_to) {
  const Program& program = w.program();
  uint64_t& top = w.lanes<uint64_t>(program.stack_place)[k];
  const uint64_t base = round_up(top, kFrameAlign);
  std::vector<uint64_t>& kept = w.calls_of(unsigned(k));
  if (base + c.frame_bytes > program.local_bytes)
    fail_access(
        CUDA_ERROR_LAUNCH_FAILED,
        w,
        s,
        unsigned(k),
        "calls of '%s' use up the thread's stack of %zu bytes",
        c.function->name.c_str(),
        program.local_bytes - program.stack_start);
  unsigned char* local = local_of(w, k);
  const uint64_t caller = w.lanes<uint64_t>(s.b)[k];
  for (const Transfer& t : program.calls[size_t(s.value)].arguments)
    std::memcpy(local + base + t.callee, local + caller + t.caller, t.bytes);
  keep_registers(w, c, k, kept);
  kept.push_back(top);
  kept.push_back(return_to);
  w.lanes<uint64_t>(c.frame_place)[k] = base;
  top = base + c.frame_bytes;
}
const Callable& target_of(Warp& w, const Step& s, int k, uint64_t address) {
  const Program& program = w.program();
  const Function& signature = *program.calls[size_t(s.value)].signature;
  for (const Callable& c : program.callables)
    if (address_of(*c.function) == address) {
      if (same_sizes(c.function->results, signature.results) &&
          same_sizes(c.function->parameters, signature.parameters))
        return c;
      fail_access(
          CUDA_ERROR_LAUNCH_FAILED,
          w,
          s,
          unsigned(k),
          "calls '%s' with other parameters than it has",
          c.function->name.c_str());
    }
  fail_access(
      CUDA_ERROR_ILLEGAL_ADDRESS,
      w,
      s,
      unsigned(k),
      "calls address 0x%llx, where no function is",
      static_cast<unsigned long long>(address));
}
}   // namespace

void call_function(Warp& w, const Step& s) {
  const uint32_t return_to = w.next_step();
  const Program& program = w.program();
  uint64_t addresses[32];
  if (!s.c)
    std::memcpy(addresses, w.lanes<uint64_t>(s.a), sizeof addresses);
  for (uint32_t left = w.mask; left;) {
    const int first = std::countr_zero(left);
    const Callable& c = s.c ? program.callables[s.c - 1] : target_of(w, s, first, addresses[first]);
    uint32_t same = left;
    if (!s.c)
      each_lane(left, [&](int k) {
        if (addresses[k] != addresses[first])
          same &= ~(1u << k);
      });
    each_lane(same, [&](int k) { enter(w, s, c, k, return_to); });
    w.mask = same;
    w.jump(c.first_step);
    left &= ~same;
  }
}

void return_from_call(Warp& w, const Step& s) {
  const Program& program = w.program();
  const Callable& c = program.callables[size_t(s.value)];
  uint32_t targets[32] = {};
  each_lane(w.mask, [&](int k) {
    std::vector<uint64_t>& kept = w.calls_of(unsigned(k));
    const uint64_t frame = w.lanes<uint64_t>(c.frame_place)[k];
    targets[k] = uint32_t(kept.back());
    kept.pop_back();
    w.lanes<uint64_t>(program.stack_place)[k] = kept.back();
    kept.pop_back();
    restore_registers(w, c, k, kept);
    const Step& call = program.steps[targets[k] - 1];
    const uint64_t caller = w.lanes<uint64_t>(call.b)[k];
    unsigned char* local = local_of(w, k);
    for (const Transfer& t : program.calls[size_t(call.value)].results)
      std::memcpy(local + caller + t.caller, local + frame + t.callee, t.bytes);
  });
  for (uint32_t left = w.mask; left;) {
    const uint32_t target = targets[std::countr_zero(left)];
    uint32_t same = 0;
    each_lane(left, [&](int k) { same |= uint32_t(targets[k] == target) << k; });
    left &= ~same;
    w.mask = same;
    w.jump(target);
  }
}
}   // namespace spectral::cpu::ptx
