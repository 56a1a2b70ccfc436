// Calls of functions that have code of their own, as they run. PTX ISA, "Abstracting the ABI".
#include "block.h"
#include "steps.h"
#include <algorithm>

namespace spectral::cpu::ptx {
void begin_stack(Warp& w, const Step& s) {
  const uint64_t start = w.program().stack_start;
  write_lanes<uint64_t>(w, s.d, [&](int) { return start; });
}
void add_offset(Warp& w, const Step& s) {
  map1<uint64_t, uint64_t>(w, s, [&](uint64_t a) { return a + uint64_t(s.value); });
}

namespace {
bool same_sizes(const std::vector<std::unique_ptr<Variable>>& a, const std::vector<std::unique_ptr<Variable>>& b) {
  return std::equal(
      a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) { return x->bytes == y->bytes; });
}
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
