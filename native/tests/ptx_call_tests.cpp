// Calls in PTX: recursive, by address, guarded, through a table of labels; the stack; printf and assert.
#include "capture_output.h"
#include "ptx.h"

namespace {
// The low 64 bits that each of 64 threads leaves in %ld.
void check_calls(
    const std::string& what, const std::string& functions, const std::string& body,
    const std::function<uint64_t(uint64_t)>& expected) {
  const auto out = run_ptx(
      body + "\nmul.wide.u32 %lz, %x, 8;\nadd.u64 %lz, %lz, %out;\nst.global.u64 [%lz], %ld;",
      std::vector<uint64_t>(64),
      64,
      1,
      functions);
  uint64_t wrong = out.empty() ? 64 : 0;
  for (uint64_t k = 0; k < out.size(); ++k)
    wrong += out[k] != expected(k);
  check(wrong == 0, what + ": " + std::to_string(wrong) + " of 64 threads are wrong");
}

void recursion() {
  // Each level keeps a register, a predicate and a word of local memory of its own.
  const std::string fibonacci =
      ".func (.param .b32 r) fib(.param .b32 n)\n{\n.reg .b32 %r<6>;\n.reg .pred %p;\n.local .b32 own;\n"
      ".param .b32 in, back;\nld.param.b32 %r0, [n];\nst.local.b32 [own], %r0;\nsetp.lt.u32 %p, %r0, 2;\n"
      "@%p bra $small;\nsub.u32 %r1, %r0, 1;\nst.param.b32 [in], %r1;\ncall (back), fib, (in);\n"
      "ld.param.b32 %r2, [back];\nsub.u32 %r1, %r0, 2;\nst.param.b32 [in], %r1;\ncall (back), fib, (in);\n"
      "ld.param.b32 %r3, [back];\nadd.u32 %r2, %r2, %r3;\nld.local.b32 %r4, [own];\nsetp.ne.u32 %p, %r4, %r0;\n"
      "@%p mov.u32 %r2, 0;\nst.param.b32 [r], %r2;\nret;\n$small:\nst.param.b32 [r], %r0;\nret;\n}\n";
  auto fib = [](uint64_t n) {
    uint64_t a = 0;
    for (uint64_t b = 1; n > 0; --n) {
      b += a;
      a = b - a;
    }
    return a;
  };
  check_calls(
      "each thread's own Fibonacci number",
      fibonacci,
      "rem.u32 %a, %x, 11;\n{ .param .b32 in, back; st.param.b32 [in], %a; call (back), fib, (in);\n"
      "ld.param.b32 %ld, [back]; }",
      [&](uint64_t k) { return fib(k % 11); });
  check_calls(
      "two functions that call each other",
      ".func (.param .b32 r) odd(.param .b32 n);\n"
      ".func (.param .b32 r) even(.param .b32 n)\n{\n.reg .b32 %r<3>;\n.reg .pred %p;\n.param .b32 in, back;\n"
      "ld.param.b32 %r0, [n];\nmov.u32 %r1, 1;\nsetp.eq.u32 %p, %r0, 0;\n@%p bra $end;\nsub.u32 %r0, %r0, 1;\n"
      "st.param.b32 [in], %r0;\ncall (back), odd, (in);\nld.param.b32 %r1, [back];\n$end:\nst.param.b32 [r], %r1;\n}\n"
      ".func (.param .b32 r) odd(.param .b32 n)\n{\n.reg .b32 %r<3>;\n.reg .pred %p;\n.param .b32 in, back;\n"
      "ld.param.b32 %r0, [n];\nmov.u32 %r1, 0;\nsetp.eq.u32 %p, %r0, 0;\n@%p bra $end;\nsub.u32 %r0, %r0, 1;\n"
      "st.param.b32 [in], %r0;\ncall (back), even, (in);\nld.param.b32 %r1, [back];\n$end:\nst.param.b32 [r], %r1;\n"
      "}\n",
      "{ .param .b32 in, back; st.param.b32 [in], %x; call (back), even, (in); ld.param.b32 %ld, [back]; }",
      [](uint64_t k) { return k % 2 == 0; });
  const PtxModule endless(
      ptx_kernel("call f;", ".func f();\n.func g()\n{\n.local .b8 own[100];\ncall f;\n}\n.func f()\n{\ncall g;\n}\n"));
  Buffer<uint64_t> out(1);
  void* params[] = {&out.p};
  CHECK_STATUS(
      cuLaunchKernel(endless.get("k"), 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr), CUDA_ERROR_LAUNCH_FAILED);
  CHECK(std::strstr(spectralCpuLastError(), "stack"));
  spectralCpuSetOption("reset", 0);
}

void by_address() {
  const std::string two =
      ".func (.param .b32 r) twice(.param .b32 n)\n{\n.reg .b32 %r;\nld.param.b32 %r, [n];\nadd.u32 %r, %r, %r;\n"
      "st.param.b32 [r], %r;\nret;\n}\n"
      ".func (.param .b32 r) next(.param .b32 n)\n{\n.reg .b32 %r;\nld.param.b32 %r, [n];\nadd.u32 %r, %r, 1;\n"
      "st.param.b32 [r], %r;\nret;\n}\n"
      ".func other(.param .b64 n)\n{\nret;\n}\n.global .u64 table[3] = {twice, next, other};\n";
  const std::string call =
      "{ .param .b32 in, back;\nst.param.b32 [in], %x;\nproto: .callprototype (.param .b32 _) _ (.param .b32 _);\n"
      "call (back), %la, (in), proto;\nld.param.b32 %ld, [back]; }";
  check_calls(
      "a table of functions",
      two,
      "and.b32 %a, %x, 1;\nmul.wide.u32 %la, %a, 8;\nmov.u64 %lb, table;\nadd.u64 %la, %la, %lb;\n"
      "ld.global.u64 %la, [%la];\n" +
          call,
      [](uint64_t k) { return k % 2 ? k + 1 : 2 * k; });
  check_calls(
      "a function's address in a register", two, "mov.u64 %la, next;\n" + call, [](uint64_t k) { return k + 1; });
  auto fails = [&](const std::string& address, CUresult status, const char* says) {
    const PtxModule module(ptx_kernel(address + call, two));
    Buffer<uint64_t> out(1);
    void* params[] = {&out.p};
    CHECK_STATUS(cuLaunchKernel(module.get("k"), 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr), status);
    check(std::strstr(spectralCpuLastError(), says) != nullptr, spectralCpuLastError());
    spectralCpuSetOption("reset", 0);
  };
  fails("mov.u64 %la, 16;\n", CUDA_ERROR_ILLEGAL_ADDRESS, "0x10");
  fails("mov.u64 %la, other;\n", CUDA_ERROR_LAUNCH_FAILED, "'other'");
}

void ways() {
  check_calls(
      "a guarded call",
      ".func (.param .b32 r) seven()\n{\nst.param.b32 [r], 7;\nret;\n}\n",
      "{ .param .b32 back;\nst.param.b32 [back], 1;\nsetp.lt.u32 %p, %x, 20;\n@!%p call (back), seven;\n"
      "ld.param.b32 %ld, [back]; }",
      [](uint64_t k) { return k < 20 ? 1 : 7; });
  check_calls(
      "brx.idx",
      "",
      "rem.u32 %a, %x, 3;\nmov.u64 %ld, 5;\nways: .branchtargets $A, $B, $C;\nbrx.idx %a, ways;\n$A:\nmov.u64 %ld, 1;\n"
      "bra $E;\n$B:\nmov.u64 %ld, 2;\n$C:\nadd.u64 %ld, %ld, 10;\n$E:",
      [](uint64_t k) { return k % 3 == 0 ? 1 : (k % 3 == 1 ? 12 : 15); });
  check_calls(
      "alloca: memory of each thread's own size, given back",
      "",
      "stacksave.u64 %lc;\nmul.wide.u32 %la, %x, 8;\nadd.u64 %la, %la, 8;\nalloca.u64 %lb, %la, 16;\n"
      "add.u64 %le, %lb, %la;\nst.local.u64 [%le+-8], %la;\nst.local.u64 [%lb], %la;\nld.local.u64 %ld, [%le+-8];\n"
      "stackrestore.u64 %lc;\nalloca.u64 %lf, 8, 16;\nsub.u64 %lf, %lf, %lb;\nadd.u64 %ld, %ld, %lf;",
      [](uint64_t k) { return 8 * k + 8; });
}

void host_functions() {
  const std::string declared =
      ".extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);\n"
      ".extern .func __assertfail(.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, .param .b64 e);\n"
      ".global .align 1 .b8 format[30] = {37, 100, 32, 37, 53, 46, 50, 102, 32, 37, 108, 108, 117, 32, 37, 115, 37, "
      "37, 10};\n.global .align 1 .b8 word[3] = {104, 105};\n";   // "%d %5.2f %llu %s%%\n" and "hi"
  const std::string print =
      ".local .align 8 .b8 values[32];\nst.local.u32 [values], -3;\nst.local.f64 [values+8], 2.5;\n"
      "st.local.u64 [values+16], 5000000000;\nmov.u64 %la, word;\ncvta.global.u64 %la, %la;\n"
      "st.local.u64 [values+24], %la;\nmov.u64 %lb, values;\ncvta.local.u64 %lb, %lb;\nmov.u64 %lc, format;\n"
      "cvta.global.u64 %lc, %lc;\n{ .param .b64 f, a; .param .b32 r;\nst.param.b64 [f], %lc;\nst.param.b64 [a], %lb;\n"
      "call (r), vprintf, (f, a); }";
  const std::string text = captured_output([&] { run_ptx(print, {0}, 1, 1, declared); });
  check(text == "-3  2.50 5000000000 hi%\n", "printf prints " + text);
  const PtxModule asserts(ptx_kernel(
      "mov.u64 %la, word;\ncvta.global.u64 %la, %la;\n{ .param .b64 a, b, d, e; .param .b32 c;\n"
      "st.param.b64 [a], %la;\nst.param.b64 [b], %la;\nst.param.b64 [d], %la;\nst.param.b32 [c], 12;\n"
      "call __assertfail, (a, b, c, d, e); }",
      declared));
  Buffer<uint64_t> out(1);
  void* params[] = {&out.p};
  CHECK_STATUS(cuLaunchKernel(asserts.get("k"), 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr), CUDA_ERROR_ASSERT);
  CHECK(std::strstr(spectralCpuLastError(), "hi:12: hi: assertion `hi` failed"));
  spectralCpuSetOption("reset", 0);
}
}   // namespace

TEST_GROUP(ptx_calls) {
  recursion();
  by_address();
  ways();
  host_functions();
}
