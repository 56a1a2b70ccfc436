// Counters of launches of PTX against numbers worked out by hand.
#include "host.h"
#include <map>
#include <sstream>

namespace {
// A kernel k(a, b, n) with the thread's number in %t, its address a + 4 t in %at and b + 4 t in %bt.
std::string module_of(const std::string& body, const std::string& variables = "", const std::string& head = "") {
  return ".version 8.4\n.target sm_90a\n.address_size 64\n" + variables +
         ".visible .entry k(.param .u64 pa, .param .u64 pb, .param .u32 pn)\n" + head + R"({
  .reg .pred %p<4>;
  .reg .b32 %t, %n, %r<16>;
  .reg .b64 %a, %b, %at, %bt, %rd<16>;
  .reg .f32 %f<16>;
  .reg .f64 %fd<4>;
  ld.param.u64 %a, [pa];
  ld.param.u64 %b, [pb];
  ld.param.u32 %n, [pn];
  mov.u32 %t, %tid.x;
  mad.wide.u32 %at, %t, 4, %a;
  mad.wide.u32 %bt, %t, 4, %b;
)" + body +
         R"(
  ret;
}
)";
}
constexpr long kPrologue = 6;   // instructions of a warp, and the return
constexpr long kAround = kPrologue + 1;

using Counts = std::map<std::string, long>;
class Counted {
 public:
  explicit Counted(const std::string& text) {
    CU(cuModuleLoadData(&module_, text.c_str()));
    CU(cuModuleGetFunction(&function_, module_, "k"));
  }
  Counted(const Counted&) = delete;
  ~Counted() { cuModuleUnload(module_); }
  void use(Buffer<uint32_t>& a) { own_a_ = &a; }   // for a
  // `shift` bytes are added to a.
  Counts run(unsigned blocks, unsigned threads, unsigned n = 0, size_t shift = 0, long multiprocessors = 1) {
    Buffer<uint32_t>& buffer = own_a_ ? *own_a_ : a_;
    CUdeviceptr a = CUdeviceptr(reinterpret_cast<uintptr_t>(buffer.device())) + shift;
    CUdeviceptr b = CUdeviceptr(reinterpret_cast<uintptr_t>(b_.device()));
    void* params[] = {&a, &b, &n};
    spectralCpuSetOption("count", multiprocessors);
    CU(cuLaunchKernel(function_, blocks, 1, 1, threads, 1, 1, 0, nullptr, params, nullptr));
    spectralCpuSetOption("count", 0);
    std::vector<char> text(size_t(spectralCpuCounters(nullptr, 0)) + 1);
    spectralCpuCounters(text.data(), text.size());
    std::istringstream lines(text.data());
    std::string name, kernel;
    lines >> name >> kernel;
    CHECK(name == "kernel" && kernel == "k");
    Counts counts;
    for (long value; lines >> name >> value;)
      counts[name] = value;
    return counts;
  }

 private:
  CUmodule module_ = nullptr;
  CUfunction function_ = nullptr;
  Buffer<uint32_t>* own_a_ = nullptr;
  Buffer<uint32_t> a_{std::vector<uint32_t>(1 << 14, 7)};
  Buffer<uint32_t> b_{std::vector<uint32_t>(1 << 14, 0)};
};
}   // namespace

TEST_GROUP(ptx_counters) {
  // Thread t reads word t * n of a and writes word t of b.
  Counted copy(module_of(R"(
  mul.lo.u32 %r0, %t, %n;
  mad.wide.u32 %rd0, %r0, 4, %a;
  ld.global.nc.u32 %r1, [%rd0];
  st.global.u32 [%bt], %r1;)"));
  // 8 warps of 32 x 4 bytes: 4 sectors each, read and written.
  Counts c = copy.run(1, 256, 1);
  CHECK(c["blocks"] == 1 && c["threads"] == 256 && c["cluster"] == 1 && c["shared_bytes"] == 0);
  CHECK(c["global_read_sectors"] == 32 && c["global_write_sectors"] == 32);
  CHECK(c["global_read_bytes"] == 1024 && c["global_write_bytes"] == 1024);
  CHECK(c["global_read_requests"] == 8 && c["global_write_requests"] == 8);
  CHECK(c["global_read_excess_sectors"] == 0);
  CHECK(c["instructions"] == 8 * (kAround + 4));
  CHECK(c["global_load_instructions"] == 8 && c["global_store_instructions"] == 8);
  CHECK(c["constant_load_instructions"] == 24);
  CHECK(c["divergent_branches"] == 0);
  // Every 32 bytes: a sector for each thread, where their bytes would fill 4 for each warp.
  c = copy.run(1, 256, 8);
  CHECK(c["global_read_sectors"] == 256 && c["global_read_bytes"] == 1024 && c["global_read_excess_sectors"] == 224);
  // Every 8 and every 12 bytes: what the lanes span, of which they touch a part.
  c = copy.run(1, 256, 2, 4);
  CHECK(c["global_read_sectors"] == 64 && c["global_read_bytes"] == 1024 && c["global_read_excess_sectors"] == 32);
  c = copy.run(1, 256, 3, 28);
  CHECK(c["global_read_sectors"] == 104 && c["global_read_bytes"] == 1024 && c["global_read_excess_sectors"] == 72);
  c = copy.run(1, 256, 9);   // more than a sector apart
  CHECK(c["global_read_sectors"] == 256 && c["global_read_bytes"] == 1024 && c["global_read_excess_sectors"] == 224);
  c = copy.run(1, 256, 0);   // one word for all
  CHECK(c["global_read_sectors"] == 8 && c["global_read_bytes"] == 4 && c["global_read_excess_sectors"] == 0);
  c = copy.run(1, 256, 1, 4);   // each warp begins a word into a sector
  CHECK(c["global_read_sectors"] == 40 && c["global_read_bytes"] == 1024 && c["global_read_excess_sectors"] == 8);
  c = copy.run(1, 40, 1);   // a warp of 8 lanes
  CHECK(c["global_read_sectors"] == 5 && c["instructions"] == 2 * (kAround + 4));
  c = copy.run(3, 32, 1);   // the same bytes for all blocks: distinct once
  CHECK(c["global_read_sectors"] == 12 && c["global_read_bytes"] == 128);

  // The lanes in another order, t ^ 5, counts the same; lanes share words where only some bits of that count.
  Counted mixed(module_of(R"(
  xor.b32 %r0, %t, 5;
  mul.lo.u32 %r0, %r0, %n;
  mad.wide.u32 %rd0, %r0, 4, %a;
  ld.global.u32 %r1, [%rd0];)"));
  c = mixed.run(1, 256, 1);
  CHECK(c["global_read_sectors"] == 32 && c["global_read_bytes"] == 1024 && c["global_read_excess_sectors"] == 0);
  c = mixed.run(1, 256, 3, 28);
  CHECK(c["global_read_sectors"] == 104 && c["global_read_bytes"] == 1024 && c["global_read_excess_sectors"] == 72);
  c = mixed.run(1, 256, 9);
  CHECK(c["global_read_sectors"] == 256 && c["global_read_bytes"] == 1024 && c["global_read_excess_sectors"] == 224);
  Counted shared(module_of(R"(
  xor.b32 %r0, %t, 5;
  and.b32 %r0, %r0, %n;
  mad.wide.u32 %rd0, %r0, 4, %a;
  ld.global.u32 %r1, [%rd0];)"));
  c = shared.run(1, 256, 15);   // 16 words of two sectors for each warp
  CHECK(c["global_read_sectors"] == 16 && c["global_read_bytes"] == 64 && c["global_read_excess_sectors"] == 0);
  c = shared.run(1, 256, 9);   // 4 words, two of each sector
  CHECK(c["global_read_sectors"] == 16 && c["global_read_bytes"] == 16 && c["global_read_excess_sectors"] == 8);

  // 16 bytes per thread, and a guard that leaves lanes out.
  Counted wide(module_of(R"(
  mad.wide.u32 %rd0, %t, 16, %a;
  setp.lt.u32 %p0, %t, %n;
  @%p0 ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%rd0];)"));
  CHECK(wide.run(1, 32, 32)["global_read_sectors"] == 16);
  c = wide.run(1, 32, 3);
  CHECK(c["global_read_sectors"] == 2 && c["global_read_bytes"] == 48);
  c = wide.run(1, 32, 0);   // executed, though by no lane
  CHECK(c["global_read_requests"] == 0 && c["instructions"] == kAround + 3);
}

TEST_GROUP(ptx_counters_spaces) {
  // Tables in global memory count; constants, parameters and local memory do not.
  Counted tables(module_of(
      R"(
  .local .align 4 .b8 own[16];
  mov.u32 %r0, 0;
  ld.const.u32 %r1, [fixed];
  ld.global.u32 %r2, [table];
  st.local.u32 [own], %r2;
  ld.local.u32 %r3, [own];
  mov.u64 %rd0, own;
  cvta.local.u64 %rd0, %rd0;
  ld.u32 %r4, [%rd0];)",
      ".const .align 4 .b8 fixed[16];\n.global .align 4 .b8 table[16];\n"));
  Counts c = tables.run(1, 32);
  CHECK(c["global_read_sectors"] == 1 && c["global_read_bytes"] == 4 && c["global_write_sectors"] == 0);
  CHECK(c["local_bytes"] == 3 * 32 * 4);
  CHECK(c["constant_load_instructions"] == 4 && c["generic_load_instructions"] == 1);

  // Generic addresses: odd lanes in shared memory, even ones in global memory.
  Counted mixed(module_of(R"(
  .shared .align 4 .b8 words[128];
  mov.u64 %rd0, words;
  cvta.shared.u64 %rd0, %rd0;
  mad.wide.u32 %rd0, %t, 4, %rd0;
  and.b32 %r0, %t, 1;
  setp.eq.u32 %p0, %r0, 0;
  selp.b64 %rd0, %at, %rd0, %p0;
  st.u32 [%rd0], %t;)"));
  c = mixed.run(1, 32);
  CHECK(c["global_write_sectors"] == 4 && c["global_write_bytes"] == 64);
  CHECK(c["shared_wavefronts"] == 1 && c["shared_bank_conflicts"] == 0);

  // An atomic operation reads and writes, with or without a result.
  Counted atomics(module_of("  atom.global.add.u32 %r0, [%at], 1;"));
  c = atomics.run(1, 32);
  CHECK(c["global_read_sectors"] == 4 && c["global_write_sectors"] == 4 && c["atomic_instructions"] == 1);
  Counted reductions(module_of("  red.global.add.u32 [%a], 1;"));
  c = reductions.run(1, 32);
  CHECK(c["global_read_sectors"] == 1 && c["global_write_sectors"] == 1 && c["global_write_bytes"] == 4);
}

TEST_GROUP(ptx_counters_shared) {
  auto stores = [](const char* store, unsigned bytes) {
    return module_of(
        "  .shared .align 16 .b8 words[32768];\n  mul.lo.u32 %r0, %t, %n;\n  mul.lo.u32 %r0, %r0, " +
        std::to_string(bytes) + ";\n  mov.u32 %r1, words;\n  add.u32 %r1, %r1, %r0;\n  mov.u32 %r2, 0;\n  mov.u64 " +
        "%rd0, 0;\n  " + store);
  };
  // Word t: a bank each. Word 2 t: two words in every second bank. Word 32 t: all in one. Word 0: one for all.
  Counted words(stores("st.shared.u32 [%r1], %r2;", 4));
  Counts c = words.run(3, 64, 1);
  CHECK(c["shared_wavefronts"] == 6 && c["shared_bank_conflicts"] == 0 && c["shared_bytes"] == 32768);
  CHECK(words.run(3, 64, 2)["shared_bank_conflicts"] == 6);
  CHECK(words.run(3, 64, 32)["shared_bank_conflicts"] == 186);
  CHECK(words.run(3, 64, 0)["shared_bank_conflicts"] == 0);
  // Bytes of one word share it.
  CHECK(Counted(stores("st.shared.u8 [%r1], %r2;", 1)).run(1, 32, 1)["shared_bank_conflicts"] == 0);
  // 8 bytes go by 16 lanes: side by side they fill all banks; 16 bytes apart each bank has two words.
  Counted doubles(stores("st.shared.u64 [%r1], %rd0;", 8));
  c = doubles.run(1, 32, 1);
  CHECK(c["shared_wavefronts"] == 2 && c["shared_bank_conflicts"] == 0);
  CHECK(doubles.run(1, 32, 2)["shared_bank_conflicts"] == 2);
  // 16 bytes go by 8 lanes.
  Counted quads(stores("st.shared.v4.u32 [%r1], {%r2, %r2, %r2, %r2};", 16));
  c = quads.run(1, 32, 1);
  CHECK(c["shared_wavefronts"] == 4 && c["shared_bank_conflicts"] == 0);
  CHECK(quads.run(1, 32, 2)["shared_bank_conflicts"] == 4);
  CHECK(quads.run(1, 3, 2)["shared_wavefronts"] == 1);   // three lanes of one part

  // ldmatrix goes by matrices of 8 rows: 16 bytes apart they fill the banks, 128 bytes apart all have the same.
  auto rows = [&](unsigned apart) {
    return Counted(stores("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r3, %r4, %r5, %r6}, [%r1];", 16))
        .run(1, 32, apart);
  };
  c = rows(1);
  CHECK(c["shared_wavefronts"] == 4 && c["shared_bank_conflicts"] == 0 && c["matrix_load_instructions"] == 1);
  CHECK(rows(8)["shared_bank_conflicts"] == 4 * 7);

  // The shared memory of two blocks has banks of its own in each. Even lanes read word 0 of block 0, odd ones word 0 of
  // block 1: no conflict.
  Counted cluster(module_of(
      R"(
  .shared .align 4 .b8 words[128];
  mov.u32 %r0, words;
  and.b32 %r1, %t, 1;
  mapa.shared::cluster.u32 %r2, %r0, %r1;
  barrier.cluster.arrive;
  barrier.cluster.wait;
  ld.shared::cluster.u32 %r3, [%r2];
  barrier.cluster.arrive;
  barrier.cluster.wait;)",
      "",
      ".reqnctapercluster 2, 1, 1\n"));
  c = cluster.run(4, 32);
  CHECK(c["shared_wavefronts"] == 4 && c["shared_bank_conflicts"] == 0 && c["cluster"] == 2);
  CHECK(c["cluster_barriers"] == 2 * 4 && c["barriers"] == 0 && c["global_read_sectors"] == 0);
}

TEST_GROUP(ptx_counters_copies) {
  // Each thread copies 16 bytes, but lanes from n on only fill theirs with zeros.
  Counted lanes(module_of(R"(
  .shared .align 16 .b8 words[512];
  mad.wide.u32 %rd0, %t, 16, %a;
  mov.u32 %r0, words;
  mad.lo.u32 %r0, %t, 16, %r0;
  setp.lt.u32 %p0, %t, %n;
  selp.u32 %r1, 16, 0, %p0;
  cp.async.cg.shared.global [%r0], [%rd0], 16, %r1;
  cp.async.wait_all;)"));
  Counts c = lanes.run(1, 32, 32);
  CHECK(c["global_read_sectors"] == 16 && c["global_read_bytes"] == 512 && c["async_copy_instructions"] == 2);
  CHECK(c["shared_wavefronts"] == 4 && c["shared_bank_conflicts"] == 0);
  c = lanes.run(1, 32, 4);
  CHECK(c["global_read_sectors"] == 2 && c["global_read_bytes"] == 64 && c["global_read_requests"] == 1);
  CHECK(lanes.run(1, 32, 0)["global_read_requests"] == 0);

  // One thread has 512 bytes copied, of two blocks each.
  Counted bulk(module_of(R"(
  .shared .align 128 .b8 words[512];
  .shared .align 8 .b8 bar[8];
  setp.ne.u32 %p0, %t, 0;
  @%p0 bra $end;
  mov.u32 %r0, words;
  mov.u32 %r1, bar;
  mbarrier.init.shared.b64 [%r1], 1;
  fence.mbarrier_init.release.cluster;
  mbarrier.arrive.expect_tx.shared.b64 %rd0, [%r1], 512;
  cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r0], [%a], 512, [%r1];
$wait:
  mbarrier.try_wait.parity.shared.b64 %p1, [%r1], 0;
  @!%p1 bra $wait;
  fence.proxy.async;
  cp.async.bulk.global.shared::cta.bulk_group [%b], [%r0], 256;
  cp.async.bulk.commit_group;
  cp.async.bulk.wait_group 0;
$end:)"));
  c = bulk.run(2, 32);
  CHECK(c["global_read_sectors"] == 32 && c["global_read_bytes"] == 512 && c["global_read_requests"] == 0);
  CHECK(c["global_write_sectors"] == 16 && c["global_write_bytes"] == 256);
  CHECK(c["global_read_bulk_copies"] == 2 && c["global_read_bulk_sectors"] == 32);
  CHECK(c["async_shared_bytes"] == 2 * (512 + 256) && c["shared_wavefronts"] == 0);
  // The wait counts once, when the copy is done. The other lanes have returned by then: two returns.
  CHECK(c["instructions"] == 2 * (kAround + 14 + 1) && c["divergent_branches"] == 2);
  // The predicate takes 4 clocks, the copy 200: what waits for it starts then.
  CHECK(c["longest_chain_clocks"] == 204 && c["chain_clocks"] == 2 * 204);
}

TEST_GROUP(ptx_counters_work) {
  // Threads below 32 meet twice at barrier 1, all of a block once at barrier 0.
  Counted barriers(module_of(R"(
  bar.sync 0;
  setp.ge.u32 %p0, %t, 32;
  @%p0 bra $high;
  bar.sync 1, 32;
  bar.sync 1, 32;
$high:)"));
  Counts c = barriers.run(5, 64);
  CHECK(c["barriers"] == 5 * 3 && c["divergent_branches"] == 0);
  CHECK(c["instructions"] == 5 * (2 * (kAround + 3) + 2));
  Counted votes(module_of("  setp.eq.u32 %p0, %t, 0;\n  barrier.red.popc.aligned.u32 %r0, 0, %p0;"));
  c = votes.run(2, 64);
  CHECK(c["barriers"] == 2 && c["instructions"] == 4 * (kAround + 2) && c["barrier_instructions"] == 4);

  // Lanes below n take another way, and all meet again: the meeting counts once.
  Counted branches(module_of(R"(
  setp.lt.u32 %p0, %t, %n;
  @%p0 bra $low;
  add.u32 %r0, %t, 1;
  bra $meet;
$low:
  add.u32 %r0, %t, 2;
$meet:
  bar.warp.sync -1;)"));
  CHECK(branches.run(1, 32, 0)["divergent_branches"] == 0);
  CHECK(branches.run(1, 32, 32)["divergent_branches"] == 0);
  c = branches.run(1, 64, 16);
  CHECK(c["divergent_branches"] == 1);
  CHECK(c["instructions"] == 2 * (kAround + 3) + 2 + 1 + 2 && c["barrier_instructions"] == 2);

  // Operations of lanes: two of an fma, one of a product or a sum; of a matrix product 2 x 16 x 8 x 16.
  Counted sums(module_of(R"(
  mov.f32 %f0, 0f3F800000;
  setp.lt.u32 %p0, %t, %n;
  @%p0 fma.rn.f32 %f1, %f0, %f0, %f0;
  mul.f32 %f2, %f0, %f0;
  ex2.approx.f32 %f3, %f0;
  cvt.f64.f32 %fd0, %f0;
  fma.rn.f64 %fd1, %fd0, %fd0, %fd0;)"));
  c = sums.run(1, 32, 8);
  CHECK(c["float_operations"] == 8 * 2 + 32 && c["double_operations"] == 64);
  CHECK(c["float_instructions"] == 2 && c["double_instructions"] == 1);
  CHECK(c["special_instructions"] == 1 && c["conversion_instructions"] == 1);
  Counted product(module_of(R"(
  mov.b32 %r0, 0;
  mov.f32 %f0, 0f00000000;
  mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1, %f2, %f3, %f4}, {%r0, %r0, %r0, %r0}, {%r0, %r0},
    {%f0, %f0, %f0, %f0};)"));
  c = product.run(1, 64);
  CHECK(c["mma_operations"] == 2 * 4096 && c["mma_instructions"] == 2);
}

TEST_GROUP(ptx_counters_launches) {
  // Every launch has its report, until counting begins anew.
  Counted k(module_of(""));
  k.run(1, 32);
  CHECK(k.run(1, 64)["instructions"] == 2 * kAround);
  std::vector<char> text(1 << 16);
  CHECK(spectralCpuCounters(text.data(), text.size()) < int(text.size()));
  const std::string report(text.data());
  CHECK(report.starts_with("kernel k\nblocks 1\nthreads 64\n"));
  CHECK(report.find("kernel", 1) == std::string::npos);
}

TEST_GROUP(ptx_counters_chains) {
  // Ten sums of 4 clocks each depend on one another; ten others beside them do not.
  auto repeated = [](const std::string& text) {
    std::string all = "  mov.f32 %f0, 0f3F800000;\n";
    for (int i = 0; i < 10; ++i)
      all += text;
    return all;
  };
  const std::string dependent = "  add.f32 %f0, %f0, %f0;\n";
  CHECK(Counted(module_of(repeated(dependent))).run(1, 32)["longest_chain_clocks"] == 40);
  CHECK(Counted(module_of(repeated(dependent + "  add.f32 %f1, %f2, %f3;\n"))).run(1, 32)["chain_clocks"] == 40);
  CHECK(Counted(module_of(repeated("  ex2.approx.f32 %f0, %f0;\n"))).run(3, 64)["chain_clocks"] == 3 * 140);
  CHECK(Counted(module_of(repeated("  add.f64 %fd0, %fd0, %fd0;\n"))).run(1, 32)["chain_clocks"] == 80);
  // A guard delays what it guards. Without lanes there is nothing to wait for.
  Counted guarded(module_of(repeated(dependent) + R"(
  setp.gt.f32 %p0, %f0, 0f00000000;
  setp.lt.and.u32 %p0, %t, %n, %p0;
  @%p0 add.f32 %f1, %f2, %f3;)"));
  CHECK(guarded.run(1, 32, 1)["chain_clocks"] == 40 + 4 + 4 + 4);
  CHECK(guarded.run(1, 32, 0)["chain_clocks"] == 40 + 4 + 4);
  // An address of 4 clocks, two loads one after the other, each in L2, and a sum.
  Counted loads(module_of(R"(
  ld.global.u32 %r0, [%at];
  mad.wide.u32 %rd0, %r0, 4, %a;
  ld.global.u32 %r1, [%rd0];
  add.u32 %r1, %r1, 1;
  st.global.u32 [%bt], %r1;)"));
  CHECK(loads.run(1, 32)["longest_chain_clocks"] == 4 + 200 + 4 + 200 + 4);
  // Each round of a loop waits for its condition: an addition and a comparison.
  Counted loop(module_of(R"(
  mov.u32 %r0, 0;
$again:
  add.u32 %r0, %r0, 1;
  setp.lt.u32 %p0, %r0, %n;
  @%p0 bra $again;)"));
  CHECK(loop.run(1, 32, 7)["longest_chain_clocks"] == 7 * (4 + 4));

  // Warp 0 takes long before the barrier, for which all wait: 4 for the branch, 40 for the sums; then a load of 23.
  const std::string late = R"(
  .shared .align 4 .b8 word[4];
  setp.ge.u32 %p0, %t, 32;
  @%p0 bra $others;
)" + repeated(dependent) + R"(
  st.shared.f32 [word], %f0;
$others:
)";
  CHECK(Counted(module_of(late + "  ld.shared.f32 %f1, [word];")).run(1, 32)["longest_chain_clocks"] == 44);
  CHECK(Counted(module_of(late + "  bar.sync 0;\n  ld.shared.f32 %f1, [word];")).run(1, 96)["chain_clocks"] == 67);
  // One that only arrives does not wait for the others; those that sync wait for it.
  Counted arrives(module_of(late + R"(
  @%p0 bra $sync;
  bar.arrive 1, 64;
  bra $end;
$sync:
  bar.sync 1, 64;
  add.u32 %r0, %t, 1;
$end:)"));
  CHECK(arrives.run(1, 64)["longest_chain_clocks"] == 44 + 4);

  // Copies of lanes are there 200 clocks after their address is.
  Counted copies(module_of(R"(
  .shared .align 16 .b8 words[512];
  mad.wide.u32 %rd0, %t, 16, %a;
  mov.u32 %r0, words;
  mad.lo.u32 %r0, %t, 16, %r0;
  cp.async.cg.shared.global [%r0], [%rd0], 16;
  cp.async.commit_group;
  cp.async.wait_group 0;
  ld.shared.u32 %r1, [%r0];)"));
  CHECK(copies.run(1, 32)["longest_chain_clocks"] == 4 + 200 + 23);
}

namespace {
// Block b reads or writes 16 KiB, the chunk b mod n of a: a wave of blocks takes them in one slice of their
// instructions.
std::string chunks(const char* access) {
  return module_of(std::string(R"(
  mov.u32 %r0, %ctaid.x;
  rem.u32 %r0, %r0, %n;
  mad.lo.u32 %r0, %r0, 1024, %t;
  mad.wide.u32 %rd0, %r0, 16, %a;
)") + access);
}
constexpr unsigned kChunks = 256;
constexpr unsigned kThreads = 1024;
constexpr long kChunk = 16 << 10;
constexpr long kMebibyte = 1 << 20;
}   // namespace

TEST_GROUP(ptx_counters_reuse) {
  Buffer<uint32_t> a(std::vector<uint32_t>(kChunks * kChunk / 4, 0));
  Counted loads(chunks("  ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd0];"));
  loads.use(a);
  // Each chunk once: nothing is used again.
  Counts c = loads.run(kChunks, kThreads, kChunks);
  CHECK(c["buffer"] == 0 && c["read_bytes"] == kChunks * kChunk && !c.count("distance_mib"));
  // Twice: all others lie between, but those of its own wave. Of one multiprocessor that is two blocks.
  c = loads.run(2 * kChunks, kThreads, kChunks);
  CHECK(c["distance_mib"] == (kChunks - 2) * kChunk / kMebibyte && c["distance_mib"] == 3);
  CHECK(c["read_bytes"] == kChunks * kChunk && c["read_again_bytes"] == kChunks * kChunk);
  CHECK(c["written_again_bytes"] == 0 && c["written_bytes"] == 0);
  // A quarter of them: less than a MiB. One multiprocessor more in a wave, and what it reads is read once.
  c = loads.run(kChunks / 2, kThreads, kChunks / 4);
  CHECK(c["distance_mib"] == 0 && c["read_again_bytes"] == kChunks / 4 * kChunk);
  CHECK(!loads.run(4, kThreads, 2, 0, 2).count("distance_mib"));
  CHECK(loads.run(4, kThreads, 2, 0, 1)["read_again_bytes"] == 2 * kChunk);

  Counted stores(chunks("  st.global.v4.u32 [%rd0], {%r0, %r0, %r0, %r0};"));
  stores.use(a);
  c = stores.run(2 * kChunks, kThreads, kChunks);
  CHECK(c["distance_mib"] == 3 && c["written_again_bytes"] == kChunks * kChunk && c["read_again_bytes"] == 0);
  // Read back in the instruction after: no other use between, in the same slice.
  Counted both(chunks("  st.global.v4.u32 [%rd0], {%r0, %r0, %r0, %r0};\n  ld.global.u32 %r1, [%rd0];"));
  both.use(a);
  CHECK(!both.run(kChunks, kThreads, kChunks).count("distance_mib"));
}
