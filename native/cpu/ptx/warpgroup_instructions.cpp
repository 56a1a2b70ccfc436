// wgmma: products of four warps from shared memory. PTX ISA, "Asynchronous Warpgroup Level Matrix". Recorded when
// issued and done at the wait, so that a missing wait reads old sums.
#include "barriers.h"
#include "warpgroup_product.h"

namespace spectral::cpu::ptx {
namespace {
WarpgroupAsync& group_of(Warp& w) { return w.block().groups[w.index() / 4]; }
bool whole_warpgroup(Warp& w, const Step& s, const char* name) {
  if (!whole_warp(w, s, name))
    return false;
  if (w.index() / 4 * 4 + 4 > w.block().warps.size())
    fail(w, s, "%s needs the four warps of a warpgroup", name);
  return true;
}
uint32_t number_of(Warp& w, const Step& s) { return uint32_t(&s - w.program().steps.data()); }
const std::vector<uint32_t>& registers_of(Warp& w, const Step& s) {
  return w.program().accumulator_uses.at(number_of(w, s)).registers;
}
void fence(Warp& w, const Step& s) {
  if (!whole_warpgroup(w, s, "wgmma.fence"))
    return;
  std::vector<uint32_t>& used_by = group_of(w).used_by[w.index() % 4];
  std::fill(used_by.begin(), used_by.end(), kFenced);
}
// PTX ISA, "wgmma.fence": before the first wgmma, and between any other use of its registers and it.
void check_fence(Warp& w, const Step& s) {
  const std::vector<uint32_t>& used_by = group_of(w).used_by[w.index() % 4];
  for (uint32_t r : registers_of(w, s)) {
    if (used_by[r] == kNeverFenced)
      fail(w, s, "wgmma without a wgmma.fence before it");
    if (used_by[r] != kFenced)
      fail(
          w,
          s,
          "wgmma without a wgmma.fence since PTX line %u, which uses one of its accumulators",
          w.program().steps[used_by[r]].line);
  }
}

void issue(Warp& w, const Step& s) {
  if (!whole_warpgroup(w, s, "wgmma.mma_async"))
    return;
  WarpgroupAsync& g = group_of(w);
  const unsigned warp = w.index() % 4;
  check_fence(w, s);
  bool clears = s.flags & kConstantClears;
  if (!(s.flags & kConstantScale)) {
    const uint32_t scale = w.predicate(s.c) ^ (s.flags & kFlipScale ? ~0u : 0u);
    if (scale && ~scale)
      fail(w, s, "wgmma: scale-d differs between lanes");
    clears = !scale;
  }
  const WgmmaForm form = form_of(s);
  if (Counters* c = w.block().counters())   // a warp's share of A and B
    c->async_shared_bytes += ((form.a_in_registers ? 0u : 64u) + uint64_t(form.n)) * kDepthBytes / 4;
  const uint64_t a = form.a_in_registers ? 0 : uniform_descriptor(w, s, s.a);
  g.ops[warp].push_back({&s, a, uniform_descriptor(w, s, s.b), clears});
  for (uint32_t r : registers_of(w, s))
    ++g.in_flight[warp][r];
}

// Done for all four warps by the last that waits.
void run_op(Block& block, unsigned first_warp, const WarpgroupAsync& g, size_t index) {
  const WarpgroupOp& op = g.ops[0][index];
  const Step* const steps[4] = {op.step, g.ops[1][index].step, g.ops[2][index].step, g.ops[3][index].step};
  run_product(&block.warps[first_warp], steps, {op.a, op.b, op.clears});
}
void finish(Block& block, unsigned first_warp, Warp& w, const Step& s, uint64_t keep) {
  WarpgroupAsync& g = block.groups[first_warp / 4];
  const std::vector<size_t>& ends = g.ends[0];
  const size_t done = ends.size() > keep ? ends.size() - keep : 0;
  const size_t n = done ? ends[done - 1] : 0;
  for (unsigned i = 1; i < 4; ++i) {
    if (g.ends[i] != ends || g.keep[i] != keep)
      fail(w, s, "wgmma: the warps of the warpgroup issued different groups");
    for (size_t k = 0; k < n; ++k)
      if (g.ops[i][k].a != g.ops[0][k].a || g.ops[i][k].b != g.ops[0][k].b || g.ops[i][k].clears != g.ops[0][k].clears)
        fail(w, s, "wgmma: descriptors differ between the warps of the warpgroup");
  }
  for (size_t k = 0; k < n; ++k)
    run_op(block, first_warp, g, k);
  for (unsigned i = 0; i < 4; ++i) {
    for (size_t k = 0; k < n; ++k)
      for (uint32_t r : registers_of(w, *g.ops[i][k].step))
        --g.in_flight[i][r];
    g.ops[i].erase(g.ops[i].begin(), g.ops[i].begin() + ptrdiff_t(n));
    g.ends[i].erase(g.ends[i].begin(), g.ends[i].begin() + ptrdiff_t(done));
    for (size_t& end : g.ends[i])
      end -= n;
  }
}
void wait_keeping(Warp& w, const Step& s, uint64_t keep) {
  WarpgroupAsync& g = group_of(w);
  const unsigned first_warp = w.index() / 4 * 4;
  g.keep[w.index() % 4] = keep;
  g.arrived |= 1u << w.index() % 4;
  if (g.arrived != 15) {
    w.wait_after(Wait::Warpgroup, first_warp);
    return;
  }
  g.arrived = 0;
  finish(w.block(), first_warp, w, s, keep);
  w.block().cluster->wake(w.block(), Wait::Warpgroup, first_warp);
}
// "wgmma.commit_group": all that the warp has issued and not committed.
void commit(Warp& w, const Step& s) {
  if (!whole_warpgroup(w, s, "wgmma.commit_group"))
    return;
  WarpgroupAsync& g = group_of(w);
  const unsigned warp = w.index() % 4;
  g.ends[warp].push_back(g.ops[warp].size());
  if (w.chain)
    w.chain->products.commit();
}
// "wgmma.wait_group": all groups but the newest `s.value`.
void wait_group(Warp& w, const Step& s) {
  if (!whole_warpgroup(w, s, "wgmma.wait_group"))
    return;
  if (w.chain)
    w.chain->wait_for(w.chain->products.wait(uint64_t(s.value)));
  wait_keeping(w, s, uint64_t(s.value));
}

void set_limit(Warp& w, const Step& s) {
  if (!whole_warpgroup(w, s, "setmaxnreg"))
    return;
  WarpgroupAsync& g = group_of(w);
  std::vector<const Step*>& own = g.limits[w.index() % 4];
  for (const std::vector<const Step*>& other : g.limits)
    if (other.size() > own.size() && other[own.size()]->value != s.value)
      fail(
          w,
          s,
          "setmaxnreg %d, where another warp of the warpgroup takes %d",
          int(s.value),
          int(other[own.size()]->value));
  own.push_back(&s);
}

// ---- building
bool read_sign(Builder& b, size_t index) {
  const int64_t scale = b.read_immediate(index, -1, 1);
  if (!scale)
    b.fail(b.operand(index), "expected 1 or -1");
  return scale < 0;
}
// .shape{.satfinite}.dtype.atype.btype{.op.popc}{.satfinite}
bool is_fp8(Element e) { return e == Element::E4m3 || e == Element::E5m2; }
bool is_byte(Element e) { return e == Element::S8 || e == Element::U8; }
WgmmaForm take_form(Builder& b) {
  const MatrixShape shape = take_shape(b);
  bool saturates = b.take("satfinite");
  int elements[3];   // d, a, b
  bool known = true;
  for (int& e : elements)
    known &= (e = take_element(b)) >= 0;
  WgmmaForm f{uint16_t(shape.n), Element(elements[1]), Element(elements[2]), Element(elements[0]), false, false, 0};
  const bool is_integer = is_byte(f.a) || f.a == Element::B1;
  if (f.a == Element::B1)
    known &= b.take("and") && b.take("popc");
  saturates |= b.take("satfinite");
  f.saturates = saturates;
  known &= !saturates || is_byte(f.a);
  known &= f.a == f.b || (is_fp8(f.a) && is_fp8(f.b)) || (is_byte(f.a) && is_byte(f.b));
  if (is_integer)
    known &= f.sums == Element::S32;
  else
    known &= f.sums == Element::F32 || (f.sums == Element::F16 && (f.a == Element::F16 || is_fp8(f.a)));
  if (!known || f.a == Element::F64 || f.a >= Element::F32 || f.a == Element::S4 || f.a == Element::U4)
    b.fail("wgmma has no such types, nor these sums of them");
  const uint32_t depth = f.a == Element::B1 ? kDepthBytes * 8 : depth_of(f.a);
  const int step = is_integer && shape.n > 32 ? 16 : 8;
  if (shape.m != 64 || shape.n < 8 || shape.n > 256 || shape.n % step || shape.k != int(depth))
    b.fail(
        "expected a shape from .m64n8k" + std::to_string(depth) + " to .m64n256k" + std::to_string(depth) +
        ", in steps of 8, of integers in steps of 16 beyond 32");
  return f;
}
// D, A or its descriptor, that of B, scale-d; then for floats two signs, for 16 bits whether A and B are transposed,
// which A in registers cannot be.
void build_mma_async(Builder& b) {
  WgmmaForm form = take_form(b);
  const std::vector<Operand>* registers = b.count() > 1 ? Builder::parts_of(b.operand(1)) : nullptr;
  form.a_in_registers = registers;
  const bool has_signs = form.sums != Element::S32;
  const bool has_order = form.a == Element::F16 || form.a == Element::Bf16;
  const size_t orders = registers ? 1 : 2;
  b.expect_operands(4 + (has_signs ? 2 : 0) + (has_order ? orders : 0));
  if (registers && registers->size() != 4)
    b.fail(b.operand(1), "expected 4 registers or a descriptor");
  const Operand& sums = b.operand(0);
  const std::vector<Operand>* parts = Builder::parts_of(sums);
  if (!parts || parts->size() != registers_of_sums(form))
    b.fail(sums, "expected " + std::to_string(registers_of_sums(form)) + " registers");
  std::vector<uint32_t> places;
  const uint32_t from_a = registers ? 0 : b.read(1, Type::B64);
  const uint32_t from_b = b.read(2, Type::B64);
  bool flip = false;
  const Operand& scale = b.operand(3);
  const bool constant = scale.kind == OperandKind::Immediate;
  const uint32_t scales = constant ? 0 : b.read_predicate(scale, &flip);
  const bool negates_a = has_signs && read_sign(b, 4);
  const bool negates_b = has_signs && read_sign(b, 5);
  const bool row_major_a = has_order && !registers && b.read_immediate(6, 0, 1);
  const bool row_major_b = has_order && b.read_immediate(registers ? 6 : 7, 0, 1);
  const Type type = form.sums == Element::F32 ? Type::F32 : Type::B32;
  for (const Operand& o : *parts) {
    b.read(o, type);
    places.push_back(b.write(o, type));
    b.keep(o);
  }
  if (registers)
    for (const Operand& o : *registers) {
      places.push_back(b.read(o, Type::B32));
      b.keep(o);
    }
  const uint32_t list = b.list(places);
  b.use_async_proxy();
  Step& s = b.emit(&issue);
  s.a = from_a;
  s.b = from_b;
  s.c = scales;
  s.list = list;
  s.value = std::bit_cast<int64_t>(form);
  s.operations = has_signs ? uint16_t(2 * 64 * depth_of(form.a) * form.n / 128) : uint16_t(0);
  auto set = [&](bool holds, uint32_t flag) { s.flags |= holds ? flag : 0u; };
  set(row_major_a, kRowMajorA);
  set(row_major_b, kRowMajorB);
  set(negates_a, kNegatesA);
  set(negates_b, kNegatesB);
  set(flip, kFlipScale);
  set(constant, kConstantScale);
  set(constant && !scale.value, kConstantClears);
}
void build_wgmma(Builder& b) {
  b.use_warpgroups();
  const int action = b.take_one_of({"fence", "mma_async", "commit_group", "wait_group"});
  if (action == 1 && b.peek() == "sp")
    b.fail("products of sparse matrices are not supported");
  if (action < 0 || !b.take("sync") || !b.take("aligned"))
    b.fail("expected .fence, .mma_async, .commit_group or .wait_group, then .sync.aligned");
  if (action == 1)
    return build_mma_async(b);
  if (action == 3) {
    b.expect_operands(1);
    const int64_t keep = b.read_immediate(0, 0, 1 << 20);
    b.emit(&wait_group).value = keep;
    return;
  }
  b.expect_operands(0);
  b.emit(action ? &commit : &fence);
}

void build_setmaxnreg(Builder& b) {
  b.use_warpgroups();
  // PTX ISA, "setmaxnreg": all warps of a warpgroup take the same one.
  const bool known = b.take_one_of({"inc", "dec"}) >= 0 && b.take("sync") && b.take("aligned") && b.take("u32");
  if (!known)
    b.fail("expected .inc or .dec, .sync.aligned.u32");
  b.expect_operands(1);
  const int64_t registers = b.read_immediate(0, 24, 256);
  if (registers % 8)
    b.fail(b.operand(0), "expected a multiple of 8");
  b.emit(&set_limit).value = registers;
}

constexpr InstructionRow kRows[] = {
    {"wgmma", StepClass::Wgmma, build_wgmma}, {"setmaxnreg", StepClass::Control, build_setmaxnreg}};
}   // namespace

// "wgmma.wait_group": until it, neither the sums of a product nor registers of A may be used.
void use_accumulators(Warp& w, const Step& s) {
  const uint32_t number = number_of(w, s);
  const Program::AccumulatorUse& use = w.program().accumulator_uses.at(number);
  const unsigned warp = w.index() % 4;
  WarpgroupAsync& g = group_of(w);
  for (uint32_t r : use.registers) {
    if (g.in_flight[warp][r])
      fail(w, s, "uses a register of a wgmma before the wgmma.wait_group for it");
    if (g.used_by[warp][r] != kNeverFenced)
      g.used_by[warp][r] = number;
  }
  use.run(w, s);
}
void check_limits(const Block& block) {
  for (size_t first = 0; first < block.groups.size(); ++first)
    for (size_t i = 0; i < 4; ++i) {
      const auto& limits = block.groups[first].limits;
      if (limits[i].size() > limits[0].size() || limits[i].size() < limits[0].size()) {
        const size_t more = limits[i].size() > limits[0].size() ? i : 0;
        const Step& s = *limits[more].back();
        fail(block.warps[4 * first + more], s, "setmaxnreg was not taken by all four warps of the warpgroup");
      }
    }
}

InstructionTable warpgroup_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
