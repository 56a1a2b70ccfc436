// Clusters against the PTX ISA ("Cluster of Cooperative Thread Arrays", "Special Registers", "mapa", "getctarank",
// "barrier.cluster", "Shared State Space"): ranks, shared memory of other blocks, barriers of a cluster.
#include "../cpu/loader_api.h"
#include "ptx_fragments.h"

namespace {
struct Dim {
  unsigned x = 1;
  unsigned y = 1;
  unsigned z = 1;
  unsigned count() const { return x * y * z; }
};
std::string cluster_of(Dim d) {
  return ".explicitcluster .reqnctapercluster " + std::to_string(d.x) + ", " + std::to_string(d.y) + ", " +
         std::to_string(d.z);
}

enum class StatedBy { None, Kernel, Launch };
CUresult launch_clusters(CUfunction f, Dim grid, Dim cluster, StatedBy by, unsigned threads, void** params) {
  CUlaunchAttribute a{};
  a.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
  a.value.clusterDim = {cluster.x, cluster.y, cluster.z};
  const CUlaunchConfig c{grid.x, grid.y, grid.z, threads, 1, 1, 0, nullptr, &a, by == StatedBy::Launch};
  return cuLaunchKernelEx(&c, f, params, nullptr);
}

// The special registers of each block of a grid: blocks of a cluster are neighbours, and ranks count x first.
void special_registers() {
  constexpr const char* kNames[] = {
      "%clusterid.x",
      "%clusterid.y",
      "%clusterid.z",
      "%nclusterid.x",
      "%nclusterid.y",
      "%nclusterid.z",
      "%cluster_ctaid.x",
      "%cluster_ctaid.y",
      "%cluster_ctaid.z",
      "%cluster_nctaid.x",
      "%cluster_nctaid.y",
      "%cluster_nctaid.z",
      "%cluster_ctarank",
      "%cluster_nctarank"};
  constexpr size_t kValues = std::size(kNames) + 1;   // and %is_explicit_cluster
  struct Shape {
    Dim grid;
    Dim cluster;
    StatedBy by;
  };
  constexpr Shape kShapes[] = {
      {{8, 1, 1}, {4, 1, 1}, StatedBy::Kernel},
      {{6, 3, 2}, {2, 1, 1}, StatedBy::Kernel},
      {{4, 6, 2}, {2, 3, 1}, StatedBy::Kernel},
      {{3, 4, 4}, {1, 2, 4}, StatedBy::Kernel},
      {{4, 2, 6}, {2, 2, 2}, StatedBy::Launch},
      {{2, 3, 2}, {1, 1, 1}, StatedBy::Launch},
      {{3, 2, 2}, {1, 1, 1}, StatedBy::None}};
  for (const Shape& s : kShapes) {
    std::string body =
        "mov.u32 %a, %ctaid.z;\nmov.u32 %b, %nctaid.y;\nmov.u32 %c, %ctaid.y;\nmad.lo.u32 %a, %a, %b, %c;\n"
        "mov.u32 %b, %nctaid.x;\nmov.u32 %c, %ctaid.x;\nmad.lo.u32 %a, %a, %b, %c;\nmul.lo.u32 %a, %a, " +
        std::to_string(4 * kValues) + ";\ncvt.u64.u32 %la, %a;\nadd.u64 %out, %out, %la;\n";
    for (size_t i = 0; i < std::size(kNames); ++i)
      body += std::string("mov.u32 %b, ") + kNames[i] + ";\nst.global.u32 [%out+" + std::to_string(4 * i) + "], %b;\n";
    body += "mov.pred %p, %is_explicit_cluster;\nselp.u32 %b, 1, 0, %p;\nst.global.u32 [%out+" +
            std::to_string(4 * (kValues - 1)) + "], %b;";
    const PtxModule module(ptx_kernel(body, "", s.by == StatedBy::Kernel ? cluster_of(s.cluster) : ""));
    Buffer<uint32_t> buffer(s.grid.count() * kValues);
    void* params[] = {&buffer.p};
    const CUfunction f = module.get("k");
    const bool ran = f && !launch_clusters(f, s.grid, s.cluster, s.by, 1, params);
    const auto got = buffer.get();
    std::vector<uint32_t> wanted;
    const Dim c = s.cluster;
    for (unsigned z = 0; z < s.grid.z; ++z)
      for (unsigned y = 0; y < s.grid.y; ++y)
        for (unsigned x = 0; x < s.grid.x; ++x)
          for (uint32_t v :
               {x / c.x,
                y / c.y,
                z / c.z,
                s.grid.x / c.x,
                s.grid.y / c.y,
                s.grid.z / c.z,
                x % c.x,
                y % c.y,
                z % c.z,
                c.x,
                c.y,
                c.z,
                x % c.x + c.x * (y % c.y + c.y * (z % c.z)),
                c.count(),
                uint32_t(s.by != StatedBy::None)})
            wanted.push_back(v);
    std::string text;
    for (size_t i = 0; i < got.size() && text.empty(); ++i)
      if (got[i] != wanted[i])
        text = ": block " + std::to_string(i / kValues) + " has " + std::to_string(got[i]) + " in " +
               (i % kValues < std::size(kNames) ? kNames[i % kValues] : "%is_explicit_cluster") + ", wanted " +
               std::to_string(wanted[i]);
    check(ran && text.empty(), "special registers of " + cluster_of(c) + text);
  }
}

// Runs four blocks of 32 threads in a cluster; thread k of the grid stores %d at word k.
void check_threads(
    const std::string& name, const std::string& body, uint32_t (*wanted)(unsigned block, unsigned lane)) {
  const std::string meet = "barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;\n";
  std::string text = body;
  for (size_t at = text.find("MEET;"); at != std::string::npos; at = text.find("MEET;"))
    text.replace(at, 5, meet);
  const auto out = run_words(
      "mov.u32 %u, %cluster_ctarank;\nmov.u32 %v, s;\nmad.lo.u32 %w, %x, 4, %v;\n" + text +
          "\nmad.lo.u32 %a, %u, 32, %x;\nmul.wide.u32 %la, %a, 4;\nadd.u64 %la, %la, %out;\nst.global.u32 [%la], %d;\n",
      std::vector<uint32_t>(128),
      32,
      4,
      ".shared .align 16 .b8 s[256];\n.shared .align 8 .b64 bar;\n",
      cluster_of({4}));
  int wrong = out.empty();
  for (unsigned k = 0; k < 128 && !out.empty(); ++k)
    wrong += out[k] != wanted(k / 32, k % 32);
  check(!wrong, name + ": " + std::to_string(wrong) + " wrong");
}

void shared_memory_of_others() {
  const std::string fill = "mad.lo.u32 %a, %u, 100, %x;\nst.shared.u32 [%w], %a;\nMEET;";
  const std::string next = "add.u32 %b, %u, 1;\nand.b32 %b, %b, 3;\n";   // the rank of the next block
  const auto of_next = [](unsigned block, unsigned lane) { return (block + 1) % 4 * 100 + lane; };
  check_threads(
      "mapa of a shared address, ld.shared::cluster",
      fill + next + "mapa.shared::cluster.u32 %c, %w, %b;\nld.shared::cluster.u32 %d, [%c];\nMEET;",
      of_next);
  check_threads(
      "mapa of a generic address, ld",
      fill + next + "cvt.u64.u32 %la, %w;\ncvta.shared.u64 %la, %la;\nmapa.u64 %lb, %la, %b;\nld.u32 %d, [%lb];\nMEET;",
      of_next);
  check_threads(   // twice: by way of the block after the next
      "mapa of what mapa gave",
      fill + next +
          "add.u32 %e, %u, 2;\nand.b32 %e, %e, 3;\nmapa.shared::cluster.u32 %c, %w, %e;\n"
          "mapa.shared::cluster.u32 %c, %c, %b;\nld.shared::cluster.u32 %d, [%c];\ncvt.u64.u32 %la, %w;\n"
          "cvta.shared.u64 %la, %la;\nmapa.u64 %lb, %la, %e;\nmapa.u64 %lb, %lb, %b;\nld.u32 %e, [%lb];\n"
          "setp.ne.u32 %p, %d, %e;\n@%p mov.u32 %d, 7;\nMEET;",
      of_next);
  check_threads(
      "mapa of a variable",
      fill + next +
          "mapa.shared::cluster.u32 %c, s, %b;\nmad.lo.u32 %c, %x, 4, %c;\nld.shared::cluster.u32 %d, [%c];\nMEET;",
      of_next);
  check_threads(
      "mapa to the own block is its shared memory",
      fill + "mapa.shared::cluster.u32 %c, %w, %u;\nld.shared::cluster.u32 %d, [%c];\nMEET;",
      [](unsigned block, unsigned lane) { return block * 100 + lane; });
  check_threads(
      "a shared::cta address is a shared::cluster address",
      fill + "ld.shared::cluster.u32 %d, [%w];\nMEET;",
      [](unsigned block, unsigned lane) { return block * 100 + lane; });
  check_threads(
      "st.shared::cluster",
      next +
          "mapa.shared::cluster.u32 %c, %w, %b;\nmad.lo.u32 %a, %u, 1000, %x;\nst.shared::cluster.u32 [%c], %a;\nMEET;"
          "ld.shared.u32 %d, [%w];",
      [](unsigned block, unsigned lane) { return (block + 3) % 4 * 1000 + lane; });
  check_threads(   // all 128 threads on one word of block 2
      "atom.shared::cluster",
      "mov.u32 %a, 0;\nst.shared.u32 [s], %a;\nMEET;mapa.shared::cluster.u32 %c, %v, 2;\n"
      "atom.shared::cluster.add.u32 %e, [%c], %x;\nred.shared::cluster.add.u32 [%c], 1;\nMEET;"
      "ld.shared::cluster.u32 %d, [%c];\nMEET;",
      [](unsigned, unsigned) { return 4u * 496 + 128; });
  check_threads(
      "getctarank",
      "and.b32 %b, %x, 3;\nmapa.shared::cluster.u32 %c, %w, %b;\ngetctarank.shared::cluster.u32 %d, %c;\n"
      "cvt.u64.u32 %la, %w;\ncvta.shared.u64 %la, %la;\nmapa.u64 %lb, %la, %b;\ngetctarank.u64 %e, %lb;\n"
      "mad.lo.u32 %d, %d, 10, %e;\nMEET;",
      [](unsigned, unsigned lane) { return 11 * (lane % 4); });
  check_threads(
      "isspacep of another block's shared memory",
      next +
          "cvt.u64.u32 %la, %w;\ncvta.shared.u64 %la, %la;\nmapa.u64 %lb, %la, %b;\n"
          "isspacep.shared::cluster %p, %lb;\nisspacep.shared::cta %q, %lb;\nisspacep.shared::cluster %r, %la;\n"
          "isspacep.shared %s, %la;\nselp.u32 %d, 1, 0, %p;\n@%q add.u32 %d, %d, 2;\n@%r add.u32 %d, %d, 4;\n"
          "@%s add.u32 %d, %d, 8;\nMEET;",
      [](unsigned, unsigned) { return 13u; });
}

// A cluster along y and z: mapa takes ranks, which count y before z. Each block stores what the next one is.
void blocks_along_y_and_z() {
  const PtxModule module(ptx_kernel(
      "mov.u32 %a, %ctaid.y;\nmov.u32 %b, %ctaid.z;\nmad.lo.u32 %c, %b, 10, %a;\nst.shared.u32 [s], %c;\n"
      "barrier.cluster.arrive;\nbarrier.cluster.wait;\nmov.u32 %d, %cluster_ctarank;\nadd.u32 %e, %d, 1;\n"
      "rem.u32 %e, %e, 6;\nmapa.shared::cluster.u32 %f, s, %e;\nld.shared::cluster.u32 %g, [%f];\n"
      "mad.lo.u32 %h, %b, 2, %a;\nmul.wide.u32 %la, %h, 4;\nadd.u64 %la, %la, %out;\nst.global.u32 [%la], %g;\n"
      "barrier.cluster.arrive;\nbarrier.cluster.wait;",
      ".shared .align 4 .b32 s;\n",
      cluster_of({1, 2, 3})));
  Buffer<uint32_t> out(6);
  void* params[] = {&out.p};
  CHECK_STATUS(launch_clusters(module.get("k"), {1, 2, 3}, {}, StatedBy::None, 1, params), CUDA_SUCCESS);
  CHECK((out.get() == std::vector<uint32_t>{1, 10, 11, 20, 21, 0}));
}

// "Cluster Dimension Directives", and the attributes of CUDA's driver for clusters.
void sizes_of_clusters() {
  Buffer<uint64_t> out(64);
  void* params[] = {&out.p};
  const std::string body = "mov.u32 %a, %nctaid.x;\nmov.u32 %b, %nctaid.y;\nst.global.v2.u32 [%out], {%a, %b};";
  const auto run = [&](const std::string& directives, Dim grid, Dim cluster, StatedBy by) {
    const PtxModule module(ptx_kernel(body, "", directives));
    return launch_clusters(module.get("k"), grid, cluster, by, 32, params);
  };
  CHECK_STATUS(run(cluster_of({1, 2, 1}), {2, 2, 1}, {1, 2, 1}, StatedBy::Launch), CUDA_SUCCESS);
  CHECK_STATUS(run(cluster_of({1, 2, 1}), {2, 2, 1}, {2, 1, 1}, StatedBy::Launch), CUDA_ERROR_INVALID_CLUSTER_SIZE);
  CHECK_STATUS(run(cluster_of({1, 2, 1}), {2, 3, 1}, {}, StatedBy::None), CUDA_ERROR_INVALID_CLUSTER_SIZE);
  CHECK_STATUS(run("", {4, 4, 3}, {2, 2, 2}, StatedBy::Launch), CUDA_ERROR_INVALID_CLUSTER_SIZE);
  CHECK_STATUS(run("", {4, 4, 4}, {2, 2, 0}, StatedBy::Launch), CUDA_ERROR_INVALID_CLUSTER_SIZE);
  CHECK_STATUS(run("", {4, 4, 1}, {4, 4, 1}, StatedBy::Launch), CUDA_ERROR_INVALID_CLUSTER_SIZE);   // not portable
  CHECK_STATUS(run(".explicitcluster", {4, 1, 1}, {}, StatedBy::None), CUDA_ERROR_INVALID_CLUSTER_SIZE);
  CHECK_STATUS(run(".explicitcluster", {4, 1, 1}, {4, 1, 1}, StatedBy::Launch), CUDA_SUCCESS);
  CHECK_STATUS(run(".maxclusterrank 4", {8, 1, 1}, {4, 1, 1}, StatedBy::Launch), CUDA_SUCCESS);
  CHECK_STATUS(run(".maxclusterrank 4", {8, 1, 1}, {8, 1, 1}, StatedBy::Launch), CUDA_ERROR_INVALID_CLUSTER_SIZE);
  CHECK_STATUS(
      run(".reqntid 32 .blocksareclusters .reqnctapercluster 2, 3", {5, 2, 1}, {}, StatedBy::None), CUDA_SUCCESS);
  CHECK(out.get()[0] == (10 | uint64_t(6) << 32));   // %nctaid: 5 clusters of 2 blocks, 2 of 3

  const PtxModule module(ptx_kernel(body, "", ".explicitcluster"));
  const CUfunction f = module.get("k");
  int value = -1;
  CHECK_STATUS(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET, f), CUDA_SUCCESS);
  CHECK(value == 1);
  CHECK_STATUS(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1), CUDA_SUCCESS);
  CHECK_STATUS(launch_clusters(f, {4, 4, 1}, {4, 4, 1}, StatedBy::Launch, 32, params), CUDA_SUCCESS);
  CHECK_STATUS(launch_clusters(f, {4, 4, 2}, {4, 4, 2}, StatedBy::Launch, 32, params), CUDA_ERROR_INVALID_CLUSTER_SIZE);
}

void barriers() {
  // each block's number travels all the way round, one block a meeting
  std::string travel =
      "mad.lo.u32 %a, %u, 100, %x;\nst.shared.u32 [%w], %a;\nMEET;add.u32 %b, %u, 1;\nand.b32 %b, %b, 3;\n"
      "mapa.shared::cluster.u32 %c, %w, %b;\n";
  for (int i = 0; i < 3; ++i)
    travel += "ld.shared::cluster.u32 %d, [%c];\nMEET;st.shared.u32 [%w], %d;\nMEET;";
  check_threads(
      "barrier.cluster round after round", travel + "ld.shared.u32 %d, [%w];", [](unsigned block, unsigned lane) {
        return (block + 3) % 4 * 100 + lane;
      });
  // arrive does not wait: block 0 arrives, then writes what block 1 waits for before it arrives
  check_threads(
      "barrier.cluster.arrive lets go on",
      "mov.u32 %d, 0;\nst.shared.u32 [%w], %d;\nMEET;mapa.shared::cluster.u32 %c, %w, 1;\nsetp.eq.u32 %p, %u, 0;\n"
      "setp.eq.u32 %q, %u, 1;\n@%q bra $W;\nbarrier.cluster.arrive;\nadd.u32 %e, %x, 5;\n"
      "@%p st.volatile.shared::cluster.u32 [%c], %e;\nbra $E;\n$W:\nld.volatile.shared.u32 %d, [%w];\n"
      "setp.eq.u32 %r, %d, 0;\n@%r bra $W;\nbarrier.cluster.arrive;\n$E:\nbarrier.cluster.wait;",
      [](unsigned block, unsigned lane) { return block == 1 ? lane + 5 : 0; });
  // threads that have ended count as arrived
  check_threads(
      "barrier.cluster without threads that have ended",
      "mov.u32 %d, 9;\nsetp.ne.u32 %p, %u, 2;\n@%p bra $S;\nmad.lo.u32 %a, %u, 32, %x;\nmul.wide.u32 %la, %a, 4;\n"
      "add.u64 %la, %la, %out;\nst.global.u32 [%la], 4;\nexit;\n$S:\nbarrier.cluster.arrive;\nbarrier.cluster.wait;",
      [](unsigned block, unsigned) { return block == 2 ? 4u : 9u; });
}

// "mbarrier.arrive": at another block's mbarrier, with a count, and with bytes to expect; "complete_tx" likewise.
void remote_arrivals() {
  const std::string start =
      "setp.eq.u32 %p, %x, 0;\n@%p mbarrier.init.shared.b64 [bar], 4;\nfence.mbarrier_init.release.cluster;\nMEET;"
      "mapa.shared::cluster.u32 %c, bar, 3;\n";
  const std::string wait =
      "mov.u32 %d, 1;\nsetp.ne.u32 %q, %u, 3;\n@%q bra $E;\n$W:\n"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %r, [bar], 0;\n@!%r bra $W;\nmov.u32 %d, 2;\n"
      "mbarrier.test_wait.parity.shared.b64 %r, [bar], 1;\n@%r mov.u32 %d, 3;\n$E:\nMEET;";
  const auto last_waits = [](unsigned block, unsigned) { return block == 3 ? 2u : 1u; };
  check_threads(
      "one arrival of each block",
      start + "@%p mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%c];\n" + wait,
      last_waits);
  check_threads(
      "an arrival with a count",
      start + "setp.eq.and.u32 %q, %u, 1, %p;\n@%q mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%c], 4;\n" +
          wait,
      last_waits);
  check_threads(
      "bytes that other blocks expect and complete",
      start +
          "@%p mbarrier.arrive.expect_tx.release.cluster.shared::cluster.b64 _, [%c], 32;\n"
          "@%p mbarrier.expect_tx.relaxed.cluster.shared::cluster.b64 [%c], 8;\nadd.u32 %a, %u, 1;\n"
          // 4 blocks expect 40 bytes each and complete 16, 32, 48 and 64
          "mul.lo.u32 %a, %a, 16;\n@%p mbarrier.complete_tx.relaxed.cluster.shared::cluster.b64 [%c], %a;\n" +
          wait,
      last_waits);
  check_threads(
      "drops of other blocks",
      start +
          "setp.ne.and.u32 %q, %u, 3, %p;\n@%q mbarrier.arrive_drop.release.cluster.shared::cluster.b64 _, [%c];\n"
          "setp.eq.and.u32 %q, %u, 3, %p;\n@%q mbarrier.arrive.shared.b64 _, [bar];\n" +
          wait,
      last_waits);
}
}   // namespace

TEST_GROUP(ptx_clusters) {
  special_registers();
  shared_memory_of_others();
  blocks_along_y_and_z();
  sizes_of_clusters();
  barriers();
  remote_arrivals();
}
