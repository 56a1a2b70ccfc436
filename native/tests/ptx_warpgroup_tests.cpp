// wgmma against the PTX ISA ("Asynchronous Warpgroup Level Matrix Instructions"): its matrix descriptors, the canonical
// layouts that CuTe's mma_traits_sm90_gmma states for them in shared memory, its fragments and its groups.
#include "ptx_fragments.h"

namespace {
constexpr int kThreads = 128;
constexpr int kShared = 40960;              // bytes
constexpr int kDescriptors = kShared / 4;   // words of the buffer: shared memory, descriptors, accumulators
constexpr int kSteps = 4;
constexpr int kSums = kDescriptors + kSteps * 4;

// PTX ISA, "Matrix Fragments for wgmma.mma_async.m64nNk16", accumulator D (a figure there): warp w of the warpgroup has
// the rows 16 w ... 16 w + 15, eight columns after the other as D of mma.m16n8k16.
Element sum_of(int thread, int i) {
  const int lane = thread % 32;
  return {thread / 32 * 16 + lane / 4 + (i & 2 ? 8 : 0), i / 4 * 8 + lane % 4 * 2 + (i & 1)};
}

// An operand in shared memory with the swizzle of 128 bytes. The strides are those of its descriptor.
struct SharedOperand {
  bool mn_major;
  uint32_t start;   // of step 0, in bytes
  uint32_t leading;
  uint32_t stride;
  uint32_t step;   // bytes to the start address of the next 16 of k
};
// Swizzle<3, 4, 3>: bits 7 to 9 of the address onto bits 4 to 6.
uint32_t swizzled(uint32_t address) { return address ^ (address >> 3 & 0x70); }
// Where element (mn, k) of a step lies. CuTe, in elements of 16 bits (T = 8):
// K-major ((8,m),(T,2)) : ((8T,SBO),(1,T)); MN-major ((T,8,m),(8,k)) : ((1,T,LBO),(8T,SBO)).
uint32_t byte_of(const SharedOperand& o, int step, int mn, int k) {
  const int leading = int(o.leading / 2);
  const int stride = int(o.stride / 2);
  const CuteLayout outer{
      o.mn_major ? std::vector<std::pair<int, int>>{{8, 1}, {8, 8}, {16, leading}}
                 : std::vector<std::pair<int, int>>{{8, 64}, {32, stride}}};
  const CuteLayout depth{
      o.mn_major ? std::vector<std::pair<int, int>>{{8, 64}, {2, stride}}
                 : std::vector<std::pair<int, int>>{{8, 1}, {2, 8}}};
  return swizzled(o.start + uint32_t(step) * o.step + 2 * uint32_t(outer(mn) + depth(k)));
}
// PTX ISA, "Matrix Descriptor Format": start address in bits 0-13, leading and stride byte offsets in 16-29 and 32-45,
// each without its 4 low bits; the swizzle in 62-63, where 1 means 128 bytes.
uint64_t descriptor(const SharedOperand& o, int step) {
  const auto encoded = [](uint32_t bytes) { return uint64_t((bytes & 0x3ffff) >> 4); };
  return encoded(o.start + uint32_t(step) * o.step) | encoded(o.leading) << 16 | encoded(o.stride) << 32 |
         uint64_t(1) << 62;
}

struct Product {
  int n;
  SharedOperand a;
  SharedOperand b;
  int steps = 1;
  bool adds = true;        // scale-d of the first step
  bool constant = false;   // scale-d as a constant, not a predicate
};
std::string text_of(const Product& p) {
  std::string code =
      "{ .reg .f32 %f<128>;\n.reg .b32 %w<4>;\n.reg .b64 %da, %db;\nmov.u32 %a, s;\nmul.lo.u32 %b, %x, 16;\n"
      "cvt.u64.u32 %la, %b;\nadd.u64 %la, %out, %la;\nadd.u32 %b, %b, %a;\n";
  for (int at = 0; at < kShared; at += kThreads * 16)
    code += "ld.global.v4.b32 {%w0, %w1, %w2, %w3}, [%la+" + std::to_string(at) + "];\nst.shared.v4.b32 [%b+" +
            std::to_string(at) + "], {%w0, %w1, %w2, %w3};\n";
  code +=
      "fence.proxy.async.shared::cta;\nbar.sync 0;\nmul.wide.u32 %lb, %x, 512;\nadd.u64 %lb, %out, %lb;\n"
      "and.b32 %a, %a, 0x3ffff;\nshr.u32 %a, %a, 4;\ncvt.u64.u32 %la, %a;\n" +
      load_registers("%f", p.n / 2, "%lb", 4 * kSums) + "wgmma.fence.sync.aligned;\n";
  for (int step = 0; step < p.steps; ++step) {
    const int adds = step || p.adds;
    const std::string at = std::to_string(4 * kDescriptors + 16 * step);
    code += "ld.global.v2.b64 {%da, %db}, [%out+" + at + "];\nadd.u64 %da, %da, %la;\nadd.u64 %db, %db, %la;\n" +
            "setp.ne.b32 %p, " + std::to_string(adds) + ", 0;\nwgmma.mma_async.sync.aligned.m64n" +
            std::to_string(p.n) + "k16.f32.bf16.bf16 " + registers("%f", p.n / 2) + ", %da, %db, " +
            (p.constant ? std::to_string(adds) : "%p") + ", 1, 1, " + std::to_string(p.a.mn_major) + ", " +
            std::to_string(p.b.mn_major) + ";\n";
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
  for (int i = 0; i < kDescriptors; ++i)
    words[size_t(i)] = two_halves(to_bf16(number()), to_bf16(number()));
  const auto element = [&](const SharedOperand& o, int step, int mn, int k) {
    const uint32_t at = byte_of(o, step, mn, k);
    return at + 2 <= kShared ? from_bf16(uint16_t(words[at / 4] >> (at % 4 * 8))) : NAN;
  };
  for (int step = 0; step < p.steps; ++step) {
    const uint64_t both[2] = {descriptor(p.a, step), descriptor(p.b, step)};
    std::memcpy(&words[size_t(kDescriptors + 4 * step)], both, sizeof both);
  }
  std::vector<float> wanted(64 * 256);
  for (int t = 0; t < kThreads; ++t)
    for (int i = 0; i < p.n / 2; ++i) {
      const Element e = sum_of(t, i);
      const float c = number();
      words[size_t(kSums + t * 128 + i)] = std::bit_cast<uint32_t>(c);
      wanted[size_t(e.row * p.n + e.column)] = p.adds ? c : 0;
    }
  for (int step = 0; step < p.steps; ++step)
    for (int k = 0; k < 16; ++k)
      for (int m = 0; m < 64; ++m) {
        const float a = element(p.a, step, m, k);
        for (int n = 0; n < p.n; ++n)
          wanted[size_t(m * p.n + n)] += a * element(p.b, step, n, k);
      }
  const auto out = run_words(text_of(p), words, kThreads, 1, ".shared .align 1024 .b8 s[40960];\n");
  int wrong = out.empty();
  for (int t = 0; t < kThreads && !out.empty(); ++t)
    for (int i = 0; i < p.n / 2; ++i) {
      const Element e = sum_of(t, i);
      wrong += std::bit_cast<float>(out[size_t(kSums + t * 128 + i)]) != wanted[size_t(e.row * p.n + e.column)];
    }
  check(!wrong, "wgmma m64n" + std::to_string(p.n) + "k16, " + name + ": " + std::to_string(wrong) + " wrong");
}

void descriptors() {
  // A in 8 KB, 64 rows of 128 bytes; B behind it
  constexpr SharedOperand a{false, 0, 0, 1024, 32};
  constexpr SharedOperand b{false, 8192, 0, 1024, 32};
  for (int n : {8, 16, 24, 40, 64, 96, 128, 200, 256})
    check_product("K-major", {n, a, b});
  check_product("K-major, four steps within the swizzle", {64, a, b, 4});
  check_product("K-major, from the third step on", {32, {false, 64, 0, 1024, 32}, {false, 8192 + 64, 0, 1024, 32}, 2});
  check_product("groups of 8 rows farther apart", {16, {false, 0, 0, 2048, 32}, {false, 1024, 0, 4096, 32}, 4});
  check_product("leading offset unused by K-major", {16, {false, 0, 16, 1024, 32}, {false, 8192, 528, 1024, 32}});
  check_product("without C", {32, a, b, 2, false});
  check_product("without C, a constant", {32, a, b, 2, false, true});
  check_product("with C, a constant", {32, a, b, 2, true, true});
  // B with n along the rows of 128 bytes: 64 columns by 8 of k in 1024 bytes
  for (int n : {64, 128, 256})
    check_product("N-major, k side by side", {n, a, {true, 8192, 2048, 1024, 0}});
  for (int n : {64, 128, 192, 256})
    check_product("N-major, n side by side", {n, a, {true, 8192, 1024, 4096, 8192}, 4});
  check_product("N-major, one k step", {256, a, {true, 16384, 4096, 1024, 2048}, 2});
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
      "D of wgmma", sum_of, {64, {{{4, 128}, {8, 1}, {4, 16}}}, {{{2, 64}, {2, 8}, {32, 512}}}}, kThreads, 128);
  descriptors();
  groups();
}
