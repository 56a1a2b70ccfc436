// What a GPU may do in any order, and the shuffled schedules do: lanes of a warp part, cp.async writes at any moment
// between its issue and its wait, and arrivals that are left to copies come at any moment after them. What relies on
// one order shows in some schedule; what does not is right in all.
#include "ptx.h"
#include <algorithm>
#include <numeric>

namespace {
constexpr long kSchedules = 12;
constexpr unsigned kThreads = 256;

// In how many schedules some thread's result is not `wanted`. Thread k stores %ld at words[k].
int wrong_schedules(
    const std::string& body, const std::function<uint64_t(unsigned)>& wanted, unsigned threads = kThreads) {
  const std::string store = "\nmul.wide.u32 %lz, %x, 8;\nadd.u64 %lz, %lz, %out;\nst.global.u64 [%lz], %ld;";
  std::vector<uint64_t> words(std::max(threads, 128u));
  std::iota(words.begin(), words.end(), 0);
  int wrong = 0;
  spectralCpuSetOption("poison", 1);   // shared memory does not hold what the launch before left there
  for (long seed = 1; seed <= kSchedules; ++seed) {
    spectralCpuSetOption("seed", seed);
    const auto got = run_ptx(body + store, words, threads, 1, ".shared .align 16 .b8 s[4096];\n");
    for (unsigned k = 0; k < threads; ++k)
      if (got.empty() || got[k] != wanted(k)) {
        ++wrong;
        break;
      }
  }
  spectralCpuSetOption("poison", 0);
  spectralCpuSetOption("seed", 0);
  return wrong;
}
void check_always(
    const std::string& body, const std::function<uint64_t(unsigned)>& wanted, unsigned threads = kThreads) {
  const int wrong = wrong_schedules(body, wanted, threads);
  check(!wrong, body + ": wrong in schedules: " + std::to_string(wrong));
}
// Right in some order that a GPU may choose, but not in all.
void check_sometimes(
    const std::string& body, const std::function<uint64_t(unsigned)>& wanted, unsigned threads = kThreads) {
  const int wrong = wrong_schedules(body, wanted, threads);
  check(wrong > 0 && wrong < kSchedules, body + ": wrong in schedules: " + std::to_string(wrong));
}

// PTX ISA, "Independent Thread Scheduling", "bar.warp.sync". Each lane writes a word and reads that of its neighbour.
void lanes() {
  const std::string write = "mov.u32 %a, s;\nmad.lo.u32 %b, %x, 4, %a;\nst.shared.u32 [%b], %x;\n";
  const std::string read = "xor.b32 %c, %x, 1;\nmad.lo.u32 %c, %c, 4, %a;\nld.shared.u32 %ld, [%c];";
  const auto neighbour = [](unsigned k) { return uint64_t(k ^ 1); };
  check_always(write + "bar.warp.sync -1;\n" + read, neighbour);
  check_sometimes(write + read, neighbour);
  // before the first instruction of a turn, and behind ones that a warp takes together
  for (const char* together :
       {"bar.warp.sync -1;\n",
        "shfl.sync.idx.b32 %d, %x, 0, 31, -1;\n",
        "vote.sync.ballot.b32 %d, %p, -1;\n",
        "barrier.sync 0;\n"}) {
    check_always("setp.ne.u32 %p, %x, 0;\n" + std::string(together) + write + "bar.warp.sync -1;\n" + read, neighbour);
    check_sometimes("setp.ne.u32 %p, %x, 0;\n" + std::string(together) + write + read, neighbour);
  }
  // a shuffle makes lanes meet, whatever came before
  check_always(
      "add.u32 %a, %x, 100;\nshfl.sync.bfly.b32 %b, %a, 3, 31, -1;\nvote.sync.ballot.b32 %c, %p, -1;\n"
      "redux.sync.max.u32 %d, %b, -1;\ncvt.u64.u32 %ld, %d;",
      [](unsigned k) { return uint64_t(k / 32 * 32 + 131); });
  // tiles of eight lanes wait for their own alone
  check_always(
      "and.b32 %c, %x, 24;\nmov.u32 %d, 255;\nshl.b32 %d, %d, %c;\n" + write + "bar.warp.sync %d;\n" + read, neighbour);
}

// "cp.async": a thread sees what it copied behind the wait. Each thread copies two words over others, the first of
// which holds 77, and reads that.
void copies() {
  const std::string start =
      "mov.u32 %a, s;\nmad.lo.u32 %a, %x, 16, %a;\nst.shared.u64 [%a], 77;\nmul.wide.u32 %la, %x, 16;\n"
      "and.b64 %la, %la, 1023;\nadd.u64 %la, %la, %out;\ncp.async.cg.shared.global [%a], [%la], 16;\n";
  const std::string read = "ld.shared.u64 %ld, [%a];\n";
  const std::string commit = "cp.async.commit_group;\n";
  const auto old = [](unsigned) { return uint64_t(77); };
  const auto copied = [](unsigned k) { return uint64_t(k % 64 * 2); };
  const std::string last = "cp.async.wait_all;\nbar.sync 0;";
  check_always(start + commit + "cp.async.wait_group 0;\n" + read + last, copied);
  check_always(start + "cp.async.wait_all;\n" + read + last, copied);
  // Not even before the group is complete does memory keep what it held.
  for (const std::string& between : {std::string(), commit, commit + commit + "cp.async.wait_group 2;\n"}) {
    check_sometimes(start + between + read + last, copied, 32);
    check_sometimes(start + between + read + last, old, 32);
  }
}

// "cp.async.mbarrier.arrive": the arrival comes after the copies, at any later moment, also where a wait for the copies
// is over. So memory may hold what it held before until the phase is complete.
void arrivals() {
  const std::string start =
      "mov.u32 %a, s;\nmad.lo.u32 %a, %x, 16, %a;\nmov.u32 %b, s;\nadd.u32 %b, %b, 4088;\nsetp.ne.u32 %p, %x, 0;\n"
      "mov.u32 %c, %ntid.x;\n@!%p mbarrier.init.shared.b64 [%b], %c;\nst.shared.u64 [%a], 77;\nbar.sync 0;\n"
      "mul.wide.u32 %la, %x, 16;\nand.b64 %la, %la, 511;\nadd.u64 %la, %la, %out;\n"
      "cp.async.cg.shared.global [%a], [%la], 16;\ncp.async.mbarrier.arrive.noinc.shared.b64 [%b];\n";
  const std::string wait = "$W:\nmbarrier.try_wait.parity.shared.b64 %q, [%b], 0;\n@!%q bra $W;\n";
  const std::string test = "mbarrier.test_wait.parity.shared.b64 %q, [%b], 0;\n";
  const std::string read = "ld.shared.u64 %ld, [%a];\n";
  const std::string last = "cp.async.wait_all;\nbar.sync 0;";
  const std::string value = "selp.u64 %ld, 1, 0, %q;\n";
  const auto copied = [](unsigned k) { return uint64_t(k % 32 * 2); };
  const auto same = [](uint64_t v) { return [=](unsigned) { return v; }; };
  check_always(start + wait + read + last, copied, 128);
  check_sometimes(start + read + last, copied, 32);
  check_sometimes(start + read + last, same(77), 32);
  // it begins no group of its own
  check_sometimes(start + "cp.async.commit_group;\ncp.async.wait_group 1;\n" + read + last, same(77), 32);
  for (const std::string& between : {std::string(), std::string("cp.async.wait_all;\n")}) {
    check_sometimes(start + between + test + value + last, same(0), 32);
    check_sometimes(start + between + test + value + last, same(1), 32);
  }
}

// Lanes that wait for one another through memory: all go on in the end, each after a turn that is used up.
void patience() {
  spectralCpuSetOption("seed", 0);
  const std::string slow =
      "mov.u64 %ld, 1;\nsetp.eq.u32 %p, %x, 31;\n@%p bra $L;\n$W:\nld.volatile.shared.u32 %d, [s];\n"
      "setp.ne.u32 %q, %d, 77;\n@%q bra $W;\nbra $E;\n"
      "$L:\nmov.u32 %a, 0;\n$C:\nadd.u32 %a, %a, 1;\nsetp.lt.u32 %q, %a, 20000;\n@%q bra $C;\n"
      "st.volatile.shared.u32 [s], 77;\n$E:\n";
  const std::string start = "st.shared.u32 [s], 0;\nbar.sync 0;\n";
  const auto out = run_ptx(
      start + slow + "mul.wide.u32 %lz, %x, 8;\nadd.u64 %lz, %lz, %out;\nst.global.u64 [%lz], %ld;",
      std::vector<uint64_t>(32),
      32,
      1,
      ".shared .u32 s;\n");
  CHECK(std::count(out.begin(), out.end(), 1) == 32);
  check_always(
      start + slow, [](unsigned) { return uint64_t(1); }, 32);
}

// Half a warp waits for an mbarrier that the other half completes. Warps that use up their turns outlive it.
void halves() {
  check_always(
      "mov.u32 %a, s;\nshr.u32 %b, %x, 5;\nmad.lo.u32 %a, %b, 8, %a;\nand.b32 %b, %x, 31;\nsetp.ne.u32 %p, %b, 0;\n"
      "@!%p mbarrier.init.shared.b64 [%a], 16;\nbar.sync 0;\nsetp.lt.u32 %p, %b, 16;\n@!%p bra $A;\n$W:\n"
      "mbarrier.try_wait.parity.shared.b64 %q, [%a], 0;\n@!%q bra $W;\nmov.u64 %ld, 1;\nbra $E;\n$A:\n"
      "mbarrier.arrive.shared.b64 _, [%a];\nmov.u64 %ld, 2;\n$E:\nmov.u32 %c, 0;\n$C:\nadd.u32 %c, %c, 1;\n"
      "shr.u32 %d, %x, 5;\nmul.lo.u32 %d, %d, 3000;\nsetp.lt.u32 %q, %c, %d;\n@%q bra $C;",
      [](unsigned k) { return k % 32 < 16 ? uint64_t(1) : 2; });
}
}   // namespace

TEST_GROUP(ptx_schedules) {
  halves();
  lanes();
  copies();
  arrivals();
  patience();
}
