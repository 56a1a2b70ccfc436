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
  if (b.operand(0).kind != OperandKind::Label)
    b.fail(b.operand(0), "expected a label");
  b.emit(&jump);
  b.program().jump_to(b.operand(0).id);
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
