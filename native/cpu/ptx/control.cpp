// Control flow. PTX ISA, "Control Flow" and "Miscellaneous".
#include "block.h"
#include "dispatch.h"
#include "program_builder.h"

namespace spectral::cpu::ptx {
void jump(Warp& w, const Step& s) { w.jump(uint32_t(s.value)); }
void end_threads(Warp& w, const Step&) { w.end_lanes(); }

namespace {
void trap(Warp& w, const Step& s) { fail(w, s, "trap: the kernel stops itself"); }

void build_bra(Builder& b) {
  b.take("uni");
  b.expect_operands(1);
  if (b.operand(0).kind != OperandKind::Label || !b.operand(0).parts.empty())
    b.fail(b.operand(0), "expected a label");
  b.emit(&jump);
  b.program().jump_to(b.operand(0).id);
}
void switch_lanes(Warp& w, const Step& s) {
  const uint32_t* index = w.lanes<uint32_t>(s.a);
  const uint32_t mask = w.mask;
  each_lane(mask, [&](int k) {
    if (index[k] >= uint64_t(s.value))
      fail_access(CUDA_ERROR_LAUNCH_FAILED, w, s, unsigned(k), "brx.idx: %u of %lld", index[k], (long long)s.value);
  });
  for (uint32_t left = mask; left; left &= ~w.mask) {
    const uint32_t target = w.list(s)[index[std::countr_zero(left)]];
    uint32_t same = 0;
    each_lane(left, [&](int k) { same |= uint32_t(w.list(s)[index[k]] == target) << k; });
    w.mask = same;
    w.jump(target);
  }
}
void build_brx(Builder& b) {
  if (!b.take("idx"))
    b.fail("expected .idx");
  b.take("uni");
  b.expect_operands(2);
  const std::vector<Operand>& labels = b.operand(1).parts;
  if (b.operand(1).kind != OperandKind::Label || labels.empty())
    b.fail(b.operand(1), "expected the name of a .branchtargets");
  const uint32_t index = b.read(0, Type::U32);
  Step& s = b.emit(&switch_lanes);
  s.a = index;
  b.program().switch_to(s, labels);
}

// ---- the stack of local memory. PTX ISA, "Stack Manipulation Instructions"
void take_stack(Warp& w, const Step& s) {
  uint64_t* top = w.lanes<uint64_t>(w.program().stack_place);
  const uint64_t* size = w.lanes<uint64_t>(s.a);
  const auto align = uint64_t(s.value);
  uint64_t at[32];
  each_lane(w.mask, [&](int k) {
    at[k] = (top[k] + align - 1) & ~(align - 1);
    if (size[k] > w.program().local_bytes || at[k] + size[k] > w.program().local_bytes)
      fail_access(
          CUDA_ERROR_LAUNCH_FAILED,
          w,
          s,
          unsigned(k),
          "alloca of %llu bytes: the thread's stack has %zu",
          static_cast<unsigned long long>(size[k]),
          w.program().local_bytes - w.program().stack_start);
    top[k] = at[k] + size[k];
  });
  uint64_t* d = w.lanes<uint64_t>(s.d);
  each_lane(w.mask, [&](int k) { d[k] = at[k]; });
}
void copy_stack(Warp& w, const Step& s) {
  map1<uint64_t, uint64_t>(w, s, [](uint64_t a) { return a; });
}
void expect_u64(Builder& b) {
  const Type t = b.take_type();
  if (t != Type::U64 && t != Type::B64)
    b.fail("addresses of local memory have 64 bits here");
}
void build_alloca(Builder& b) {
  expect_u64(b);
  b.expect_operands(2, 3);
  const int64_t align = b.count() > 2 ? b.read_immediate(2, 1, 1 << 16) : 8;
  if (align & (align - 1))
    b.fail(b.operand(2), "an alignment is a power of two");
  const uint32_t size = b.read(1, Type::U64);
  const uint32_t to = b.write(0, Type::U64);
  Step& s = b.emit(&take_stack);
  s.a = size;
  s.d = to;
  s.value = align;
}
void build_stacksave(Builder& b) {
  expect_u64(b);
  b.expect_operands(1);
  const uint32_t from = b.program().read_stack();
  const uint32_t to = b.write(0, Type::U64);
  Step& s = b.emit(&copy_stack);
  s.a = from;
  s.d = to;
}
void build_stackrestore(Builder& b) {
  expect_u64(b);
  b.expect_operands(1);
  const uint32_t from = b.read(0, Type::U64);
  const uint32_t to = b.program().write_stack();
  Step& s = b.emit(&copy_stack);
  s.a = from;
  s.d = to;
}

void build_call(Builder& b) { b.program().call(b); }
void build_ret(Builder& b) {
  b.take("uni");
  b.expect_operands(0);
  b.program().end_function(b);
}
void build_exit(Builder& b) {
  b.expect_operands(0);
  b.emit(&end_threads).flags |= kEndFlag;
}
void build_trap(Builder& b) { b.emit(&trap); }
void build_nothing(Builder& b) {
  b.skip_modifiers();
  b.emit(&do_nothing);
}

constexpr InstructionRow kRows[] = {
    {"bra", StepClass::Control, build_bra},
    {"brx", StepClass::Control, build_brx},
    {"alloca", StepClass::Control, build_alloca},
    {"stacksave", StepClass::Control, build_stacksave},
    {"stackrestore", StepClass::Control, build_stackrestore},
    {"call", StepClass::Control, build_call},
    {"ret", StepClass::Control, build_ret},
    {"exit", StepClass::Control, build_exit},
    {"trap", StepClass::Control, build_trap},
    {"brkpt", StepClass::Control, build_nothing},
    {"nanosleep", StepClass::Control, build_nothing},
    {"pmevent", StepClass::Control, build_nothing}};
}   // namespace

InstructionTable control_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
