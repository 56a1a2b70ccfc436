// PTX that is wrong on purpose: text that does not load says where and why, and a kernel that goes wrong names itself,
// its block, thread and line.
#include "ptx.h"

namespace {
// ---- loading
// The text is refused, by a message with the line and each of the parts.
void refused_at(const std::string& text, int line, const std::vector<std::string>& parts) {
  CUmodule m = nullptr;
  CHECK_STATUS(cuModuleLoadData(&m, text.c_str()), CUDA_ERROR_INVALID_PTX);
  const std::string said = spectralCpuLastError();
  check(
      said.find("PTX line " + std::to_string(line) + ", column ") == 0,
      "line " + std::to_string(line) + " in: " + said);
  for (const std::string& part : parts)
    check(says(said, part), "'" + part + "' in: " + said);
}
void refused(const std::string& text, const std::string& at, const std::vector<std::string>& parts) {
  refused_at(text, line_of(text, at), parts);
}
void refused_body(const std::string& body, const std::string& at, const std::vector<std::string>& parts) {
  refused(ptx_kernel(body), at, parts);
}

void texts() {
  refused_body("frobnicate.sync.b32 %a, %b;", "frobnicate", {"frobnicate.sync.b32", "'k'"});
  refused_body("add.f99 %a, %b, %c;", "add.f99", {"add.f99"});
  refused_body("add.u32.wrap %a, %b, %c;", "add.u32.wrap", {"add.u32.wrap"});
  refused_body("add.u32 %a, %nowhere, %c;", "%nowhere", {"%nowhere"});
  refused_body("add.u32 %a, nowhere, %c;", "nowhere", {"nowhere"});
  refused_body("add.u32 %la, %b, %c;", "add.u32", {"add.u32", "%la", ".b64", ".u32"});
  refused_body("add.u64 %la, %lb, %c;", "add.u64", {"%c", ".b32"});
  refused_body("add.u32 %a, %p, %c;", "add.u32", {"%p", ".pred"});
  refused_body("mul.wide.u32 %a, %b, %c;", "mul.wide", {"%a", ".u64"});
  refused_body("setp.eq.u32 %a, %b, %c;", "setp", {"predicate"});
  refused_body("@%a add.u32 %a, %b, %c;", "@%a", {"%a", "predicate"});
  refused_body("add.u32 %a, %b;", "add.u32", {"add.u32", "operands"});
  refused_body("add.u32 %a, %b, %c, %d;", "add.u32", {"add.u32", "operands"});
  refused_body("bra $L_missing;", "$L_missing", {"$L_missing", "'k'"});
  refused_body("$L:\n$L :\nbra $L;", "$L :", {"$L", "twice"});
  refused_body(".reg .b32 %a;", ".reg .b32 %a;", {"%a", "twice"});
  refused_body(".shared .b32 s;\n.local .b8 s[4];", ".local .b8 s", {"'s'", "twice"});
  refused_body(".local .b8 big[1000000];", "big", {"512 KiB"});
  refused_body(".local .b32 set = 5;", "set = 5", {"'set'"});
  refused_body(".shared .b8 big[50000];", ".visible .entry k", {"50000"});
  refused_body("lop3.b32 %a, %b, %c, %d, 256;", "lop3", {"lop3.b32", "255"});
  refused_body("ld.global.v4.u64 {%la, %lb, %lc, %ld}, [%out];", "ld.global.v4", {"ld.global.v4.u64"});
  refused_body("ld.global.v2.u32 {%a}, [%out];", "ld.global.v2", {"2 values"});
  refused_body("st.global.u32 [%ha], %a;", "st.global", {"%ha"});
  refused_body("call k, ();", "call", {"a kernel"});
  refused_body("call missing, ();", "call", {"missing"});
  refused_body("{ .param .b32 r; call (r); }", "call (r)", {"operand 2"});
  refused_body("shfl.down.b32 %a, %b, 1, 31;", "shfl", {"shfl.sync"});
  refused_body("mov.u32 %a, 99999999999999999999;", "mov.u32 %a, 9", {"64 bits"});
  refused_body("mov.f32 %a, 0f3f80;", "0f3f80", {"8 digits"});
  refused_body("mov.u32 %a, 12q;", "12q", {"'q'"});
  refused_body("mov.u32 %a, \"text;\n", "\"text", {"no end"});
  refused_body("/* and so on", "/* and", {"no end"});
  refused_body("mov.u32 %a, #;", "#", {"'#'"});
  refused_body("mov.u32 %a, \x01;", "\x01", {"0x01"});
  const std::string start = ".version 8.4\n.target sm_80\n.address_size 64\n";
  refused(".target sm_80\n.entry k() { ret; }", ".target", {".version"});
  refused_at(".version 8.4\n.entry k() { ret; }\n", 3, {".target"});
  refused(".version 5.0\n.target sm_80\n", ".version", {"5.0"});
  refused(".version eight\n.target sm_80\n", ".version", {"eight"});
  refused(".version 8.4\n.target nothing\n", ".target", {"nothing"});
  refused(".version 8.4\n.target sm_80\n.address_size 32\n", ".address_size", {"64"});
  refused_at(start + ".entry k() {\n ret;\n", 6, {"'}'", "'k'"});
  refused(start + ".entry k() { ret; }\n.entry k() { exit; }", ".entry k() { exit", {"'k'", "twice"});
  refused(start + ".global .u32 g;\n.global .u64 g;\n", ".global .u64", {"'g'", "twice"});
  refused(start + ".global .u32 g;\n.func g();\n", ".func g", {"'g'", "variable"});
  refused(start + ".func g();\n.global .u32 g;\n", ".global .u32", {"'g'", "function"});
  refused(start + ".global .u32 g[2] = {1, 2,\n3};\n", "3};", {"'g'"});
  refused(start + ".global .u32 g = h;\n", "g = h", {"address"});
  refused(start + ".shared .u32 s = 5;\n", "s = 5", {"'s'"});
  refused(start + ".shared .u32 s;\n.global .u64 g = s;\n", ".global .u64", {"address"});
  refused(start + ".extern .global .u32 g;\n", ".extern", {"'g'", "extern"});
  refused(start + ".func f();\n.entry k()\n{\ncall f;\n}\n", "call f", {"'f'", "body"});
  refused(start + ".func f(.param .u32 a)\n{\nret;\n}\n.entry k()\n{\ncall f;\n}\n", "call f", {"'f'", "1"});
  CUmodule m = nullptr;
  CHECK_STATUS(cuModuleLoadData(&m, "hello"), CUDA_ERROR_INVALID_IMAGE);
}

// Instructions of newer targets than the module's.
void targets() {
  const auto with = [](const char* target, const char* instruction) {
    return std::string(".version 8.4\n.target ") + target +
           "\n.address_size 64\n.entry k()\n{\n.reg .b32 %a;\n.reg .pred %p;\n.shared .b64 bar;\n" + instruction +
           ";\nret;\n}\n";
  };
  for (const char* instruction :
       {"wgmma.fence.sync.aligned", "setmaxnreg.dec.sync.aligned.u32 40", "wgmma.commit_group.sync.aligned"})
    for (const char* target : {"sm_80", "sm_90"})
      refused(with(target, instruction), instruction, {"needs .target sm_90a, not ", target});
  for (const char* instruction :
       {"stmatrix.sync.aligned.m8n8.x1.shared.b16 [bar], {%a}",
        "cp.async.bulk.commit_group",
        "barrier.cluster.arrive",
        "fence.mbarrier_init.release.cluster",
        "fence.proxy.async",
        "mbarrier.try_wait.parity.shared.b64 %p, [bar], 0"}) {
    refused(with("sm_89", instruction), instruction, {"needs .target sm_90 or newer, not sm_89"});
    CHECK(PtxModule(with("sm_90", instruction)).get("k"));
  }
  for (const char* instruction : {"cp.async.commit_group", "mbarrier.init.shared.b64 [bar], 1", "barrier.sync 0"})
    CHECK(PtxModule(with("sm_80", instruction)).get("k"));
}

// Functions that each call the next one twice, 60 deep.
void exploding_calls() {
  std::string text = ".version 8.4\n.target sm_80\n.address_size 64\n.func f60() { ret; }\n";
  for (int i = 59; i >= 0; --i)
    text += ".func f" + std::to_string(i) + "() { call f" + std::to_string(i + 1) + "; call f" + std::to_string(i + 1) +
            "; }\n";
  CUmodule m = nullptr;
  CHECK_STATUS(cuModuleLoadData(&m, (text + ".entry k() { call f0; }\n").c_str()), CUDA_ERROR_INVALID_PTX);
  CHECK(says(spectralCpuLastError(), "'k'"));
  // and one whose calls would have a billion registers
  text = ".version 8.4\n.target sm_80\n.address_size 64\n.func f() { .reg .b32 %r<100000>; ret; }\n.entry k() {\n";
  for (int i = 0; i < 10000; ++i)
    text += "call f;\n";
  CHECK_STATUS(cuModuleLoadData(&m, (text + "}\n").c_str()), CUDA_ERROR_INVALID_PTX);
}

// ---- running
void accesses() {
  constexpr CUresult kIllegal = CUDA_ERROR_ILLEGAL_ADDRESS;
  constexpr CUresult kMisaligned = CUDA_ERROR_MISALIGNED_ADDRESS;
  check_ptx_fault({"ld.global.u32 %a, [%out+512];", "ld.global", kIllegal, {"thread 0", "no allocation"}});
  check_ptx_fault({"ld.global.u32 %a, [%out+-4];", "ld.global", kIllegal, {"thread 0"}});
  check_ptx_fault({"mov.u64 %la, 0;\nst.global.u32 [%la], %a;", "st.global", kIllegal, {"thread 0", "0x0"}});
  check_ptx_fault({"mov.u64 %la, -4;\nld.global.u32 %a, [%la];", "ld.global.u32", kIllegal, {"thread 0"}});
  check_ptx_fault({"mov.u64 %la, -4;\nld.u32 %a, [%la];", "ld.u32", kIllegal, {"thread 0"}});
  check_ptx_fault({"mov.u64 %la, -4;\nred.global.add.u32 [%la], 1;", "red.global", kIllegal, {"thread 0"}});
  // the first lane that goes wrong is named
  check_ptx_fault(
      {"mul.wide.u32 %la, %x, 32;\nadd.u64 %la, %la, %out;\nld.global.u32 %a, [%la];",
       "ld.global.u32",
       kIllegal,
       {"thread 16"}});
  check_ptx_fault({"setp.eq.u32 %p, %x, 37;\n@%p ld.global.u32 %a, [%out+4096];", "@%p", kIllegal, {"thread 37"}, 64});
  check_ptx_fault({"ld.global.v4.u32 {%a, %b, %c, %d}, [%out+8];", "ld.global.v4", kMisaligned, {"16 bytes"}});
  check_ptx_fault({"ld.global.u64 %la, [%out+4];", "ld.global.u64", kMisaligned, {"8 bytes"}});
  check_ptx_fault({"st.shared.v2.u32 [memory+4], {%a, %b};", "st.shared", kMisaligned, {"8 bytes"}});
  check_ptx_fault({"atom.global.add.u32 %a, [%out+2], 1;", "atom", kMisaligned, {"4 bytes"}});
  check_ptx_fault({"ld.shared.u32 %a, [memory+1024];", "ld.shared", kIllegal, {"shared", "1024"}});
  check_ptx_fault({"mov.u32 %b, -4;\nld.shared.u32 %a, [%b];", "ld.shared", kIllegal, {"shared"}});
  check_ptx_fault({"mov.u64 %la, 0;\nld.shared.u32 %a, [%la+-4];", "ld.shared", kIllegal, {"shared"}});
  check_ptx_fault({"mov.u64 %la, -16;\nst.shared.v4.u32 [%la], {%a, %b, %c, %d};", "st.shared", kIllegal, {"shared"}});
  check_ptx_fault(
      {"mov.u64 %la, memory;\ncvta.shared.u64 %la, %la;\nld.u32 %a, [%la+1024];", "ld.u32", kIllegal, {"shared"}});
  check_ptx_fault({".local .b8 own[8];\nst.local.u32 [own+8], %a;", "st.local", kIllegal, {"local"}});
  check_ptx_fault({"ld.param.u32 %a, [p+8];", "ld.param.u32", kIllegal, {"parameter"}});
  check_ptx_fault({"trap;", "trap", CUDA_ERROR_LAUNCH_FAILED, {"trap"}});
}

void waits() {
  constexpr CUresult kFailed = CUDA_ERROR_LAUNCH_FAILED;
  check_ptx_fault(
      {"setp.lt.u32 %p, %x, 16;\n@%p bra $L;\nbar.sync 1;\nbra $E;\n$L:\nshfl.sync.down.b32 %a, %x, 1, 31, -1;\n$E:",
       "shfl.sync",
       kFailed,
       {"deadlock", "lanes 0000ffff", "other lanes"}});
  check_ptx_fault(
      {"setp.lt.u32 %p, %x, 32;\n@%p bra $L;\nbar.sync 1, 64;\n$L:\nbar.sync 2, 64;",
       "bar.sync 1",
       kFailed,
       {"deadlock", "warp 0", "warp 1", "barrier 1 (32 of 64", "barrier 2 (32 of 64"},
       64});
  check_ptx_fault(
      {"setp.lt.u32 %p, %x, 16;\n@%p bra $L;\nbar.sync 0;\nbra $E;\n$L:\nbar.sync 1;\n$E:",
       "bar.sync 1",
       kFailed,
       {"deadlock", "lanes 0000ffff", "lanes ffff0000"}});
  check_ptx_fault({"bar.sync 1, 64;", "bar.sync 1", kFailed, {"deadlock", "32 of 64"}});
  check_ptx_fault({"bar.sync 1, 40;", "bar.sync 1", kFailed, {"40"}});
  check_ptx_fault({"bar.sync 16;", "bar.sync 16", kFailed, {"barrier 16"}});
  check_ptx_fault({"shfl.sync.idx.b32 %a, %x, 0, 31, 1;", "shfl.sync", kFailed, {"not in its mask"}});
  // mbarriers
  check_ptx_fault(
      {"st.shared.u64 [memory], 0;\nmbarrier.arrive.shared.b64 _, [memory];",
       "mbarrier.arrive",
       kFailed,
       {"not initialised"},
       1});
  check_ptx_fault(
      {"st.shared.u64 [memory], 0;\nmbarrier.try_wait.parity.shared.b64 %p, [memory], 0;",
       "mbarrier.try_wait",
       kFailed,
       {"not initialised"},
       1});
  check_ptx_fault(
      {"mbarrier.init.shared.b64 [memory], 2;\nmbarrier.arrive.shared.b64 _, [memory], 3;",
       "mbarrier.arrive",
       kFailed,
       {"3 arrivals", "2 are due"},
       1});
  check_ptx_fault({"mbarrier.init.shared.b64 [memory], 0;", "mbarrier.init", kFailed, {"arrivals", "not 0"}, 1});
  check_ptx_fault({"mbarrier.init.shared.b64 [memory+4], 1;", "mbarrier.init", CUDA_ERROR_MISALIGNED_ADDRESS, {}, 1});
  check_ptx_fault(
      {"mbarrier.init.shared.b64 [memory], 2;\nmbarrier.arrive.shared.b64 _, [memory];\n$W:\n"
       "mbarrier.try_wait.parity.shared.b64 %p, [memory], 0;\n@!%p bra $W;",
       "mbarrier.try_wait",
       kFailed,
       {"deadlock", "mbarrier at shared offset 0 (arrivals still due 1 of 2"},
       1});
}

// Limits of a launch.
void launches() {
  const PtxModule module(
      ".version 8.4\n.target sm_80\n.address_size 64\n.shared .b8 s[40000];\n"
      ".entry few() .maxntid 64, 1, 1 { ret; }\n.entry exact() .reqntid 64, 2 { ret; }\n"
      ".entry shared() { .reg .u32 %r; ld.shared.u32 %r, [s]; ret; }\n");
  auto start = [&](const char* name, unsigned x, unsigned y, unsigned bytes) {
    return cuLaunchKernel(module.get(name), 1, 1, 1, x, y, 1, bytes, nullptr, nullptr, nullptr);
  };
  CHECK_STATUS(start("few", 64, 1, 0), CUDA_SUCCESS);
  CHECK_STATUS(start("few", 65, 1, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(start("exact", 64, 2, 0), CUDA_SUCCESS);
  CHECK_STATUS(start("exact", 64, 1, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(start("exact", 128, 1, 0), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(start("shared", 32, 1, 0), CUDA_SUCCESS);
  int bytes = 0;
  CHECK_STATUS(cuFuncGetAttribute(&bytes, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, module.get("shared")), CUDA_SUCCESS);
  CHECK(bytes == 40000);
  // The variables count towards what a block has, with and without asking for more.
  constexpr auto kMost = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
  CHECK_STATUS(cuFuncGetAttribute(&bytes, kMost, module.get("shared")), CUDA_SUCCESS);
  CHECK(bytes == 49152 - 40000);
  CHECK_STATUS(start("shared", 32, 1, 49152 - 40000), CUDA_SUCCESS);
  CHECK_STATUS(start("shared", 32, 1, 49153 - 40000), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuFuncSetAttribute(module.get("shared"), kMost, 232449 - 40000), CUDA_ERROR_INVALID_VALUE);
  CHECK(says(
      spectralCpuLastError(),
      "kernel shared: 192449 bytes of dynamic shared memory, where a block on the CPU device has 0 to 192448 beside "
      "the 40000 of its variables"));
  CHECK_STATUS(cuFuncSetAttribute(module.get("shared"), kMost, 232448 - 40000), CUDA_SUCCESS);
  CHECK_STATUS(start("shared", 32, 1, 232448 - 40000), CUDA_SUCCESS);
}
}   // namespace

TEST_GROUP(ptx_faults) {
  texts();
  targets();
  exploding_calls();
  accesses();
  waits();
  launches();
}
