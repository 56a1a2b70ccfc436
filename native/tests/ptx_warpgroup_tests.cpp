// wgmma against the PTX ISA ("Asynchronous Warpgroup Level Matrix Instructions"): its matrix descriptors, the canonical
// layouts that CuTe's mma_traits_sm90_gmma states for them in shared memory, its fragments and its groups.
#include "ptx_fragments.h"
#include <algorithm>

namespace {
constexpr int kThreads = 128;
constexpr int kShared = 40960;              // bytes
constexpr int kDescriptors = kShared / 4;   // words of the buffer: shared memory, descriptors, A, accumulators
constexpr int kSteps = 4;
constexpr int kRegisters = kDescriptors + kSteps * 4;   // of A, four for each thread
constexpr int kSums = kRegisters + kThreads * 4;

// PTX ISA, "Matrix Fragments for wgmma.mma_async.m64nNk16", multiplicand A in registers (a figure there): each warp's
// as A of mma.m16n8k16.
Element a_of(int thread, int i) {
  const int lane = thread % 32;
  return {thread / 32 * 16 + lane / 4 + (i & 2 ? 8 : 0), i / 4 * 8 + lane % 4 * 2 + (i & 1)};
}

// An operand in shared memory. The strides are those of its descriptor.
struct SharedOperand {
  int width;   // bytes of the swizzle: 128, 64 or 32; 16 for none
  bool mn_major;
  uint32_t start;   // of step 0, in bytes
  uint32_t leading;
  uint32_t stride;
  uint32_t step;   // bytes to the start address of the next 16 of k
};
// CuTe's Swizzle<b, 4, 3> for a width of 16 << b bytes: b bits of the address from bit 7 on, onto those from bit 4 on.
uint32_t swizzled(int width, uint32_t address) {
  const uint32_t mask = uint32_t(width) / 16 - 1;
  return address ^ (address >> 7 & mask) << 4;
}
// Where element (mn, k) of a step lies. CuTe's canonical layouts, in elements of 16 bits (T = 8, w = width / 16):
//   K-major   none ((8,m),(T,2)) : ((1T,SBO),(1,LBO))     swizzled ((8,m),(T,2)) : ((wT,SBO),(1,T))
//   MN-major  none ((T,1,m),(8,k)) : ((1,T,SBO),(1T,LBO)) swizzled ((T,w,m),(8,k)) : ((1,T,LBO),(wT,SBO))
uint32_t byte_of(const SharedOperand& o, int step, int mn, int k) {
  const int leading = int(o.leading / 2);
  const int stride = int(o.stride / 2);
  const int w = o.width / 16;
  const bool swizzles = w > 1;
  CuteLayout outer{{{8, 8 * w}, {32, stride}}};
  CuteLayout depth{{{8, 1}, {2, swizzles ? 8 : leading}}};
  if (o.mn_major) {
    outer.modes = {{8, 1}, {w, 8}, {32, swizzles ? leading : stride}};
    depth.modes = {{8, 8 * w}, {2, swizzles ? stride : leading}};
  }
  return swizzled(o.width, o.start + uint32_t(step) * o.step + 2 * uint32_t(outer(mn) + depth(k)));
}
// PTX ISA, "Matrix Descriptor Format": start address in bits 0-13, leading and stride byte offsets in 16-29 and 32-45,
// each without its 4 low bits; in 62-63 the swizzle: 0 none, 1 of 128, 2 of 64, 3 of 32 bytes.
uint64_t descriptor(const SharedOperand& o, int step) {
  const auto encoded = [](uint32_t bytes) { return uint64_t((bytes & 0x3ffff) >> 4); };
  constexpr int kWidths[] = {16, 128, 64, 32};   // by mode
  const auto mode = uint64_t(std::find(kWidths, std::end(kWidths), o.width) - kWidths);
  return encoded(o.start + uint32_t(step) * o.step) | encoded(o.leading) << 16 | encoded(o.stride) << 32 | mode << 62;
}

struct Product {
  int n;
  SharedOperand a;
  SharedOperand b;
  int steps = 1;
  bool adds = true;        // scale-d of the first step
  bool constant = false;   // scale-d as a constant, not a predicate
  bool f16 = false;
  int scale_a = 1;
  int scale_b = 1;
  bool registers = false;   // A
};
std::string text_of(const Product& p) {
  std::string code =
      "{ .reg .f32 %f<128>;\n.reg .b32 %w<4>, %ra<4>;\n.reg .b64 %da, %db;\nmov.u32 %a, s;\nmul.lo.u32 %b, %x, 16;\n"
      "cvt.u64.u32 %la, %b;\nadd.u64 %la, %out, %la;\nadd.u32 %b, %b, %a;\n";
  for (int at = 0; at < kShared; at += kThreads * 16)
    code += "ld.global.v4.b32 {%w0, %w1, %w2, %w3}, [%la+" + std::to_string(at) + "];\nst.shared.v4.b32 [%b+" +
            std::to_string(at) + "], {%w0, %w1, %w2, %w3};\n";
  code +=
      "fence.proxy.async.shared::cta;\nbar.sync 0;\nmul.wide.u32 %lb, %x, 512;\nadd.u64 %lb, %out, %lb;\n"
      "and.b32 %a, %a, 0x3ffff;\nshr.u32 %a, %a, 4;\ncvt.u64.u32 %la, %a;\n" +
      load_registers("%f", p.n / 2, "%lb", 4 * kSums) + "mul.wide.u32 %lc, %x, 16;\nadd.u64 %lc, %out, %lc;\n" +
      load_registers("%ra", 4, "%lc", 4 * kRegisters) + "wgmma.fence.sync.aligned;\n";
  for (int step = 0; step < p.steps; ++step) {
    const int adds = step || p.adds;
    const std::string at = std::to_string(4 * kDescriptors + 16 * step);
    code += "ld.global.v2.b64 {%da, %db}, [%out+" + at + "];\nadd.u64 %da, %da, %la;\nadd.u64 %db, %db, %la;\n" +
            (p.constant ? "setp.lt.u32 %p, %x, 5" : "setp.ne.b32 %p, " + std::to_string(adds) + ", 0") +
            ";\nwgmma.mma_async.sync.aligned.m64n" + std::to_string(p.n) +
            (p.f16 ? "k16.f32.f16.f16 " : "k16.f32.bf16.bf16 ") + registers("%f", p.n / 2) + ", " +
            (p.registers ? registers("%ra", 4) : "%da") + ", %db, " + (p.constant ? std::to_string(adds) : "%p") +
            ", " + std::to_string(p.scale_a) + ", " + std::to_string(p.scale_b) + ", " +
            (p.registers ? "" : std::to_string(p.a.mn_major) + ", ") + std::to_string(p.b.mn_major) + ";\n";
  }
  return code + "wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n" +
         store_registers("%f", p.n / 2, "%lb", 4 * kSums) + "}";
}

// Shared memory of random small integers; the product is read where the layouts say that the elements are, so every
// element in a wrong place shows, and every sum is exact.
void check_product(const std::string& name, const Product& p) {
  std::mt19937 g{unsigned(p.n) + 1};
  std::vector<uint32_t> words(size_t(kSums) + kThreads * 128);
  const auto number = [&] { return float(int(g() % 9) - 4); };
  const auto half = [&](float v) { return p.f16 ? std::bit_cast<uint16_t>(_Float16(v)) : to_bf16(v); };
  const auto value = [&](uint32_t bits) {
    return p.f16 ? float(std::bit_cast<_Float16>(uint16_t(bits))) : from_bf16(uint16_t(bits));
  };
  const auto two = [&] {
    const float low = number();
    return two_halves(half(low), half(number()));
  };
  for (int i = 0; i < kDescriptors; ++i)
    words[size_t(i)] = two();
  for (int i = kRegisters; i < kSums; ++i)
    words[size_t(i)] = two();
  const auto element = [&](const SharedOperand& o, int step, int mn, int k) {
    const uint32_t at = byte_of(o, step, mn, k);
    return at + 2 <= kShared ? value(words[at / 4] >> (at % 4 * 8)) : NAN;
  };
  for (int step = 0; step < p.steps; ++step) {
    const uint64_t both[2] = {descriptor(p.a, step), descriptor(p.b, step)};
    std::memcpy(&words[size_t(kDescriptors + 4 * step)], both, sizeof both);
  }
  std::vector<float> in_registers(64 * 16);
  for (int t = 0; t < kThreads; ++t)
    for (int i = 0; i < 8; ++i) {
      const Element e = a_of(t, i);
      in_registers[size_t(e.row * 16 + e.column)] = value(words[size_t(kRegisters + t * 4 + i / 2)] >> (i % 2 * 16));
    }
  std::vector<float> wanted(64 * 256);
  for (int t = 0; t < kThreads; ++t)
    for (int i = 0; i < p.n / 2; ++i) {
      const Element e = warpgroup_sum(t, i);
      const float c = number();
      words[size_t(kSums + t * 128 + i)] = std::bit_cast<uint32_t>(c);
      wanted[size_t(e.row * p.n + e.column)] = p.adds ? c : 0;
    }
  for (int step = 0; step < p.steps; ++step)
    for (int k = 0; k < 16; ++k)
      for (int m = 0; m < 64; ++m) {
        const float from_a = p.registers ? in_registers[size_t(m * 16 + k)] : element(p.a, step, m, k);
        const float a = from_a * float(p.scale_a * p.scale_b);
        for (int n = 0; n < p.n; ++n)
          wanted[size_t(m * p.n + n)] += a * element(p.b, step, n, k);
      }
  const auto out = run_words(text_of(p), words, kThreads, 1, ".shared .align 1024 .b8 s[40960];\n");
  int wrong = out.empty();
  for (int t = 0; t < kThreads && !out.empty(); ++t)
    for (int i = 0; i < p.n / 2; ++i) {
      const Element e = warpgroup_sum(t, i);
      wrong += std::bit_cast<float>(out[size_t(kSums + t * 128 + i)]) != wanted[size_t(e.row * p.n + e.column)];
    }
  check(!wrong, "wgmma m64n" + std::to_string(p.n) + "k16, " + name + ": " + std::to_string(wrong) + " wrong");
}

void swizzle_of_128() {
  // A in 8 KB, 64 rows of 128 bytes; B behind it
  constexpr SharedOperand a{128, false, 0, 0, 1024, 32};
  constexpr SharedOperand b{128, false, 8192, 0, 1024, 32};
  for (int n : {8, 16, 24, 40, 64, 96, 128, 200, 256})
    check_product("K-major", {n, a, b});
  check_product("K-major, four steps within the swizzle", {64, a, b, 4});
  check_product(
      "K-major, from the third step on", {32, {128, false, 64, 0, 1024, 32}, {128, false, 8192 + 64, 0, 1024, 32}, 2});
  check_product(
      "groups of 8 rows farther apart", {16, {128, false, 0, 0, 2048, 32}, {128, false, 1024, 0, 4096, 32}, 4});
  check_product(
      "leading offset unused by K-major", {16, {128, false, 0, 16, 1024, 32}, {128, false, 8192, 528, 1024, 32}});
  check_product("without C", {32, a, b, 2, false});
  check_product("without C, a constant", {32, a, b, 2, false, true});
  check_product("with C, a constant", {32, a, b, 2, true, true});
  // B with n along the rows of 128 bytes: 64 columns by 8 of k in 1024 bytes
  for (int n : {64, 128, 256})
    check_product("N-major, k side by side", {n, a, {128, true, 8192, 2048, 1024, 0}});
  for (int n : {64, 128, 192, 256})
    check_product("N-major, n side by side", {n, a, {128, true, 8192, 1024, 4096, 8192}, 4});
  check_product("N-major, one k step", {256, a, {128, true, 16384, 4096, 1024, 2048}, 2});
  check_product("M-major", {32, {128, true, 0, 0, 1024, 2048}, b, 3});
  check_product("M-major and N-major", {128, {128, true, 0, 0, 2048, 1024}, {128, true, 8192, 2048, 1024, 4096}, 2});
}

void other_swizzles() {
  for (int width : {32, 64}) {
    const std::string name = "swizzle of " + std::to_string(width) + " bytes, ";
    const auto atom = uint32_t(8 * width);   // bytes
    const SharedOperand a{width, false, 0, 0, atom, 32};
    const SharedOperand b{width, false, 8192, 0, atom, 32};
    const int steps = width / 32;
    for (int n : {8, 64, 256})
      check_product(name + "K-major", {n, a, b, steps});
    check_product(name + "groups farther apart", {40, {width, false, 0, 0, 2 * atom, 32}, b, steps});
    check_product(name + "M-major", {32, {width, true, 0, 2 * atom, atom, 8192}, b});
    check_product(name + "N-major, k side by side", {128, a, {width, true, 8192, 2 * atom, atom, 0}});
    check_product(name + "N-major, n side by side", {128, a, {width, true, 8192, atom, 8192, 0}});
  }
  // without a swizzle 8 x 8 elements follow each other; the offsets are free
  for (int n : {8, 72, 256}) {
    check_product(
        "no swizzle, K-major, k side by side", {n, {16, false, 0, 128, 256, 0}, {16, false, 8192, 128, 256, 0}});
    check_product(
        "no swizzle, K-major, rows side by side", {n, {16, false, 0, 1024, 128, 0}, {16, false, 8192, 8192, 128, 0}});
    check_product("no swizzle, MN-major", {n, {16, true, 0, 1024, 128, 0}, {16, true, 8192, 128, 256, 0}});
    check_product(
        "no swizzle, MN-major, n side by side", {n, {16, true, 0, 128, 256, 0}, {16, true, 8192, 4096, 128, 0}});
  }
}

void types_and_scales() {
  constexpr SharedOperand a{128, false, 0, 0, 1024, 32};
  constexpr SharedOperand b{128, false, 8192, 0, 1024, 32};
  constexpr SharedOperand turned{128, true, 8192, 2048, 1024, 0};
  for (bool f16 : {false, true}) {
    const std::string name = f16 ? "f16, " : "bf16, ";
    for (int n : {8, 128, 256}) {
      check_product(name + "A in registers", {n, a, b, 1, true, false, f16, 1, 1, true});
      check_product(name + "A in shared memory", {n, a, b, 2, true, false, f16});
    }
    check_product(name + "A in registers, B N-major", {64, a, turned, 1, true, false, f16, 1, 1, true});
    check_product(name + "-A", {16, a, b, 1, true, false, f16, -1, 1});
    check_product(name + "-B", {16, a, b, 1, true, false, f16, 1, -1});
    check_product(name + "-A -B", {16, a, b, 1, true, false, f16, -1, -1});
    check_product(name + "-A in registers, -B", {16, a, b, 1, true, true, f16, -1, -1, true});
    check_product(name + "-A in registers", {16, a, b, 1, false, true, f16, -1, 1, true});
  }
}

// PTX ISA, "wgmma.wait_group": with 1, all groups but the latest are complete.
void groups() {
  const std::string product = "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {";
  const std::string rest = "}, %da, %db, 1, 1, 1, 0, 0;\nwgmma.commit_group.sync.aligned;\n";
  // every element of shared memory is 1, so each product adds 16
  const auto out = run_words(
      "{ .reg .f32 %f<8>;\n.reg .b64 %da, %db;\nmov.u32 %a, s;\nmul.lo.u32 %b, %x, 16;\nadd.u32 %b, %b, %a;\n"
      "st.shared.v4.b32 [%b], {0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80};\n"
      "st.shared.v4.b32 [%b+2048], {0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80};\n"
      "st.shared.v4.b32 [%b+4096], {0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80};\n"
      "st.shared.v4.b32 [%b+6144], {0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80};\n"
      "fence.proxy.async.shared::cta;\nbar.sync 0;\nshr.u32 %a, %a, 4;\ncvt.u64.u32 %da, %a;\n"
      "or.b64 %da, %da, 0x4000004000000000;\nmov.b64 %db, %da;\nmul.wide.u32 %lb, %x, 32;\nadd.u64 %lb, %out, %lb;\n" +
          load_registers("%f", 8, "%lb") + "wgmma.fence.sync.aligned;\n" + product + "%f0, %f1, %f2, %f3" + rest +
          product + "%f4, %f5, %f6, %f7" + rest + "wgmma.wait_group.sync.aligned 1;\n" +
          store_registers("%f", 4, "%lb") + "wgmma.wait_group.sync.aligned 0;\n" + store_registers("%f", 8, "%lb") +
          "}",
      std::vector<uint32_t>(kThreads * 8, std::bit_cast<uint32_t>(2.f)),
      kThreads,
      1,
      ".shared .align 1024 .b8 s[8192];\n");
  CHECK(out == std::vector<uint32_t>(kThreads * 8, std::bit_cast<uint32_t>(18.f)));
}
}   // namespace

TEST_GROUP(ptx_warpgroups) {
  // CuTe's CLayout_64xN: (T128, V) to row + 64 * column
  check_same_fragment(
      "D of wgmma", warpgroup_sum, {64, {{{4, 128}, {8, 1}, {4, 16}}}, {{{2, 64}, {2, 8}, {32, 512}}}}, kThreads, 128);
  // and its ALayout_64x16, whose modes of values are (2, 2, 2)
  check_same_fragment(
      "A of wgmma in registers", a_of, {64, {{{4, 128}, {8, 1}, {4, 16}}}, {{{2, 64}, {2, 8}, {2, 512}}}}, kThreads, 8);
  swizzle_of_128();
  other_swizzles();
  types_and_scales();
  groups();
}
