// What all warps of a launch have in common is computed once (native/cpu/ptx/invariants.cpp), warps of which few lanes
// are left compute no more than those, and accesses by sums and multiples of the thread's number do not look at each
// lane's address (lines.cpp): none of it may show.
#include "ptx.h"
#include <algorithm>

namespace {
constexpr unsigned kThreads = 64;
constexpr unsigned kBlocks = 3;
constexpr uint64_t kPoisoned = 0xcdcdcdcd;   // 32 bits of a register or of a warp's predicate before it is written

// Thread i of the grid stores %ld at out[i].
void check_grid(const std::string& body, const std::function<uint64_t(unsigned)>& expected) {
  const std::vector<uint64_t> got = run_ptx(
      body +
          "\nmov.u32 %w, %ctaid.x;\nmad.lo.u32 %w, %w, 64, %x;\nmul.wide.u32 %lz, %w, 8;\nadd.u64 %lz, %lz, %out;\n"
          "st.global.u64 [%lz], %ld;",
      std::vector<uint64_t>(kThreads * kBlocks),
      kThreads,
      kBlocks);
  unsigned right = 0;
  while (right < got.size() && got[right] == expected(right))
    ++right;
  check(right == kThreads * kBlocks, body + ": thread " + std::to_string(right) + " is wrong");
}
// Takes lanes below 5 of each warp on, the others end with their number stored; %w is the thread's in the grid.
std::string only_five(const std::string& body) {
  return "mov.u32 %w, %ctaid.x;\nmad.lo.u32 %w, %w, 64, %x;\nmov.u32 %a, %laneid;\nsetp.lt.u32 %p, %a, 5;\n"
         "cvt.u64.u32 %ld, %x;\n@%p bra FEW;\nmul.wide.u32 %lz, %w, 8;\nadd.u64 %lz, %lz, %out;\n"
         "st.global.u64 [%lz], %ld;\nexit;\nFEW:\n" +
         body;
}

void values_of_the_launch() {
  const auto threads = [](unsigned) { return uint64_t(kThreads * kBlocks); };
  check_grid("mov.u32 %a, %ntid.x;\nmov.u32 %b, %nctaid.x;\nmul.wide.u32 %ld, %a, %b;", threads);
  check_grid(   // on one of two ways
      "mov.u32 %a, %ntid.x;\nsetp.lt.u32 %p, %x, 7;\n@%p bra FEW;\nadd.u32 %b, %a, 1;\ncvt.u64.u32 %ld, %b;\n"
      "bra.uni ALL;\nFEW:\nadd.u32 %c, %a, 2;\ncvt.u64.u32 %ld, %c;\nALL:",
      [](unsigned i) { return uint64_t(kThreads) + (i % kThreads < 7 ? 2 : 1); });
  check_grid(   // a predicate that is read before it is written, in a loop's second round
      "mov.u64 %ld, 0;\nmov.u32 %b, 0;\nAGAIN:\nsetp.eq.u32 %p, %b, 0;\n@%p bra FIRST;\n@%q add.u64 %ld, %ld, 7;\n"
      "FIRST:\nmov.u32 %a, %ntid.x;\nsetp.eq.u32 %q, %a, 64;\nadd.u32 %b, %b, 1;\nsetp.lt.u32 %r, %b, 4;\n"
      "@%r bra AGAIN;",
      [](unsigned) { return 21; });
  check_grid(   // predicates, of which only the first is set before a branch
      "mov.u32 %a, %ntid.x;\nsetp.eq.u32 %p, %a, 64;\nselp.b64 %lb, 5, 6, %p;\nmov.u64 %ld, %lb;\n@!%p bra OTHER;\n"
      "setp.eq.u32 %q, %a, 63;\nselp.b64 %la, 10, 20, %q;\nadd.u64 %ld, %lb, %la;\nOTHER:",
      [](unsigned) { return 25; });
}
void values_of_blocks() {
  check_grid(   // a predicate, and what both ways of a branch by it compute
      "mov.u32 %a, %ctaid.x;\nsetp.eq.u32 %p, %a, 1;\nselp.b64 %lc, 5, 6, %p;\nmul.wide.u32 %la, %a, 100;\n"
      "@%p bra ONE;\nadd.u64 %ld, %lc, %la;\nbra.uni ALL;\nONE:\nadd.u64 %lb, %la, 7;\nadd.u64 %ld, %lc, %lb;\nALL:",
      [](unsigned i) {
        return std::vector<uint64_t>{6, 112, 206}[i / kThreads];
      });
  check_grid(   // with all warps of a block at once, each in registers of its own
      "mov.u32 %a, %ctaid.x;\nmad.lo.u32 %b, %a, 10, 3;\nbar.sync 0;\ncvt.u64.u32 %ld, %b;\nbar.sync 0;",
      [](unsigned i) { return i / kThreads * 10 + 3; });
  // A load that would fault in the blocks that pass it over. All of its address is written once: else it would be the
  // lanes' own, and never be taken early.
  check_grid(
      "mov.u32 %a, %ctaid.x;\nmul.wide.u32 %la, %a, 8;\nmov.u64 %lb, p;\nadd.u64 %lf, %lb, %la;\nmov.u64 %ld, 0;\n"
      "setp.gt.u32 %p, %a, 0;\n@%p bra OUT;\nld.param.u64 %lc, [%lf];\n"
      "sub.u64 %le, %lc, %out;\nadd.u64 %ld, %le, 9;\nOUT:",
      [](unsigned i) { return i < kThreads ? 9 : 0; });
  // a block's first warp has fewer lanes than that of the next block in the same registers
  const std::vector<uint64_t> got = run_ptx(
      "mov.u32 %a, %ctaid.x;\nmad.lo.u32 %b, %a, 100, 1;\ncvt.u64.u32 %ld, %b;\nmad.lo.u32 %w, %a, 40, %x;\n"
      "setp.eq.u32 %p, %a, 0;\nsetp.gt.u32 %q, %x, 4;\nand.pred %p, %p, %q;\n@%p exit;\n"
      "mul.wide.u32 %lz, %w, 8;\nadd.u64 %lz, %lz, %out;\nst.global.u64 [%lz], %ld;",
      std::vector<uint64_t>(80),
      40,
      2);
  unsigned right = 0;
  while (right < got.size() && got[right] == (right < 40 ? (right % 40 > 4 ? 0u : 1u) : 101u))
    ++right;
  check(right == 80, "blocks of 40: thread " + std::to_string(right) + " is wrong");
}
void values_of_warps_and_lanes() {
  check_grid(
      "mov.u32 %a, %ctaid.x;\nadd.u32 %a, %a, 3;\ncvt.u64.u32 %ld, %a;", [](unsigned i) { return i / kThreads + 3; });
  check_grid("mov.u32 %a, %laneid;\nmul.wide.u32 %ld, %a, 3;", [](unsigned i) { return i % 32 * 3; });
  // a register that is written once, and read before: the loop's second time sees what the first wrote
  check_grid(
      "mov.u64 %ld, 0;\nmov.u32 %b, 0;\nAGAIN:\nsetp.eq.u32 %p, %b, 0;\n@%p bra FIRST;\nadd.u64 %ld, %ld, %la;\n"
      "FIRST:\nmov.u64 %la, 7;\nadd.u32 %b, %b, 1;\nsetp.lt.u32 %q, %b, 4;\n@%q bra AGAIN;",
      [](unsigned) { return 21; });
  // written twice, and under a guard
  check_grid("mov.u64 %ld, 1;\nsetp.lt.u32 %p, %x, 9;\n@%p mov.u64 %ld, 2;", [](unsigned i) {
    return i % kThreads < 9 ? 2 : 1;
  });
  check_grid(
      "mov.u32 %a, -1;\nadd.cc.u32 %b, %a, 1;\naddc.u32 %c, 0, 0;\ncvt.u64.u32 %ld, %c;", [](unsigned) { return 1; });
}
// What is read before it is written has not the later value. Seen where registers are filled with a pattern: else they
// hold what the warp before left.
void reads_before_writes() {
  check_grid("mov.u64 %lb, %la;\nmov.u64 %la, 7;\nsetp.eq.u64 %p, %lb, 7;\nselp.b64 %ld, 1, 0, %p;", [](unsigned) {
    return 0;
  });
  check_grid(   // a predicate that is true in every lane once it is written
      "selp.b64 %ld, 1, 0, %q;\nmov.u32 %a, %ntid.x;\nsetp.eq.u32 %q, %a, 64;",
      [](unsigned i) { return kPoisoned >> i % 32 & 1; });
}
void few_lanes() {
  const auto expected = [](uint64_t of_few(unsigned)) {
    return [=](unsigned i) { return i % 32 < 5 ? of_few(i) : i % kThreads; };
  };
  check_grid(only_five("mul.lo.u64 %ld, %ld, 3;"), expected([](unsigned i) { return uint64_t(i % kThreads * 3); }));
  check_grid(   // loads and stores of neighbours
      only_five("mul.wide.u32 %la, %w, 8;\nadd.u64 %la, %la, %out;\nst.global.u64 [%la], %la;\n"
                "ld.global.u64 %lb, [%la];\nsub.u64 %ld, %lb, %out;\nbar.warp.sync 31;"),
      expected([](unsigned i) { return uint64_t(i * 8); }));
  check_grid(   // a part of them alone
      only_five("setp.ge.u32 %p, %a, 3;\n@%p add.u64 %ld, %ld, 1000;"),
      expected([](unsigned i) { return uint64_t(i % kThreads) + (i % 32 >= 3 ? 1000 : 0); }));
}
// Each thread of a block of so many columns loads the word of a table that `code` says by an offset of bytes in %la;
// word j is 100 + j.
void check_loads(
    const std::string& code, const std::function<uint64_t(unsigned)>& expected, unsigned width = kThreads) {
  const PtxModule module(ptx_kernel(
      "mov.u32 %y, %ntid.x;\nmov.u32 %z, %tid.y;\nmad.lo.u32 %z, %z, %y, %x;\nmul.wide.u32 %lz, %z, 8;\n"
      "add.u64 %lz, %lz, %out;\ncvt.u64.u32 %ld, %z;\nadd.u64 %ld, %ld, 100;\nst.global.u64 [%lz], %ld;\n"
      "bar.sync 0;\n" +
      code +
      "\nld.param.u64 %lf, [p];\nadd.u64 %la, %la, %lf;\nld.global.u64 %ld, [%la];\nbar.sync 0;\n"
      "st.global.u64 [%lz], %ld;"));
  Buffer<uint64_t> words(std::vector<uint64_t>(kThreads, 0));
  void* parameters[] = {&words.p};
  CU(cuLaunchKernel(module.get("k"), 1, 1, 1, width, kThreads / width, 1, 0, nullptr, parameters, nullptr));
  const std::vector<uint64_t> got = words.get();
  unsigned right = 0;
  while (right < got.size() && got[right] == 100 + expected(right))
    ++right;
  check(right == kThreads, code + ": thread " + std::to_string(right) + " is wrong");
}
void addresses() {
  check_loads("mul.wide.u32 %la, %x, 8;", [](unsigned i) { return i; });
  check_loads("shl.b32 %a, %x, 3;\ncvt.u64.u32 %la, %a;", [](unsigned i) { return i; });
  check_loads("mul.wide.u32 %lb, %x, 8;\nmov.u64 %lc, 504;\nsub.u64 %la, %lc, %lb;", [](unsigned i) { return 63 - i; });
  check_loads("mov.u32 %a, %warpid;\nmul.wide.u32 %la, %a, 16;", [](unsigned i) { return i / 32 * 2; });
  // written again on a way that these lanes do not take
  check_loads(
      "mul.wide.u32 %la, %x, 8;\nsetp.lt.u32 %p, %x, 64;\n@%p bra ALL;\nAGAIN:\nadd.u64 %la, %la, 8;\n"
      "setp.lt.u64 %q, %la, 999;\n@%q bra AGAIN;\nret;\nALL:",
      [](unsigned i) { return i; });
  // of which the first two lanes are as in a row, and the others not
  check_loads("and.b32 %a, %x, 1;\nmul.wide.u32 %la, %a, 8;", [](unsigned i) { return i & 1; });
  check_loads("mov.u32 %a, %laneid;\nsetp.lt.u32 %p, %a, 2;\nselp.b64 %la, 8, 64, %p;", [](unsigned i) {
    return i % 32 < 2 ? 1 : 8;
  });
  for (const char* code :
       {"mov.u64 %la, 8;\n@!%p mov.u64 %la, 64;",
        "mov.u64 %la, 64;\n@!%p bra OTHERS;\nmov.u64 %la, 8;\nOTHERS:",
        "@%p bra FIRST;\nmov.u64 %la, 64;\nbra.uni ALL;\nFIRST:\nmov.u64 %la, 8;\nALL:"})
    check_loads(std::string("mov.u32 %a, %laneid;\nsetp.lt.u32 %p, %a, 2;\n") + code, [](unsigned i) {
      return i % 32 < 2 ? 1 : 8;
    });
  check_loads(   // a pointer that goes on in a loop, in each lane as often as it says
      "mov.u32 %a, %laneid;\nshr.u32 %a, %a, 1;\nmov.u64 %la, 0;\nmov.u32 %b, 0;\nAGAIN:\nadd.u64 %la, %la, 8;\n"
      "add.u32 %b, %b, 1;\nsetp.lt.u32 %p, %b, %a;\n@%p bra AGAIN;",
      [](unsigned i) { return std::max(1u, i % 32 / 2); });
  // a warp in several rows of threads
  check_loads(
      "mul.wide.u32 %la, %x, 8;", [](unsigned i) { return i % 16; }, 16);
  check_loads(
      "mov.u32 %a, %tid.y;\nmul.wide.u32 %la, %a, 8;", [](unsigned i) { return i / 16; }, 16);
  check_loads(
      "mov.u32 %a, %tid.y;\nmul.wide.u32 %la, %a, 8;", [](unsigned i) { return i / 32; }, 32);
}
// Lanes load 32 bits each, so many bytes apart, of words that hold 1 + their number.
void loads_of_32_bits() {
  for (unsigned step : {4u, 8u, 12u, 16u, 20u, 32u})
    for (unsigned offset : {0u, 4u, 12u}) {
      // the first access is what makes the allocation known
      const std::string code = "ld.global.u32 %b, [%out];\nand.b32 %a, %x, 31;\nmul.wide.u32 %la, %a, " +
                               std::to_string(step) + ";\nadd.u64 %la, %la, %out;\nld.global.u32 %d, [%la+" +
                               std::to_string(offset) +
                               "];\nbar.sync 0;\ncvt.u64.u32 %ld, %d;\nmul.wide.u32 %lz, %x, 8;\n"
                               "add.u64 %lz, %lz, %out;\nst.global.u64 [%lz], %ld;";
      const size_t words = (31 * step + offset) / 4 + 1;   // none behind the last lane's
      std::vector<uint64_t> memory(std::max<size_t>(32, words / 2 + words % 2));
      for (size_t i = 0; i < 2 * memory.size(); ++i)
        memory[i / 2] |= uint64_t(i + 1) << i % 2 * 32;
      const std::vector<uint64_t> got = run_ptx(code, memory);
      unsigned right = 0;
      while (right < 32 && right < got.size() && got[right] == (right * step + offset) / 4 + 1)
        ++right;
      check(right == 32, code + ": lane " + std::to_string(right) + " is wrong");
    }
}
void faults() {
  check_ptx_fault(
      {"setp.gt.u32 %p, %x, 3;\n@!%p bra OUT;\nld.param.u64 %la, [p+8];\nOUT:",
       "ld.param.u64 %la, [p+8];",
       CUDA_ERROR_ILLEGAL_ADDRESS,
       {"parameter offset 8"}});
  // which nobody reaches
  check_grid("mov.u64 %ld, 3;\nsetp.gt.u32 %p, %x, 100;\n@!%p bra OUT;\nld.param.u64 %la, [p+8];\nOUT:", [](unsigned) {
    return 3;
  });
}
}   // namespace

TEST_GROUP(ptx_invariants) {
  for (long poison : {0, 1}) {
    spectralCpuSetOption("poison", poison);
    values_of_the_launch();
    values_of_blocks();
    values_of_warps_and_lanes();
    if (poison)
      reads_before_writes();
    few_lanes();
    addresses();
    loads_of_32_bits();
  }
  spectralCpuSetOption("poison", 0);
  faults();
}
