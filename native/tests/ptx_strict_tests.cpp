// PTX that a GPU may run and need not: what the ISA leaves undefined is a fault here. Each is tried right and wrong.
#include "ptx.h"

namespace {
constexpr CUresult kFailed = CUDA_ERROR_LAUNCH_FAILED;
const std::string kTiles = ".shared .align 1024 .b8 tiles[16384];\n.shared .align 8 .b8 bar[16];\n";

void runs(const std::string& body, unsigned threads) {
  check(!run_ptx(body, std::vector<uint64_t>(64), threads, 1, kTiles).empty(), body);
}
void fails(const std::string& body, const char* at, std::vector<std::string> parts, unsigned threads) {
  check_ptx_fault({body.c_str(), at, kFailed, std::move(parts), threads}, kTiles);
}

// PTX ISA, "wgmma.fence"
void fences_of_wgmma() {
  const std::string start =
      "mov.u32 %a, tiles;\n.reg .f32 %s<4>;\nmov.f32 %s0, 0f00000000;\n"
      "mov.f32 %s1, %s0;\nmov.f32 %s2, %s0;\nmov.f32 %s3, %s0;\n"
      "mov.b64 %la, 0x4000004000010000;\nmov.b64 %lb, 0x4000004000010200;\nfence.proxy.async;\nbar.sync 0;\n";
  const std::string fence = "wgmma.fence.sync.aligned;\n";
  const auto product = [](const char* scale) {
    return std::string("wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%s0, %s1, %s2, %s3}, %la, %lb, ") + scale +
           ", 1, 1, 0, 0;\n";
  };
  const std::string wait = "wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n";
  const std::string first = fence + product("0") + wait;
  const std::string again = product("1");   // which the line of a fault is found by
  const std::string use = "add.f32 %s2, %s2, %s2;\n";
  const char* at = "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%s0, %s1, %s2, %s3}, %la, %lb, 1";
  runs(start + fence + again + again + wait + again + wait, 128);
  runs(start + first + use + fence + again + wait, 128);
  fails(start + again, at, {"without a wgmma.fence before it"}, 128);
  fails(start + fence + use + again, at, {"without a wgmma.fence since", "uses one of its accumulators"}, 128);
  fails(start + first + use + again, at, {"without a wgmma.fence since"}, 128);
  fails(start + first + "st.global.f32 [%out], %s3;\n" + again, at, {"without a wgmma.fence since"}, 128);
  for (const char* bit : {"0x4000004000014000", "0x4000004040010000", "0x4000404000010000", "0x4010004000010000"})
    fails(start + "mov.b64 %la, " + bit + ";\n" + fence + again, at, {"bits that must be zero"}, 128);
}

// PTX ISA, "setmaxnreg"
void limits_of_registers() {
  runs("setmaxnreg.dec.sync.aligned.u32 40;", 128);
  fails(
      "setp.lt.u32 %p, %x, 64;\n@%p bra $L;\nsetmaxnreg.inc.sync.aligned.u32 232;\nbra $E;\n$L:\n"
      "setmaxnreg.dec.sync.aligned.u32 40;\n$E:",
      "setmaxnreg.inc",
      {"setmaxnreg 232", "takes 40"},
      128);
  fails(
      "setp.lt.u32 %p, %x, 64;\n@%p bra $E;\nsetmaxnreg.inc.sync.aligned.u32 232;\n$E:",
      "setmaxnreg.inc",
      {"not taken by all four warps"},
      128);
  fails(
      "setp.lt.u32 %p, %x, 70;\n@%p setmaxnreg.inc.sync.aligned.u32 232;",
      "@%p setmaxnreg",
      {"needs all 32 lanes"},
      128);
  fails("setmaxnreg.inc.sync.aligned.u32 232;", "setmaxnreg", {"four warps"}, 96);
}

// PTX ISA, "Async proxy" and "fence.mbarrier_init"
void proxies() {
  const std::string bar = "mov.u32 %a, tiles;\nmbarrier.init.shared.b64 [bar], 1;\n";
  const std::string load =
      "mbarrier.arrive.expect_tx.shared.b64 _, [bar], 256;\n"
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%a], [%out], 256, [bar];\n"
      "$W:\nmbarrier.try_wait.parity.shared.b64 %p, [bar], 0;\n@!%p bra $W;\n";
  const std::string store =
      "cp.async.bulk.global.shared::cta.bulk_group [%out], [%a], 16;\ncp.async.bulk.commit_group;\n"
      "cp.async.bulk.wait_group 0;\n";
  const char* at = "cp.async.bulk.";
  runs(bar + "fence.mbarrier_init.release.cluster;\n" + load, 1);
  runs(bar + "fence.proxy.async;\n" + load, 1);
  fails(bar + load, at, {"mbarrier at shared offset", "initialised by thread 0 without a fence.mbarrier_init"}, 1);
  for (const std::string& write :
       {std::string("st.shared.u32 [%a], %x;\n"),
        std::string("atom.shared.add.u32 %b, [%a], 1;\n"),
        std::string("red.shared.add.u32 [%a+4], 1;\n"),
        std::string("cp.async.ca.shared.global [%a], [%out], 16;\ncp.async.wait_all;\n")}) {
    const std::string code = "mov.u32 %a, tiles;\n" + write;
    runs(code + "fence.proxy.async;\n" + store, 1);
    fails(code + store, at, {"written by thread 0 without a fence.proxy.async"}, 1);
  }
  fails(
      "mov.u32 %a, tiles;\ncp.async.ca.shared.global [%a], [%out], 16;\nfence.proxy.async;\ncp.async.wait_all;\n" +
          store,
      "cp.async.bulk.",
      {"without a fence.proxy.async"},
      1);
  fails("prefetch.tensormap [%out];", "prefetch", {"tensor map was not encoded"}, 1);
  check_ptx_fault(
      {"add.u64 %out, %out, 8;\nprefetch.tensormap [%out];",
       "prefetch",
       CUDA_ERROR_MISALIGNED_ADDRESS,
       {"multiple of 64"},
       1});
}

// PTX ISA, "mbarrier": phases, and the range of tx-count
void phases() {
  const std::string start =
      "setp.eq.u32 %q, %x, 0;\n@%q mbarrier.init.shared.b64 [bar], 1;\nbar.sync 0;\nsetp.lt.u32 %p, %x, 32;\n"
      "@%p bra $L;\n$W:\nmbarrier.try_wait.parity.shared.b64 %p, [bar], 0;\n@!%p bra $W;\nbra $E;\n$L:\n"
      "@%q mbarrier.arrive.shared.b64 _, [bar];\n";
  runs(start + "$E:", 64);
  fails(
      start + "@%q mbarrier.arrive.shared.b64 _, [bar];\n$E:",
      "mbarrier.try_wait",
      {"another phase before this wait has seen the last one"},
      64);
  const std::string bytes =
      "mbarrier.init.shared.b64 [bar], 1;\nmbarrier.expect_tx.relaxed.cta.shared.b64 [bar], 1048575;\n";
  runs(bytes, 1);
  fails(
      bytes + "mbarrier.arrive.expect_tx.shared.b64 _, [bar], 1;",
      "mbarrier.arrive",
      {"counts up to 1048575 bytes", "1048576 would be due"},
      1);
}
}   // namespace

TEST_GROUP(ptx_strict) {
  fences_of_wgmma();
  limits_of_registers();
  proxies();
  phases();
}
