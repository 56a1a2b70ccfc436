// wgmma: products of four warps from shared memory. PTX ISA, "Asynchronous Warpgroup Level Matrix". Recorded when
// issued and done at the wait, so that a missing wait reads old sums.
#include "access.h"
#include "barriers.h"
#include "dispatch.h"
#include "warpgroup_operands.h"
#include <immintrin.h>

namespace spectral::cpu::ptx {
namespace {
enum WarpgroupFlag : uint32_t {
  kRowMajorA = 1,   // imm-trans-a
  kRowMajorB = 2,
  kNegatesA = 4,   // imm-scale-a is -1
  kNegatesB = 8,
  kFlipScale = 16,
  kConstantScale = 32,   // scale-d is a constant
  kConstantClears = 64,
  kF16 = 128,
  kRegistersA = 256
};

WarpgroupAsync& group_of(Warp& w) { return w.block().groups[w.index() / 4]; }
bool whole_warpgroup(Warp& w, const Step& s, const char* name) {
  if (!whole_warp(w, s, name))
    return false;
  if (w.index() / 4 * 4 + 4 > w.block().warps.size())
    fail(w, s, "%s needs the four warps of a warpgroup", name);
  return true;
}
uint32_t number_of(Warp& w, const Step& s) { return uint32_t(&s - w.program().steps.data()); }
void fence(Warp& w, const Step& s) {
  if (!whole_warpgroup(w, s, "wgmma.fence"))
    return;
  std::vector<uint32_t>& used_by = group_of(w).used_by[w.index() % 4];
  std::fill(used_by.begin(), used_by.end(), kFenced);
}
// PTX ISA, "wgmma.fence": before the first wgmma, and between any other use of its registers and it.
void check_fence(Warp& w, const Step& s) {
  const std::vector<uint32_t>& used_by = group_of(w).used_by[w.index() % 4];
  for (uint32_t r : w.program().accumulator_uses.at(number_of(w, s)).registers) {
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
  if (Counters* c = w.block().counters())
    c->async_shared_bytes +=   // a warp's share of A and B
        ((s.flags & kRegistersA ? 0u : 64u) + uint64_t(s.value)) * 16 * sizeof(uint16_t) / 4;
  const uint64_t a = s.flags & kRegistersA ? 0 : uniform_descriptor(w, s, s.a);
  g.ops[warp].push_back({&s, a, uniform_descriptor(w, s, s.b), clears});
}

// ---- the product
OperandValues values_of(const Step& s, uint32_t negates) { return {(s.flags & kF16) != 0, (s.flags & negates) != 0}; }
// A in the registers of a warp, as that of mma.m16n8k16: register 2 half + h has row g + 8 h, depths 8 half + 2 q and
// the next.
void read_registers(Warp& w, const Step& s, float (*a)[16]) {
  const uint32_t* places = w.list(s) + s.value / 2;
  const OperandValues values = values_of(s, kNegatesA);
  for (uint32_t i = 0; i < 4; ++i) {
    const uint32_t* bits = w.lanes<uint32_t>(places[i]);
    for (uint32_t lane = 0; lane < 32; ++lane) {
      float* to = &a[lane / 4 + 8 * (i % 2)][8 * (i / 2) + lane % 4 * 2];
      to[0] = operand_value(values, bits[lane] & 0xffff);
      to[1] = operand_value(values, bits[lane] >> 16);
    }
  }
}
// "Matrix Fragments for wgmma.mma_async.m64nNk16". Register 4 j + 2 h + e of warp i: D[16 i + g + 8 h][8 j + 2 q + e].
// Lane by lane, a sum in the order of depth.
void multiply(Warp& w, const Step& s, bool clears, const float (*a)[16], const float (*b)[256]) {
  const uint32_t n = uint32_t(s.value);
  const uint32_t* places = w.list(s);
  const uint32_t first = 16 * (w.index() % 4);
  alignas(32) float rows[2][16][32];   // for each lane its A
  for (uint32_t h = 0; h < 2; ++h)
    for (uint32_t k = 0; k < 16; ++k)
      for (uint32_t lane = 0; lane < 32; ++lane)
        rows[h][k][lane] = a[first + lane / 4 + 8 * h][k];
  for (uint32_t j = 0; j < n / 8; ++j)
    for (uint32_t e = 0; e < 2; ++e) {
      alignas(16) float columns[16][4];
      for (uint32_t k = 0; k < 16; ++k)
        for (uint32_t q = 0; q < 4; ++q)
          columns[k][q] = b[k][8 * j + 2 * q + e];
      for (uint32_t h = 0; h < 2; ++h) {
        float* d = w.lanes<float>(places[4 * j + 2 * h + e]);
        __m256 sums[4];
        for (int v = 0; v < 4; ++v)
          sums[v] = clears ? _mm256_setzero_ps() : _mm256_loadu_ps(d + 8 * v);
        for (uint32_t k = 0; k < 16; ++k) {
          const __m256 column = _mm256_broadcast_ps(reinterpret_cast<const __m128*>(columns[k]));
          for (int v = 0; v < 4; ++v)
            sums[v] = _mm256_fmadd_ps(_mm256_load_ps(&rows[h][k][8 * v]), column, sums[v]);
        }
        for (int v = 0; v < 4; ++v)
          _mm256_storeu_ps(d + 8 * v, sums[v]);
      }
    }
}
// Done for all four warps by the last that waits.
void run_op(Block& block, unsigned first_warp, const WarpgroupAsync& g, size_t index) {
  Warp& leader = block.warps[first_warp];
  const WarpgroupOp& op = g.ops[0][index];
  alignas(32) float a[64][16];
  alignas(32) float b[16][256];
  const Step& s = *op.step;
  if (s.flags & kRegistersA)
    for (unsigned i = 0; i < 4; ++i)
      read_registers(block.warps[first_warp + i], *g.ops[i][index].step, a + 16 * i);
  else
    read_operand(leader, s, op.a, s.flags & kRowMajorA, values_of(s, kNegatesA), 64, a[0], 16, 1);
  read_operand(leader, s, op.b, s.flags & kRowMajorB, values_of(s, kNegatesB), uint32_t(s.value), b[0], 1, 256);
  for (unsigned i = 0; i < 4; ++i)
    multiply(block.warps[first_warp + i], *g.ops[i][index].step, op.clears, a, b);
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
void build_mma_async(Builder& b) {
  const std::string_view shape = b.peek();
  uint32_t n = 0;
  if (shape.starts_with("m64n") && shape.ends_with("k16"))
    for (char c : shape.substr(4, shape.size() - 7))
      n = c >= '0' && c <= '9' && n < 1000 ? n * 10 + uint32_t(c - '0') : 1000;
  if (n < 8 || n > 256 || n % 8)
    b.fail("expected a shape from .m64n8k16 to .m64n256k16");
  b.skip_modifier();
  const bool sums_f32 = b.take("f32");
  const int type = b.take_one_of({"bf16", "f16"});
  if (!sums_f32 || type < 0 || !b.take(type ? "f16" : "bf16"))
    b.fail("supported: .f32.bf16.bf16 and .f32.f16.f16");
  // A in registers has no imm-trans
  const std::vector<Operand>* registers = b.count() > 1 ? Builder::parts_of(b.operand(1)) : nullptr;
  b.expect_operands(registers ? 7 : 8);
  if (registers && registers->size() != 4)
    b.fail(b.operand(1), "expected 4 registers or a descriptor");
  const Operand& sums = b.operand(0);
  const std::vector<Operand>* parts = Builder::parts_of(sums);
  if (!parts || parts->size() != n / 2)
    b.fail(sums, "expected " + std::to_string(n / 2) + " registers");
  std::vector<uint32_t> places;
  const uint32_t from_a = registers ? 0 : b.read(1, Type::B64);
  const uint32_t from_b = b.read(2, Type::B64);
  bool flip = false;
  const Operand& scale = b.operand(3);
  const bool constant = scale.kind == OperandKind::Immediate;
  const uint32_t scales = constant ? 0 : b.read_predicate(scale, &flip);
  const bool negates_a = read_sign(b, 4);
  const bool negates_b = read_sign(b, 5);
  const bool row_major_a = !registers && b.read_immediate(6, 0, 1);
  const bool row_major_b = b.read_immediate(registers ? 6 : 7, 0, 1);
  for (const Operand& o : *parts) {
    b.read(o, Type::F32);
    places.push_back(b.write(o, Type::F32));
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
  s.value = n;
  s.operations = uint16_t(2 * 64 * 16 * n / 128);
  auto set = [&](bool holds, uint32_t flag) { s.flags |= holds ? flag : 0u; };
  set(row_major_a, kRowMajorA);
  set(row_major_b, kRowMajorB);
  set(negates_a, kNegatesA);
  set(negates_b, kNegatesB);
  set(flip, kFlipScale);
  set(constant, kConstantScale);
  set(constant && !scale.value, kConstantClears);
  set(type == 1, kF16);
  set(registers, kRegistersA);
}
void build_wgmma(Builder& b) {
  const int action = b.take_one_of({"fence", "mma_async", "commit_group", "wait_group"});
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

void use_accumulators(Warp& w, const Step& s) {
  const uint32_t number = number_of(w, s);
  const Program::AccumulatorUse& use = w.program().accumulator_uses.at(number);
  std::vector<uint32_t>& used_by = group_of(w).used_by[w.index() % 4];
  for (uint32_t r : use.registers)
    if (used_by[r] != kNeverFenced)
      used_by[r] = number;
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
