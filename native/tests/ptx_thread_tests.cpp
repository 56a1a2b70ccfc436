// Threads in PTX: memory of every state space, atomics, what lanes of a warp exchange, barriers, branches and calls.
#include "ptx.h"
#include <bit>

namespace {
// The kernel's thread k stores the low or all bits of %ld at words[k].
std::vector<uint64_t> by_thread(
    const std::string& body, unsigned threads = 32, const std::string& variables = "",
    std::vector<uint64_t> words = {}) {
  words.resize(std::max<size_t>(words.size(), threads));
  auto out = run_ptx(
      body + "\nmul.wide.u32 %lz, %x, 8;\nadd.u64 %lz, %lz, %out;\nst.global.u64 [%lz], %ld;",
      words,
      threads,
      1,
      variables);
  out.resize(threads);
  return out;
}
void check_threads(
    const std::string& body, const std::function<uint64_t(unsigned)>& expected, unsigned threads = 32,
    const std::string& variables = "") {
  const auto got = by_thread(body, threads, variables);
  std::string text;
  for (unsigned k = 0; k < threads && text.empty(); ++k)
    if (got[k] != expected(k)) {
      char line[100];
      std::snprintf(
          line,
          sizeof line,
          "thread %u has %llx, wanted %llx",
          k,
          static_cast<unsigned long long>(got[k]),
          static_cast<unsigned long long>(expected(k)));
      text = line;
    }
  check(text.empty(), body + ": " + text);
}

// ---- memory
void loads_and_stores() {
  // values narrower than their register are extended by their sign
  check_row("st.global.u64 [%out+8], %la;\nld.global.s8 %ld, [%out+8];", {0x1180}, 0xffffffffffffff80);
  check_row("st.global.u64 [%out+8], %la;\nld.global.u8 %ld, [%out+8];", {0x1180}, 0x80);
  check_row("st.global.u64 [%out+8], %la;\nld.global.s16 %d, [%out+8];", {0x8001}, 0xffff8001);
  check_row("st.global.u64 [%out+8], %la;\nld.global.s32 %ld, [%out+8];", {0x80000001}, 0xffffffff80000001);
  check_row(
      "st.global.u8 [%out], %b;\nst.global.u16 [%out+2], %lb;\nld.global.u64 %ld, [%out];",
      {~0ul, 0x1234},
      0xffffffff1234ff34);
  check_row("st.global.v4.u16 [%out], {%ha, %hb, %ha, %hb};\nld.global.u64 %ld, [%out];", {1, 2}, 0x0002000100020001);
  check_row("ld.global.v4.u8 {%ha, %hb, %hc, %hd}, [%out];", {0x44332211}, 0x44);
  check_row("ld.global.v2.u64 {%lc, %ld}, [%out];", {1, 0x1234567890abcdef}, 0x1234567890abcdef);
  check_row("ld.global.nc.L1::no_allocate.L2::128B.v2.f32 {_, %d}, [%out];", {0x1122334455667788}, 0x11223344);
  check_row("ld.volatile.global.u32 %d, [%out];", {77}, 77);
  check_row("ld.acquire.gpu.global.u32 %d, [%out+8];", {1, 78}, 78);
  check_row("add.u64 %le, %out, 16;\nld.global.u32 %d, [%le+-8];", {1, 79}, 79);
  const std::string spaces =
      ".const .align 8 .b8 c8[8] = {1, 2, 3, 4, 0xff, 6, 7, 8};\n.const .f32 cf[2] = {2.5, 0fBF800000};\n"
      ".global .u16 g16[4] = {10, 0x20, 0b11, 017};\n.global .s32 zero[3];\n"
      ".global .u64 to[2] = {generic(g16), g16+2};\n"
      ".global .f64 gd = 0.1;\n";
  auto value = [&](const std::string& body, uint64_t wanted) {
    check_threads(
        body, [=](unsigned) { return wanted; }, 64, spaces);
  };
  value("ld.const.u64 %ld, [c8];", 0x080706ff04030201);
  value("ld.const.s8 %ld, [c8+4];", ~uint64_t(0));
  value("ld.const.f32 %d, [cf];\nld.const.f32 %e, [cf+4];\nmov.b64 %ld, {%d, %e};", 0xbf80000040200000);
  value("mov.u64 %la, c8;\ncvta.const.u64 %la, %la;\nld.u8 %ld, [%la+6];", 7);
  value("ld.global.u64 %ld, [g16];", 0x000f00030020000a);
  value("ld.global.u32 %ld, [zero+8];", 0);
  value("ld.global.u64 %la, [to];\nld.u16 %ld, [%la+4];", 3);
  value("ld.global.u64 %la, [to+8];\nld.global.u16 %ld, [%la];", 0x20);
  value("ld.global.f64 %ld, [gd];", std::bit_cast<uint64_t>(0.1));
  check_threads(   // zeros behind the values, also where memory was used before
      "ld.global.u8 %la, [wide];\nld.global.u8 %lb, [wide+39999999];\n"
      "ld.global.u8 %ld, [wide+4095];\nadd.u64 %ld, %ld, %la;\n"
      "add.u64 %ld, %ld, %lb;",
      [](unsigned) { return 7; },
      32,
      ".global .align 1 .b8 wide[40000000] = {7};\n");
  // each thread's own local memory, also by its generic address
  for (const char* size : {"16", "20", "40", "100"}) {
    const std::string local = std::string(".local .align 16 .b8 own[") + size + "];\n";
    check_threads(
        local + "add.u32 %a, %x, 5;\nst.local.v4.u32 [own], {%x, %a, %a, %x};\nld.local.u32 %ld, [own+4];",
        [](unsigned k) { return k + 5; },
        64);
    check_threads(
        local +
            "mov.u64 %la, own;\ncvta.local.u64 %lb, %la;\nadd.u32 %a, %x, 7;\nst.v4.u32 [%lb], {%a, %x, %x, %x};\n"
            "ld.local.u32 %d, [own];\ncvta.to.local.u64 %lc, %lb;\nld.local.u32 %e, [%lc+8];\nmov.b64 %ld, {%d, %e};",
        [](unsigned k) { return uint64_t(k) << 32 | (k + 7); },
        64);
  }
  // shared memory: static, dynamic behind it, and by generic addresses
  check_threads(
      "mul.lo.u32 %a, %x, 4;\nmov.u32 %b, s;\nadd.u32 %a, %a, %b;\nst.shared.u32 [%a], %x;\nbar.sync 0;\n"
      "mov.u32 %c, s;\nsub.u32 %c, %c, %a;\nadd.u32 %c, %c, 252;\nadd.u32 %c, %c, %b;\nld.shared.u32 %ld, [%c];",
      [](unsigned k) { return 63 - k; },
      64,
      ".shared .align 4 .b8 s[256];\n");
  check_threads(
      "mov.u64 %la, s;\ncvta.shared.u64 %lb, %la;\nst.u32 [%lb+12], 5;\nbar.sync 0;\ncvta.to.shared.u64 %lc, %lb;\n"
      "ld.shared.u32 %ld, [%lc+12];",
      [](unsigned) { return 5; },
      64,
      ".shared .align 16 .b8 s[16];\n");
  auto space = [&](const std::string& address, const char* name, bool wanted) {
    check_threads(
        ".local .b32 l;\n" + address + "\nisspacep." + name + " %p, %la;\nselp.u64 %ld, 1, 0, %p;",
        [=](unsigned) { return uint64_t(wanted); },
        32,
        ".shared .b32 s;\n.global .b32 g;\n");
  };
  const std::string in_shared = "mov.u64 %la, s;\ncvta.shared.u64 %la, %la;";
  const std::string in_local = "mov.u64 %la, l;\ncvta.local.u64 %la, %la;";
  const std::string in_global = "mov.u64 %la, g;\ncvta.global.u64 %la, %la;";
  for (const char* name : {"shared", "local", "global"}) {
    space(in_shared, name, name[0] == 's');
    space(in_local, name, name[0] == 'l');
    space(in_global, name, name[0] == 'g');
  }
}

// Parameters of several sizes, each at its own alignment.
void parameters() {
  const PtxModule module(
      ".version 8.4\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 out, .param .u8 a, .param .u32 b,\n"
      ".param .align 16 .b8 c[20], .param .f64 d)\n{\n.reg .b64 %l<4>;\n.reg .b32 %r<4>;\nld.param.u64 %l0, [out];\n"
      "ld.param.s8 %l1, [a];\nst.global.u64 [%l0], %l1;\nld.param.u32 %l1, [b];\nst.global.u64 [%l0+8], %l1;\n"
      "ld.param.v2.u64 {%l1, %l2}, [c];\nst.global.v2.u64 [%l0+16], {%l1, %l2};\nld.param.u32 %l1, [c+16];\n"
      "st.global.u64 [%l0+32], %l1;\nld.param.f64 %l1, [d];\nst.global.u64 [%l0+40], %l1;\nret;\n}\n");
  Buffer<uint64_t> out(6);
  uint8_t a = 0x81;
  uint32_t b = 0xdeadbeef;
  uint32_t c[5] = {1, 2, 3, 4, 5};
  double d = -1.5;
  void* params[] = {&out.p, &a, &b, c, &d};
  CHECK_STATUS(cuLaunchKernel(module.get("k"), 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr), CUDA_SUCCESS);
  const std::vector<uint64_t> wanted = {
      0xffffffffffffff81, 0xdeadbeef, 0x0000000200000001, 0x0000000400000003, 5, 0xbff8000000000000};
  CHECK(out.get() == wanted);
}

void atomics() {
  // 64 threads on the word 0; what they return is in any order, so their sum is checked through the final value
  auto last = [&](const std::string& instruction, uint64_t first, uint64_t wanted) {
    for (bool reduces : {false, true}) {
      std::string code = reduces ? "red." + instruction : "atom." + instruction;
      if (reduces && (instruction.find("exch") != std::string::npos || instruction.find("cas") != std::string::npos))
        continue;
      const size_t bracket = code.find("[");
      if (!reduces)
        code.insert(bracket, code.find("64 ") != std::string::npos ? "%ld, " : "%d, ");
      const auto out = run_ptx("cvt.u64.u32 %lx, %x;\ncvt.rn.f32.u32 %f, %x;\n" + code, {first}, 64);
      check(!out.empty() && out[0] == wanted, code + ": " + std::to_string(out.empty() ? 0 : out[0]));
    }
  };
  last("global.add.u32 [%out], %x;", 5, 5 + 2016);
  last("global.add.u64 [%out], %lx;", uint64_t(1) << 40, (uint64_t(1) << 40) + 2016);
  last("global.add.u32 [%out], -1;", 64, 0);
  last("global.add.f32 [%out], %f;", std::bit_cast<uint32_t>(0.5f), std::bit_cast<uint32_t>(2016.5f));
  last("global.min.s32 [%out], %x;", 0xfffffff0, 0xfffffff0);
  last("global.min.u32 [%out], %x;", 0xfffffff0, 0);
  last("global.max.u32 [%out], %x;", 7, 63);
  last("global.max.s64 [%out], %lx;", ~uint64_t(0), 63);
  last("global.and.b32 [%out], %x;", 0xff, 0);
  last("global.or.b32 [%out], %x;", 0x100, 0x13f);
  last("global.xor.b32 [%out], %x;", 9, 9);
  last("global.inc.u32 [%out], 4;", 0, 64 % 5);
  last("global.inc.u32 [%out], 4;", 100, 63 % 5);
  last("global.dec.u32 [%out], 4;", 0, 1);   // 4 3 2 1 0 4 ...
  last("relaxed.gpu.global.add.u32 [%out], 2;", 0, 128);
  last("add.u32 [%out], 2;", 0, 128);   // a generic address
  check_row("atom.global.cas.b32 %d, [%out], %b, %c;\nld.global.u64 %ld, [%out];", {7, 7, 9}, 9);
  check_row("atom.global.cas.b64 %ld, [%out], %lb, %lc;\nld.global.u64 %ld, [%out];", {7, 8, 9}, 7);
  check_row("atom.global.exch.b64 %le, [%out], %lb;\nld.global.u64 %ld, [%out];\nadd.u64 %ld, %ld, %le;", {7, 8}, 15);
  // sums in f32 flush subnormals in global memory only
  check_row("atom.global.add.f32 %d, [%out], %b;\nld.global.u32 %d, [%out];", {3, 5}, 0);
  check_row("atom.add.f32 %d, [%out], %b;\nld.global.u32 %d, [%out];", {0x80000003, 0x80000005}, 0x80000000);
  check_threads(
      "st.shared.u32 [s], 3;\nbar.warp.sync -1;\nsetp.eq.u32 %p, %x, 0;\n@%p red.shared.add.f32 [s], 0f00000005;\n"
      "mov.u64 %la, s;\ncvta.shared.u64 %la, %la;\n@%p red.add.f32 [%la], 0f00000001;\nbar.warp.sync -1;\n"
      "ld.shared.u32 %ld, [s];",
      [](unsigned) { return 9; },
      32,
      ".shared .b32 s;\n");
  // each of 64 threads gets a number of its own
  const auto numbers = by_thread(
      "st.shared.u32 [s], 0;\nbar.sync 0;\natom.shared.add.u32 %d, [s], 1;\ncvt.u64.u32 %ld, %d;",
      64,
      ".shared .u32 s;\n");
  uint64_t seen = 0;
  for (uint64_t n : numbers)
    seen |= uint64_t(1) << (n & 63);
  CHECK(seen == ~uint64_t(0));
}

// ---- lanes
// The source lane of shfl as the ISA's pseudocode says; -1 out of range.
int source_of(const std::string& mode, int lane, int b, int clamp, int segment) {
  const int most = (lane & segment) | (clamp & ~segment & 31);
  if (mode == "up")
    return lane - b >= most ? lane - b : -1;
  int j = lane + b;
  if (mode == "bfly")
    j = lane ^ b;
  else if (mode == "idx")
    j = (lane & segment) | (b & ~segment & 31);
  return j <= most ? j : -1;
}
void shuffles() {
  for (const std::string mode : {"up", "down", "bfly", "idx"})
    for (int width : {2, 8, 16, 32})
      for (int b : {0, 1, 3, 8, 16, 31}) {
        const int segment = (32 - width) & 31;
        const int clamp = mode == "up" ? 0 : 31;
        check_threads(
            "add.u32 %a, %x, 100;\nshfl.sync." + mode + ".b32 %b|%p, %a, " + std::to_string(b) + ", " +
                std::to_string(segment << 8 | clamp) +
                ", -1;\ncvt.u64.u32 %ld, %b;\nselp.u64 %la, 1000, 0, %p;\nadd.u64 %ld, %ld, %la;",
            [=](unsigned k) {
              const int from = source_of(mode, int(k), b, clamp, segment);
              return uint64_t(from < 0 ? k + 100 : unsigned(from) + 1100);
            });
      }
  check_threads("shfl.sync.idx.b32 %b, %x, 35, 31, -1;\ncvt.u64.u32 %ld, %b;", [](unsigned) { return 3; });
  // tiles of 8 lanes name masks of their own, all together and after a branch
  const std::string tile = "and.b32 %a, %x, 24;\nmov.u32 %b, 255;\nshl.b32 %b, %b, %a;\n";
  check_threads(
      tile + "redux.sync.add.u32 %d, %x, %b;\ncvt.u64.u32 %ld, %d;", [](unsigned k) { return k / 8 * 8 * 8 + 28; });
  check_threads(
      tile +
          "setp.lt.u32 %p, %x, 16;\n@%p bra $L;\nshfl.sync.idx.b32 %d, %x, 24, 31, %b;\n"
          "bra $E;\n$L:\nvote.sync.ballot.b32 %d, %p, %b;\n$E:\ncvt.u64.u32 %ld, %d;",
      [](unsigned k) { return k < 16 ? uint64_t(255) << k / 8 * 8 : uint64_t(k < 24 ? 0xfff7fff7 : 24); });
  check_threads(tile + "bar.warp.sync %b;\nmov.u64 %ld, 1;", [](unsigned) { return 1; });
  check_threads(
      tile +
          "and.b32 %c, %x, 1;\nsetp.eq.u32 %p, %c, 0;\n@%p bra $L;\nadd.u32 %c, %c, 1;\n$L:\n"
          "redux.sync.add.u32 %d, 1, %b;\ncvt.u64.u32 %ld, %d;",
      [](unsigned) { return 8; });
}
void votes() {
  auto vote = [](const std::string& limit, const std::string& rest, uint64_t wanted) {
    check_threads("setp.lt.u32 %p, %x, " + limit + ";\n" + rest, [=](unsigned) { return wanted; });
  };
  const std::string chosen = "selp.u64 %ld, 1, 0, %q;";
  vote("5", "vote.sync.ballot.b32 %d, %p, -1;\ncvt.u64.u32 %ld, %d;", 0x1f);
  vote("5", "vote.sync.ballot.b32 %d, !%p, -1;\ncvt.u64.u32 %ld, %d;", 0xffffffe0);
  vote("5", "vote.sync.all.pred %q, %p, -1;\n" + chosen, 0);
  vote("32", "vote.sync.all.pred %q, %p, -1;\n" + chosen, 1);
  vote("5", "vote.sync.any.pred %q, %p, -1;\n" + chosen, 1);
  vote("0", "vote.sync.any.pred %q, %p, -1;\n" + chosen, 0);
  vote("5", "vote.sync.uni.pred %q, %p, -1;\n" + chosen, 0);
  vote("0", "vote.sync.uni.pred %q, %p, -1;\n" + chosen, 1);
  check_threads("shr.u32 %a, %x, 3;\nmatch.any.sync.b32 %d, %a, -1;\ncvt.u64.u32 %ld, %d;", [](unsigned k) {
    return uint64_t(0xff) << k / 8 * 8;
  });
  check_threads(
      "match.all.sync.b32 %d|%p, %x, -1;\ncvt.u64.u32 %ld, %d;\n@%p mov.u64 %ld, 7;", [](unsigned) { return 0; });
  check_threads(
      "mov.u64 %la, 5;\nmatch.all.sync.b64 %d|%p, %la, -1;\ncvt.u64.u32 %ld, %d;\n@!%p mov.u64 %ld, 7;",
      [](unsigned) { return 0xffffffff; });
  constexpr struct {
    const char* operation;
    uint64_t wanted;   // of the values -3 ... 28
  } kReductions[] = {
      {"add.s32", 400},
      {"min.s32", 0xfffffffd},
      {"max.s32", 28},
      {"min.u32", 0},
      {"max.u32", 0xffffffff},
      {"and.b32", 0},
      {"or.b32", 0xffffffff},
      {"xor.b32", 0xfffffffd ^ 0xfffffffe ^ 0xffffffff ^ 28}};   // 0 ... 27 give 0
  for (const auto& r : kReductions)
    check_threads(
        std::string("sub.u32 %a, %x, 3;\nredux.sync.") + r.operation + " %d, %a, -1;\ncvt.u64.u32 %ld, %d;",
        [&](unsigned) { return r.wanted; });
  check_threads(
      "elect.sync %d|%p, -1;\nselp.u64 %ld, 100, 0, %p;\ncvt.u64.u32 %la, %d;\nadd.u64 %ld, %ld, %la;",
      [](unsigned k) { return k ? 0 : 100; });
  check_threads(
      "mov.u64 %ld, 0;\nsetp.lt.u32 %p, %x, 12;\n@!%p bra $E;\nactivemask.b32 %d;\ncvt.u64.u32 %ld, %d;\n$E:",
      [](unsigned k) { return k < 12 ? 0xfff : 0; });
  check_threads(
      "mov.u64 %ld, 0;\nsetp.lt.u32 %p, %x, 12;\n@%p activemask.b32 %d;\n@%p cvt.u64.u32 %ld, %d;",
      [](unsigned k) { return k < 12 ? 0xfff : 0; });
  check_threads(
      "mov.u32 %d, %lanemask_lt;\nmov.u32 %e, %laneid;\nmov.b64 %ld, {%d, %e};",
      [](unsigned k) { return uint64_t(k % 32) << 32 | ((uint64_t(1) << k % 32) - 1); },
      64);
}

// ---- blocks and branches
void barriers() {
  // warps 0 and 1 meet at barrier 3, warps 2 and 3 at barrier 4, each written before by the other
  check_threads(
      "shr.u32 %a, %x, 6;\nadd.u32 %a, %a, 3;\nmul.lo.u32 %b, %x, 4;\nmov.u32 %c, s;\nadd.u32 %b, %b, %c;\n"
      "st.shared.u32 [%b], %x;\nbar.sync %a, 64;\nxor.b32 %e, %x, 32;\n"
      "mad.lo.u32 %e, %e, 4, %c;\nld.shared.u32 %ld, [%e];",
      [](unsigned k) { return k ^ 32; },
      128,
      ".shared .b8 s[512];\n");
  // one side arrives and goes on
  check_threads(
      "setp.lt.u32 %p, %x, 32;\nmov.u64 %ld, 1;\n@%p bra $L;\nst.shared.u32 [s], 42;\nbar.arrive 1, 64;\nbra $E;\n$L:\n"
      "bar.sync 1, 64;\nld.shared.u32 %ld, [s];\n$E:",
      [](unsigned k) { return k < 32 ? 42 : 1; },
      64,
      ".shared .u32 s;\n");
  const std::string start = "setp.lt.u32 %p, %x, 40;\n";
  auto reduction = [&](const std::string& code, uint64_t wanted) {
    check_threads(
        start + code, [=](unsigned) { return wanted; }, 96);
  };
  reduction("bar.red.popc.u32 %d, 0, %p;\ncvt.u64.u32 %ld, %d;", 40);
  reduction("bar.red.popc.u32 %d, 0, !%p;\ncvt.u64.u32 %ld, %d;", 56);
  reduction("bar.red.and.pred %q, 0, %p;\nselp.u64 %ld, 1, 0, %q;", 0);
  reduction("bar.red.or.pred %q, 2, 96, %p;\nselp.u64 %ld, 1, 0, %q;", 1);
  reduction(
      "barrier.cta.red.popc.aligned.u32 %d, 0, %p;\nbar.red.popc.u32 %e, 0, !%p;\nmov.b64 %ld, {%d, %e};",
      40 | uint64_t(56) << 32);
  // warps that have ended are not waited for
  check_threads(
      "mov.u64 %ld, 3;\nsetp.ge.u32 %p, %x, 32;\n@%p mul.wide.u32 %la, %x, 8;\n@%p add.u64 %la, %la, %out;\n"
      "@%p st.global.u64 [%la], 9;\n@%p exit;\nbar.sync 0;",
      [](unsigned k) { return k < 32 ? 3 : 9; },
      96);
}

void branches() {
  // each thread counts its own way down, and the lanes meet again behind the loop
  check_threads(
      "mov.u32 %a, %x;\nmov.u32 %b, 0;\n$W:\nadd.u32 %b, %b, %a;\nsetp.eq.u32 %p, %a, 0;\n@%p bra $E;\n"
      "sub.u32 %a, %a, 1;\n"
      "bra $W;\n$E:\nactivemask.b32 %d;\nmov.b64 %ld, {%b, %d};",
      [](unsigned k) { return uint64_t(0xffffffff) << 32 | k * (k + 1) / 2; },
      64);
  // branches within branches: 3 ways
  check_threads(
      "setp.lt.u32 %p, %x, 8;\n@%p bra $A;\nsetp.lt.u32 %q, %x, 20;\n@%q bra $B;\nmov.u64 %ld, 3;\nbra $E;\n$A:\n"
      "mov.u64 %ld, 1;\nbra $E;\n$B:\nmov.u64 %ld, 2;\n$E:\nredux.sync.add.u32 %d, 1, -1;\ncvt.u64.u32 %la, %d;\n"
      "mad.lo.u64 %ld, %la, 10, %ld;",
      [](unsigned k) { return 320 + (k < 8 ? 1 : (k < 20 ? 2 : 3)); });
  // lanes that have ended are not waited for
  check_threads(
      "mul.wide.u32 %la, %x, 8;\nadd.u64 %la, %la, %out;\nst.global.u64 [%la], 5;\nsetp.ge.u32 %p, %x, 10;\n@%p ret;\n"
      "vote.sync.ballot.b32 %d, !%p, -1;\ncvt.u64.u32 %ld, %d;",
      [](unsigned k) { return k < 10 ? 0x3ff : 5; });
  // lanes of a warp that wait for each other through memory
  check_threads(
      "setp.eq.u32 %p, %x, 31;\n@%p bra $L;\n$W:\nld.volatile.shared.u32 %d, [s];\nsetp.ne.u32 %q, %d, 77;\n"
      "@%q bra $W;\nbra $E;\n"
      "$L:\nst.volatile.shared.u32 [s], 77;\nmov.u32 %d, 1;\n$E:\ncvt.u64.u32 %ld, %d;",
      [](unsigned k) { return k == 31 ? 1 : 77; },
      32,
      ".shared .u32 s;\n");
  const std::string functions =
      ".func (.param .b32 r) times(.param .b32 a, .param .align 8 .b8 b[16])\n{\n.reg .b32 %r<4>;\n.reg .pred %p;\n"
      ".local .b32 own;\nld.param.b32 %r0, [a];\nld.param.b32 %r1, [b+12];\nst.local.b32 [own], %r0;\n"
      "setp.lt.u32 %p, %r0, 4;\n@%p bra $small;\nmul.lo.u32 %r2, %r0, %r1;\nst.param.b32 [r], %r2;\nret;\n$small:\n"
      "ld.local.b32 %r2, [own];\nst.param.b32 [r], %r2;\nret;\n}\n"
      ".func (.param .b32 r) outer(.param .b32 a)\n{\n.reg .b32 %r<3>;\n.param .b32 x, y;\n.param .align 8 .b8 z[16];\n"
      "ld.param.b32 %r0, [a];\nst.param.b32 [x], %r0;\nst.param.b32 [z+12], 3;\ncall.uni (y), times, (x, z);\n"
      "ld.param.b32 %r1, [y];\nadd.u32 %r1, %r1, 1000;\nst.param.b32 [r], %r1;\nret;\n}\n";
  check_threads(
      "{ .param .b32 in, back; st.param.b32 [in], %x; call (back), outer, (in); ld.param.b32 %ld, [back]; }\n"
      "{ .param .b32 in, back; st.param.b32 [in], 5; call (back), outer, (in); ld.param.b32 %la, [back]; }\n"
      "mad.lo.u64 %ld, %la, 10000, %ld;",
      [](unsigned k) { return 10150000 + 1000 + (k < 4 ? k : 3 * k); },
      64,
      functions);
}
}   // namespace

TEST_GROUP(ptx_threads) {
  loads_and_stores();
  parameters();
  atomics();
  shuffles();
  votes();
  barriers();
  branches();
}
