// wgmma: products of four warps from shared memory. PTX ISA, "Asynchronous Warpgroup Level Matrix". Recorded when
// issued and done at the wait, so that a missing wait reads old sums; operands lie in the 128-byte swizzle, behind
// descriptors.
#include "../../device/async_copy.cuh"
#include "access.h"
#include "barriers.h"
#include "dispatch.h"
#include <immintrin.h>

namespace spectral::cpu::ptx {
namespace {
enum WarpgroupFlag : uint32_t { kDepthRows = 8, kClearsAlways = 16, kFlipScale = 32 };

WarpgroupAsync& group_of(Warp& w) { return w.block().groups[w.index() / 4]; }
bool whole_warpgroup(Warp& w, const Step& s, const char* name) {
  if (!whole_warp(w, s, name))
    return false;
  if (w.index() / 4 * 4 + 4 > w.block().warps.size())
    fail(w, s, "%s needs the four warps of a warpgroup", name);
  return true;
}
void fence(Warp& w, const Step& s) {
  if (whole_warpgroup(w, s, "wgmma.fence"))
    group_of(w).fenced[w.index() % 4] = true;
}

// "Matrix Descriptor Format".
struct Descriptor {
  uint32_t start, leading, stride;
  explicit Descriptor(uint64_t d)
      : start(uint32_t(d & 0x3fff) << 4),
        leading(uint32_t(d >> 16 & 0x3fff) << 4),
        stride(uint32_t(d >> 32 & 0x3fff) << 4) {}
};
uint64_t uniform_descriptor(Warp& w, const Step& s, uint32_t place) {
  const uint64_t* d = w.lanes<uint64_t>(place);
  for (int k = 1; k < 32; ++k)
    if (d[k] != d[0])
      fail(w, s, "wgmma: descriptors differ between lanes, %016llx and %016llx", (long long)d[0], (long long)d[k]);
  if (d[0] >> 62 != 1)
    fail(w, s, "wgmma descriptor %016llx: only the 128-byte swizzle is supported", (long long)d[0]);
  if (d[0] >> 49 & 7)
    fail(w, s, "wgmma descriptor %016llx: only base offset 0 is supported", (long long)d[0]);
  constexpr uint64_t kUnused = 0x3ull << 14 | 0x3ull << 30 | 0x7ull << 46 | 0x3ffull << 52;
  if (d[0] & kUnused)
    fail(w, s, "wgmma descriptor %016llx: bits that must be zero are not", (long long)d[0]);
  return d[0];
}
void issue(Warp& w, const Step& s) {
  if (!whole_warpgroup(w, s, "wgmma.mma_async"))
    return;
  WarpgroupAsync& g = group_of(w);
  const unsigned warp = w.index() % 4;
  if (!g.fenced[warp])
    fail(w, s, "wgmma without a wgmma.fence before it");
  const uint32_t scale = w.predicate(s.c) ^ (s.flags & kFlipScale ? ~0u : 0u);
  if (scale && ~scale)
    fail(w, s, "wgmma: scale-d differs between lanes");
  const bool clears = !scale || s.flags & kClearsAlways;
  if (Counters* c = w.block().counters())
    c->async_shared_bytes += (64 + uint64_t(s.value)) * 16 * sizeof(uint16_t) / 4;   // a warp's share of A and B
  g.ops[warp].push_back({&s, uniform_descriptor(w, s, s.a), uniform_descriptor(w, s, s.b), clears});
}

// ---- the product
float widened(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }
// Eight values of a 16-byte unit of swizzled shared memory: "Shared Memory Matrix Layout". The pattern follows the
// address, so a start address within it, as of a later step in k, needs nothing more.
void read_unit(Warp& w, const Step& s, uint32_t offset, float* out) {
  const uint32_t at = swizzle128(offset);
  const size_t size = w.block().cluster->shared_bytes;
  if (at + 16 > size)
    fail(w, s, "wgmma reads shared offset %u of %zu", at, size);
  check_fenced(w, s, w.block(), at, at + 16, "wgmma reads");
  uint16_t bits[8];
  std::memcpy(bits, w.block().shared + at, sizeof bits);
  for (int i = 0; i < 8; ++i)
    out[i] = widened(bits[i]);
}
// "Strides", and the canonical layouts there. A: 64 rows of 16 depths, K-major. B: 16 depths of n columns; K-major too,
// or with depth rows as [depth, n].
void read_a(Warp& w, const Step& s, uint64_t descriptor, float (*a)[16]) {
  const Descriptor d(descriptor);
  for (uint32_t r = 0; r < 64; ++r)
    for (uint32_t c = 0; c < 2; ++c)
      read_unit(w, s, d.start + r / 8 * d.stride + r % 8 * 128 + c * 16, a[r] + 8 * c);
}
void read_b(Warp& w, const Step& s, uint64_t descriptor, uint32_t n, float (*b)[256]) {
  const Descriptor d(descriptor);
  float unit[8];
  if (s.flags & kDepthRows) {
    for (uint32_t j = 0; j < n / 8; ++j)
      for (uint32_t k = 0; k < 16; ++k)
        read_unit(w, s, d.start + j / 8 * d.leading + k / 8 * d.stride + k % 8 * 128 + j % 8 * 16, b[k] + 8 * j);
    return;
  }
  for (uint32_t r = 0; r < n; ++r)
    for (uint32_t c = 0; c < 2; ++c) {
      read_unit(w, s, d.start + r / 8 * d.stride + r % 8 * 128 + c * 16, unit);
      for (uint32_t i = 0; i < 8; ++i)
        b[8 * c + i][r] = unit[i];
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
  read_a(leader, *op.step, op.a, a);
  read_b(leader, *op.step, op.b, uint32_t(op.step->value), b);
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
}
// "wgmma.wait_group": all groups but the newest `s.value`.
void wait_group(Warp& w, const Step& s) {
  if (whole_warpgroup(w, s, "wgmma.wait_group"))
    wait_keeping(w, s, uint64_t(s.value));
}

// ---- building
void build_mma_async(Builder& b) {
  const std::string_view shape = b.peek();
  uint32_t n = 0;
  if (shape.starts_with("m64n") && shape.ends_with("k16"))
    for (char c : shape.substr(4, shape.size() - 7))
      n = c >= '0' && c <= '9' && n < 1000 ? n * 10 + uint32_t(c - '0') : 1000;
  if (n < 8 || n > 256 || n % 8)
    b.fail("expected a shape from .m64n8k16 to .m64n256k16");
  b.skip_modifier();
  const bool types = b.take("f32") && b.take("bf16") && b.take("bf16");
  if (!types)
    b.fail("supported: .f32.bf16.bf16");
  b.expect_operands(8);
  const Operand& sums = b.operand(0);
  const std::vector<Operand>* parts = Builder::parts_of(sums);
  if (!parts || parts->size() != n / 2)
    b.fail(sums, "expected " + std::to_string(n / 2) + " registers");
  std::vector<uint32_t> places;
  const uint32_t from_a = b.read(1, Type::B64);
  const uint32_t from_b = b.read(2, Type::B64);
  bool flip = false;
  const Operand& scale = b.operand(3);
  const bool constant = scale.kind == OperandKind::Immediate;
  const uint32_t scales = constant ? 0 : b.read_predicate(scale, &flip);
  b.read_immediate(4, 1, 1);
  b.read_immediate(5, 1, 1);
  b.read_immediate(6, 0, 0);
  const bool depth_rows = b.read_immediate(7, 0, 1);
  for (const Operand& o : *parts) {
    b.read(o, Type::F32);
    places.push_back(b.write(o, Type::F32));
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
  s.flags = (depth_rows ? kDepthRows : 0u) | (flip ? uint32_t(kFlipScale) : 0u) |
            (constant && !scale.value ? uint32_t(kClearsAlways) : 0u);
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
  const bool known = b.take_one_of({"inc", "dec"}) >= 0 && b.take("sync") && b.take("aligned") && b.take("u32");
  if (!known)
    b.fail("expected .inc or .dec, .sync.aligned.u32");
  b.expect_operands(1);
  if (b.read_immediate(0, 24, 256) % 8)
    b.fail(b.operand(0), "expected a multiple of 8");
  b.emit(&do_nothing);
}

constexpr InstructionRow kRows[] = {
    {"wgmma", StepClass::Wgmma, build_wgmma}, {"setmaxnreg", StepClass::Control, build_setmaxnreg}};
}   // namespace

InstructionTable warpgroup_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
