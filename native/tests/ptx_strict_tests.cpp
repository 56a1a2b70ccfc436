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
  const char* in_flight = "before the wgmma.wait_group for it";
  const std::string commit = "wgmma.commit_group.sync.aligned;\n";
  fails(start + fence + again + commit + "add.f32 %s2, %s2, %s2;\n" + wait, "add.f32", {in_flight}, 128);
  fails(start + fence + again + commit + "st.global.f32 [%out], %s3;\n" + wait, "st.global.f32", {in_flight}, 128);
  // of two groups the first is waited for, and both have the sums
  const std::string two = start + fence + again + commit + again + commit + "wgmma.wait_group.sync.aligned 1;\n";
  runs(two + "wgmma.wait_group.sync.aligned 0;\nst.global.f32 [%out], %s3;\n", 128);
  fails(two + "st.global.f32 [%out], %s3;\n" + wait, "st.global.f32", {in_flight}, 128);
  for (const char* bit : {"0x4000004000014000", "0x4000004040010000", "0x4000404000010000", "0x4010004000010000"})
    for (const char* operand : {"%la", "%lb"})
      fails(start + "mov.b64 " + operand + ", " + bit + ";\n" + fence + again, at, {"bits that must be zero"}, 128);
  for (const char* operand : {"%la", "%lb"})
    fails(
        start + "mov.b64 " + operand + ", 0x4002004000010000;\n" + fence + again,
        at,
        {"only base offset 0 is supported"},
        128);
  // what the product reads, of A and of B
  for (const char* offset : {"0", "8192"})
    fails(
        start + "st.shared.u32 [%a+" + offset + "], %x;\n" + fence + again + wait,
        at,
        {"wgmma reads shared offset", "without a fence.proxy.async"},
        128);
}

// Instructions that a whole warp takes, where half of it does.
void convergence() {
  const std::string half = "mov.u32 %a, tiles;\nsetp.lt.u32 %p, %x, 16;\n@%p ";
  const std::string zero =
      ".reg .f32 %s<4>;\nmov.f32 %s0, 0f00000000;\nmov.f32 %s1, %s0;\nmov.f32 %s2, %s0;\nmov.f32 %s3, %s0;\n"
      "mov.u32 %b, 0;\nmov.u32 %c, 0;\nmov.b64 %la, 0x4000004000010000;\n";
  const std::string wgmma = "wgmma.fence.sync.aligned;\n";
  struct Case {
    const char* instruction;
    unsigned threads;
  };
  const Case kCases[] = {
      {"ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%b}, [%a]", 32},
      {"stmatrix.sync.aligned.m8n8.x1.shared.b16 [%a], {%b}", 32},
      {"movmatrix.sync.aligned.m8n8.trans.b16 %b, %c", 32},
      {"mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%s0, %s1, %s2, %s3}, {%b, %c}, {%b}, {%s0, %s1, %s2, %s3}",
       32},
      {"wmma.store.d.sync.aligned.row.m16n16k8.shared.f32 [%a], {%s0, %s1, %s2, %s3, %s0, %s1, %s2, %s3}, 16", 32},
      {"wgmma.fence.sync.aligned", 128},
      {"wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%s0, %s1, %s2, %s3}, %la, %la, 0, 1, 1, 0, 0", 128},
      {"wgmma.commit_group.sync.aligned", 128},
      {"wgmma.wait_group.sync.aligned 0", 128},
      {"setmaxnreg.inc.sync.aligned.u32 232", 128}};
  for (const Case& c : kCases) {
    const bool needs_fence = says(c.instruction, "mma_async");
    const std::string all = needs_fence ? wgmma : "";
    const std::string body = zero + all + half + c.instruction + ";";
    fails(body, "@%p ", {"needs all 32 lanes of the warp, has 0000ffff"}, c.threads);
    // the other half waits elsewhere
    fails(
        zero + all + "mov.u32 %a, tiles;\nsetp.lt.u32 %p, %x, 16;\n@!%p bra $B;\n" + c.instruction +
            ";\nbra $E;\n$B:\nbar.sync 1;\n$E:",
        c.instruction,
        {"deadlock", "the other lanes of ffffffff"},
        c.threads);
  }
  // and those that name their lanes
  for (const char* instruction :
       {"shfl.sync.idx.b32 %b, %x, 0, 31, -1",
        "vote.sync.ballot.b32 %b, %p, -1",
        "match.any.sync.b32 %b, %x, -1",
        "redux.sync.add.u32 %b, %x, -1",
        "bar.warp.sync -1"})
    fails(
        "setp.lt.u32 %p, %x, 16;\n@!%p bra $B;\n" + std::string(instruction) + ";\nbra $E;\n$B:\nbar.sync 1;\n$E:",
        instruction,
        {"deadlock", "lanes 0000ffff", "the other lanes of ffffffff"},
        32);
}

// PTX ISA, "bar": whole warps.
void thread_counts() {
  runs("bar.sync 1, 64;", 64);
  for (const char* instruction : {"bar.sync 1, 40", "bar.arrive 1, 40", "bar.red.popc.u32 %a, 1, 40, %p"})
    fails("setp.ne.u32 %p, %x, 0;\n" + std::string(instruction) + ";", instruction, {"waits for 40 threads"}, 64);
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
  // over words that are not fenced, and over those that a store may still be reading
  const std::string fenced = bar + "fence.proxy.async;\nst.shared.u32 [%a], %x;\n";
  fails(fenced + load, at, {"the copy overwrites shared offset", "written by thread 0 without a fence.proxy.async"}, 1);
  const std::string reading = fenced +
                              "fence.proxy.async;\ncp.async.bulk.global.shared::cta.bulk_group [%out], [%a], 16;\n"
                              "cp.async.bulk.commit_group;\n";
  fails(reading + load, "cp.async.bulk.shared", {"the copy overwrites", "may still be reading"}, 1);
  for (const char* write :
       {"st.shared.u32 [%a+8], 7;", "atom.shared.add.u32 %b, [%a+8], 1;", "red.shared.or.b32 [%a+12], 1;"}) {
    runs(reading + "cp.async.bulk.wait_group.read 0;\n" + write, 1);
    fails(reading + write, write, {"this write goes to shared offset", "may still be reading"}, 1);
  }
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
  const std::string complete = "mbarrier.complete_tx.relaxed.cta.shared.b64 [bar], ";
  fails(
      "mbarrier.init.shared.b64 [bar], 1;\n" + complete + "1048575;\n" + complete + "2;",
      "shared.b64 [bar], 2;",
      {"counts up to 1048575 bytes", "-1048577 would be due"},
      1);
}

// Two blocks of a cluster of `threads` in all.
std::string pair() { return ".explicitcluster .reqnctapercluster 2"; }
// PTX ISA, "fence.mbarrier_init": an mbarrier that another block uses.
void remote_barriers() {
  const auto body = [](const char* fence) {
    return std::string("mbarrier.init.shared.b64 [bar], 1;\n") + fence +
           "barrier.cluster.arrive;\nbarrier.cluster.wait;\nmov.u32 %a, %cluster_ctarank;\nxor.b32 %a, %a, 1;\n"
           "mov.u32 %b, bar;\nmapa.shared::cluster.u32 %b, %b, %a;\n"
           "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%b];\n"
           "$W:\nmbarrier.try_wait.parity.shared.b64 %p, [bar], 0;\n@!%p bra $W;\n"
           "barrier.cluster.arrive;\nbarrier.cluster.wait;\n";
  };
  const std::string right = body("fence.mbarrier_init.release.cluster;\n");
  check(!run_ptx(right, std::vector<uint64_t>(1), 1, 2, kTiles, pair()).empty(), right);
  const std::string wrong = body("");
  const std::string directives = pair();
  check_ptx_fault(
      {wrong.c_str(),
       "mbarrier.arrive",
       kFailed,
       {"of block 0 was initialised by thread 0 without a fence.mbarrier_init"},
       1,
       2,
       directives.c_str()},
      kTiles);
}
// As many threads as a cluster can have.
void large_clusters() {
  const auto out = run_ptx(
      "setp.eq.u32 %p, %x, 0;\n@%p st.shared.u32 [bar], 0;\nbarrier.cluster.arrive;\nbarrier.cluster.wait;\n"
      "mov.u32 %a, bar;\nmapa.shared::cluster.u32 %a, %a, 0;\n"
      "atom.shared::cluster.add.u32 %b, [%a], 1;\nbarrier.cluster.arrive;\nbarrier.cluster.wait;\n"
      "ld.shared::cluster.u32 %b, [%a];\nmov.u32 %c, %ctaid.x;\nmul.wide.u32 %la, %c, 8;\nadd.u64 %la, %la, %out;\n"
      "cvt.u64.u32 %lb, %b;\n@%p st.global.u64 [%la], %lb;\nbarrier.cluster.arrive;\n"
      "barrier.cluster.wait;\n",
      std::vector<uint64_t>(8),
      1024,
      8,
      ".shared .align 8 .b8 bar[8];\n",
      ".explicitcluster .reqnctapercluster 8");
  check(out == std::vector<uint64_t>(8, 8192), "a cluster of 8192 threads");
}
}   // namespace

TEST_GROUP(ptx_strict) {
  convergence();
  thread_counts();
  remote_barriers();
  large_clusters();
  fences_of_wgmma();
  limits_of_registers();
  proxies();
  phases();
}
