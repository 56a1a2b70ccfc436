// mbarrier and cp.async against the PTX ISA ("Parallel Synchronization and Communication Instructions: mbarrier",
// "Data Movement and Conversion Instructions: Asynchronous copy").
#include "ptx_fragments.h"

namespace {
// ---- phases
// One thread takes the steps; behind each, `phases` has how many phases are complete by then. Read back by parity:
// test_wait.parity of 0 holds when the current phase is odd, of 1 when it is even.
struct Course {
  const char* name;
  std::vector<std::pair<std::string, int>> steps;
};
void check_phases(const Course& course) {
  std::string body = "setp.ne.u32 %p, %x, 0;\n@%p bra $E;\n";
  std::vector<uint64_t> wanted;
  for (const auto& [step, phases] : course.steps) {
    const std::string at = std::to_string(8 * wanted.size());
    body += step +
            "\nmbarrier.test_wait.parity.shared::cta.b64 %p, [bar], 0;\n"
            "mbarrier.test_wait.parity.shared::cta.b64 %q, [bar], 1;\n"
            "selp.u64 %lx, 1, 0, %p;\nselp.u64 %ly, 2, 0, %q;\nadd.u64 %lx, %lx, %ly;\nst.global.u64 [%out+" +
            at + "], %lx;\n";
    wanted.push_back(phases % 2 ? 1 : 2);
  }
  const auto out = run_ptx(body + "$E:", std::vector<uint64_t>(wanted.size()), 32, 1, ".shared .b64 bar;\n");
  std::string text;
  for (size_t i = 0; i < out.size() && text.empty(); ++i)
    if (out[i] != wanted[i])
      text = ": wrong phase after '" + course.steps[i].first + "'";
  check(out.size() == wanted.size() && text.empty(), std::string("mbarrier, ") + course.name + text);
}
void phases() {
  const auto init = [](int n) { return "mbarrier.init.shared::cta.b64 [bar], " + std::to_string(n) + ";"; };
  const std::string arrive = "mbarrier.arrive.shared::cta.b64 %la, [bar];";
  const auto arrive_n = [](int n) { return "mbarrier.arrive.shared::cta.b64 _, [bar], " + std::to_string(n) + ";"; };
  const auto expect = [](int n) {
    return "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [bar], " + std::to_string(n) + ";";
  };
  const auto complete = [](int n) {
    return "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [bar], " + std::to_string(n) + ";";
  };
  const auto arrive_expect = [](int n) {
    return "mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [bar], " + std::to_string(n) + ";";
  };
  const Course kCourses[] = {
      // "Phase of the mbarrier object": pending arrivals are set anew when a phase completes
      {"arrivals", {{init(2), 0}, {arrive, 0}, {arrive, 1}, {arrive, 1}, {arrive, 2}, {arrive, 2}, {arrive, 3}}},
      {"arrivals of a count", {{init(5), 0}, {arrive_n(3), 0}, {arrive_n(2), 1}, {arrive_n(5), 2}, {arrive_n(4), 2}}},
      {"most arrivals", {{init(1048575), 0}, {arrive_n(1048574), 0}, {arrive, 1}}},
      // "Phase Completion": pending arrivals and transactions are both zero
      {"transactions", {{init(1), 0}, {expect(100), 0}, {arrive, 0}, {complete(60), 0}, {complete(40), 1}}},
      {"transactions before the arrival", {{init(1), 0}, {expect(100), 0}, {complete(100), 0}, {arrive, 1}}},
      {"an arrival that expects", {{init(1), 0}, {arrive_expect(64), 0}, {complete(64), 1}, {arrive, 2}}},
      {"an arrival that expects nothing", {{init(1), 0}, {arrive_expect(0), 1}}},
      {"several expectations",
       {{init(2), 0}, {arrive_expect(32), 0}, {complete(32), 0}, {arrive_expect(16), 0}, {complete(16), 1}}},
      // "Contents of the mbarrier object": tx-count goes below zero when bytes come before they are expected
      {"bytes before they are expected",
       {{init(1), 0}, {complete(64), 0}, {complete(16), 0}, {arrive_expect(80), 1}, {arrive, 2}}},
      {"bytes that nobody expects", {{init(1), 0}, {complete(16), 0}, {arrive, 0}}},
      {"bytes before they are expected, two arrivals",
       {{init(2), 0}, {complete(16), 0}, {arrive, 0}, {expect(16), 0}, {arrive, 1}}},
      {"most transactions",
       {{init(1), 0},
        {expect(1048575), 0},
        {complete(1048575), 0},
        {complete(1048575), 0},
        {arrive_expect(1048575), 1}}},
      // "mbarrier.arrive_drop": the phases behind this one expect fewer arrivals
      {"arrivals that drop out",
       {{init(3), 0},
        {"mbarrier.arrive_drop.shared::cta.b64 %la, [bar];", 0},
        {arrive, 0},
        {arrive, 1},
        {arrive, 1},
        {arrive, 2},
        {"mbarrier.arrive_drop.shared::cta.b64 _, [bar], 1;", 2},
        {arrive, 3},
        {arrive, 4}}},
      {"arrivals that do not complete",
       {{init(4), 0}, {"mbarrier.arrive.noComplete.shared.b64 %la, [bar], 3;", 0}, {arrive, 1}, {arrive_n(4), 2}}},
      {"drops that do not complete",
       {{init(4), 0}, {"mbarrier.arrive_drop.noComplete.shared.b64 %la, [bar], 3;", 0}, {arrive, 1}, {arrive, 2}}},
      {"a new start",
       {{init(1), 0}, {arrive, 1}, {"mbarrier.inval.shared::cta.b64 [bar];\n" + init(2), 0}, {arrive, 0}, {arrive, 1}}},
      {"addresses that are generic",
       {{"mov.u64 %lb, bar;\ncvta.shared.u64 %lb, %lb;\nmbarrier.init.b64 [%lb], 2;", 0},
        {"mbarrier.arrive.b64 %la, [%lb];", 0},
        {"mbarrier.arrive.b64 %la, [%lb];", 1}}}};
  for (const Course& course : kCourses)
    check_phases(course);
}

// "mbarrier.test_wait": by the state that an arrival returned, for the current phase and the one just before it.
// "mbarrier.pending_count": of the state that arrive.noComplete returned; the arrivals pending before it.
void states() {
  const auto out = run_ptx(
      "setp.ne.u32 %p, %x, 0;\n@%p bra $E;\nmbarrier.init.shared.b64 [bar], 6;\n"
      "mbarrier.arrive.noComplete.shared.b64 %la, [bar], 2;\nmbarrier.arrive.shared.b64 %lb, [bar];\n"
      "mbarrier.test_wait.shared.b64 %p, [bar], %la;\nmbarrier.test_wait.shared.b64 %q, [bar], %lb;\n"
      "selp.u64 %lx, 1, 0, %p;\nselp.u64 %ly, 2, 0, %q;\nadd.u64 %lx, %lx, %ly;\nst.global.u64 [%out], %lx;\n"
      "mbarrier.arrive.shared.b64 %lc, [bar], 3;\nmbarrier.arrive.shared.b64 %ld, [bar];\n"
      "mbarrier.test_wait.shared.b64 %p, [bar], %la;\nmbarrier.test_wait.shared.b64 %q, [bar], %lc;\n"
      "mbarrier.test_wait.shared.b64 %r, [bar], %ld;\nselp.u64 %lx, 1, 0, %p;\nselp.u64 %ly, 2, 0, %q;\n"
      "add.u64 %lx, %lx, %ly;\nselp.u64 %ly, 4, 0, %r;\nadd.u64 %lx, %lx, %ly;\nst.global.u64 [%out+8], %lx;\n"
      "mbarrier.try_wait.shared.b64 %p, [bar], %lb, 1000;\nselp.u64 %lx, 1, 0, %p;\nst.global.u64 [%out+16], %lx;\n"
      "mbarrier.pending_count.b64 %a, %la;\ncvt.u64.u32 %lx, %a;\nst.global.u64 [%out+24], %lx;\n"
      "mbarrier.arrive_drop.noComplete.shared.b64 %la, [bar], 2;\nmbarrier.pending_count.b64 %a, %la;\n"
      "cvt.u64.u32 %lx, %a;\nst.global.u64 [%out+32], %lx;\n$E:",
      std::vector<uint64_t>(5),
      32,
      1,
      ".shared .b64 bar;\n");
  CHECK(out == (std::vector<uint64_t>{0, 3, 1, 6, 5}));
}

// Threads that wait see what was written before the arrivals, phase after phase: a buffer that goes round.
void rounds() {
  const auto out = run_ptx(
      "setp.eq.u32 %p, %x, 0;\n@%p mbarrier.init.shared.b64 [full], 32;\n@%p mbarrier.init.shared.b64 [empty], 32;\n"
      "bar.sync 0;\nmov.u32 %a, 0;\nmov.u32 %b, s;\nmov.u32 %h, 0;\nsetp.ge.u32 %q, %x, 32;\n$L:\nand.b32 %c, %a, 1;\n"
      "@%q bra $C;\n"
      // threads 0-31 write; round 0 finds the buffer empty, which is the parity of the phase before the first
      "xor.b32 %d, %c, 1;\n$W:\nmbarrier.try_wait.parity.shared.b64 %r, [empty], %d;\n@!%r bra $W;\n"
      "mad.lo.u32 %e, %a, 100, %x;\nmad.lo.u32 %f, %x, 4, %b;\nst.shared.u32 [%f], %e;\n"
      "mbarrier.arrive.shared.b64 _, [full];\nbra $N;\n$C:\n"
      // threads 32-63 read what their mirror image wrote
      "mbarrier.try_wait.parity.shared.b64 %r, [full], %c;\n@!%r bra $C;\nsub.u32 %f, 63, %x;\n"
      "mad.lo.u32 %f, %f, 4, %b;\nld.shared.u32 %e, [%f];\nadd.u32 %h, %h, %e;\n"
      "mbarrier.arrive.shared.b64 _, [empty];\n$N:\nadd.u32 %a, %a, 1;\nsetp.lt.u32 %r, %a, 9;\n@%r bra $L;\n"
      "mul.wide.u32 %la, %x, 8;\nadd.u64 %la, %la, %out;\n"
      "cvt.u64.u32 %lx, %h;\nst.global.u64 [%la], %lx;",
      std::vector<uint64_t>(64),
      64,
      1,
      ".shared .b64 full;\n.shared .b64 empty;\n.shared .b32 s[32];\n");
  int wrong = out.empty();
  for (unsigned k = 32; k < 64 && !out.empty(); ++k)
    wrong += out[k] != 3600 + 9 * (63 - k);
  CHECK(!wrong);
}

// ---- cp.async
constexpr int kLanes = 32;
constexpr int kBytes = 16 * kLanes;
// Each lane copies with `code` from its 16 bytes of %out, [%la], to its 16 bytes of shared memory, [%a], which hold
// 0xcd; what shared memory holds then.
std::vector<uint8_t> copied(const std::string& code) {
  std::vector<uint64_t> words(2 * kBytes / 8);
  for (int i = 0; i < kBytes; ++i)
    words[size_t(i / 8)] |= uint64_t(i * 7 % 251 + 1) << (i % 8 * 8);
  const auto out = run_ptx(
      "mov.u32 %a, s;\nmul.lo.u32 %b, %x, 16;\nadd.u32 %a, %a, %b;\ncvt.u64.u32 %la, %b;\nadd.u64 %la, %la, %out;\n"
      "mov.u32 %c, 0xcdcdcdcd;\nst.shared.v4.u32 [%a], {%c, %c, %c, %c};\nsetp.eq.u32 %p, %x, 0;\n"
      "setp.lt.u32 %q, %x, 20;\nmbarrier.init.shared.b64 [bar], 32;\nbar.sync 0;\n" +
          code +
          "\nbar.sync 0;\nld.shared.v4.u32 {%c, %d, %e, %f}, [%a];\n"
          "st.global.v4.u32 [%la+512], {%c, %d, %e, %f};",
      words,
      kLanes,
      1,
      ".shared .align 16 .b8 s[512];\n.shared .b64 bar;\n");
  std::vector<uint8_t> bytes(out.empty() ? 0 : kBytes);
  if (!out.empty())
    std::memcpy(bytes.data(), out.data() + kBytes / 8, kBytes);
  return bytes;
}
constexpr int kUntouched = -1;
constexpr int kZero = 16;
// `from` gives for each lane and byte which byte of that lane's source it holds, kUntouched or kZero.
void check_copied(const std::string& code, const std::function<int(int lane, int byte)>& from) {
  const auto bytes = copied(code);
  int wrong = bytes.empty();
  for (int i = 0; i < kBytes && !bytes.empty(); ++i) {
    const int byte = from(i / 16, i % 16);
    const int zero_or_source = byte == kZero ? 0 : ((i & ~15) + byte) * 7 % 251 + 1;
    wrong += bytes[size_t(i)] != (byte == kUntouched ? 0xcd : zero_or_source);
  }
  check(!wrong, code + ": " + std::to_string(wrong) + " bytes wrong");
}
// Of a copy of `size` bytes of which `source` are read.
int byte_of_copy(int byte, int source, int size) {
  if (byte >= size)
    return kUntouched;
  return byte < source ? byte : kZero;
}
void lane_copies() {
  const std::string wait = "\ncp.async.commit_group;\ncp.async.wait_group 0;";
  for (int size : {4, 8, 16})
    for (const std::string cache : {"ca", "cg"}) {
      if (cache == "cg" && size < 16)
        continue;   // "cp.async": .cg copies 16 bytes
      const std::string copy = "cp.async." + cache + ".shared.global [%a], [%la], " + std::to_string(size);
      check_copied(copy + ";" + wait, [=](int, int byte) { return byte < size ? byte : kUntouched; });
      // src-size: what is not read is zero
      for (int source : {0, 1, 3, size - 1, size})
        check_copied(copy + ", " + std::to_string(source) + ";" + wait, [=](int, int byte) {
          return byte_of_copy(byte, source, size);
        });
      check_copied("and.b32 %d, %x, 3;\n" + copy + ", %d;" + wait, [=](int lane, int byte) {
        return byte_of_copy(byte, lane % 4, size);
      });
      // ignore-src: zeros in lanes whose predicate holds
      check_copied(
          copy + ", %q;" + wait, [=](int lane, int byte) { return byte_of_copy(byte, lane < 20 ? 0 : size, size); });
      check_copied(
          "@%q " + copy + ";" + wait, [=](int lane, int byte) { return byte < size && lane < 20 ? byte : kUntouched; });
    }
  const std::string first = "cp.async.ca.shared.global [%a], [%la], 4;\n";
  const std::string second = "cp.async.ca.shared::cta.global.L2::128B [%a+8], [%la+8], 8;\n";
  const auto both = [](int, int byte) { return byte < 4 || byte >= 8 ? byte : kUntouched; };
  check_copied(first + second + "cp.async.wait_all;", both);
  check_copied(first + "cp.async.commit_group;\n" + second + "cp.async.commit_group;\ncp.async.wait_group 0;", both);
  // all groups but the latest are complete: what the first wrote is read and written elsewhere before the second is
  check_copied(
      first + "cp.async.commit_group;\n" + second +
          "cp.async.commit_group;\ncp.async.wait_group 1;\nld.shared.u32 %d, [%a];\nst.shared.u32 [%a+4], %d;\n"
          "cp.async.wait_group 0;",
      [](int, int byte) { return byte < 8 ? byte % 4 : byte; });
  check_copied(   // an empty group is a group
      first + "cp.async.commit_group;\ncp.async.commit_group;\ncp.async.wait_group 1;\nld.shared.u32 %d, [%a];\n" +
          "st.shared.u32 [%a+4], %d;",
      [](int, int byte) { return byte < 8 ? byte % 4 : kUntouched; });
  // "cp.async.mbarrier.arrive": with .noinc the arrival is one of the 32 expected; without, it changes nothing in sum
  const std::string wait_phase =
      "$W:\nmbarrier.try_wait.parity.shared.b64 %r, [bar], 0;\n@!%r bra $W;\nld.shared.u32 %d, [%a];\n"
      "st.shared.u32 [%a+4], %d;";
  const auto twice = [](int, int byte) { return byte < 8 ? byte % 4 : kUntouched; };
  check_copied(first + "cp.async.mbarrier.arrive.noinc.shared.b64 [bar];\n" + wait_phase, twice);
  check_copied(
      first + "cp.async.mbarrier.arrive.shared::cta.b64 [bar];\nmbarrier.arrive.shared.b64 _, [bar];\n" + wait_phase,
      twice);
  check_copied(   // the phase stays open
      first +
          "cp.async.mbarrier.arrive.shared.b64 [bar];\ncp.async.wait_all;\nbar.sync 0;\n"
          "mbarrier.test_wait.parity.shared.b64 %r, [bar], 0;\n@!%r st.shared.u32 [%a+12], 0;",
      [](int, int byte) { return byte < 12 ? byte_of_copy(byte, 4, 4) : kZero; });
}
}   // namespace

TEST_GROUP(ptx_mbarriers) {
  phases();
  states();
  rounds();
  lane_copies();
}
