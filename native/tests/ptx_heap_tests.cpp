// malloc and free in kernels (CUDA C++ Programming Guide, "Dynamic Global Memory Allocation and Operations").
#include "../cpu/loader_api.h"
#include "ptx.h"
#include <algorithm>

namespace {
const std::string kDeclared =
    ".extern .func (.param .b64 r) malloc(.param .b64 size);\n.extern .func free(.param .b64 address);\n";
const std::string kTake =
    "{ .param .b64 in;\n.param .b64 out;\nst.param.b64 [in], %la;\ncall (out), malloc, (in);\n"
    "ld.param.b64 %lb, [out]; }\n";
const std::string kFree = "{ .param .b64 in;\nst.param.b64 [in], %lb;\ncall free, (in); }\n";
const std::string kOwn = "mul.wide.u32 %lx, %x, 8;\nadd.u64 %lx, %lx, %out;\n";   // the thread's word

// A context of its own, since a heap is one context's and keeps its size.
struct OwnContext {
  CUcontext context = nullptr;
  OwnContext() { CU(cuCtxCreate(&context, 0, 0)); }
  OwnContext(const OwnContext&) = delete;
  ~OwnContext() { cuCtxDestroy(context); }
};

void takes() {
  const OwnContext own;
  // each thread takes 8 (thread + 1) bytes, fills them and returns their address; another kernel reads and frees them
  const auto out = run_ptx(
      kOwn + "add.u32 %a, %x, 1;\nmul.wide.u32 %la, %a, 8;\n" + kTake +
          "st.global.u64 [%lx], %lb;\nmov.u64 %ly, %lb;\nadd.u64 %lz, %lb, %la;\n$L:\nst.u64 [%ly], %la;\n"
          "add.u64 %ly, %ly, 8;\nsetp.lt.u64 %p, %ly, %lz;\n@%p bra $L;",
      std::vector<uint64_t>(64),
      64,
      1,
      kDeclared);
  std::vector<std::pair<uint64_t, uint64_t>> taken;
  for (size_t i = 0; i < out.size(); ++i)
    taken.emplace_back(out[i], out[i] + 8 * (i + 1));
  std::sort(taken.begin(), taken.end());
  bool right = taken.size() == 64;
  for (size_t i = 0; i < taken.size() && right; ++i)
    right = taken[i].first && taken[i].first % 16 == 0 && (!i || taken[i].first >= taken[i - 1].second);
  check(right, "pieces of the heap are apart, at multiples of 16");
  const auto sums = run_ptx(
      kOwn +
          "ld.global.u64 %lb, [%lx];\nadd.u32 %a, %x, 1;\nmul.wide.u32 %lc, %a, 8;\nadd.u64 %lz, %lb, %lc;\n"
          "mov.u64 %ly, %lb;\nmov.u64 %ld, 0;\n$L:\nld.u64 %le, [%ly];\nadd.u64 %ld, %ld, %le;\n"
          "add.u64 %ly, %ly, 8;\nsetp.lt.u64 %p, %ly, %lz;\n@%p bra $L;\nst.global.u64 [%lx], %ld;\n" +
          kFree,
      out,
      64,
      1,
      kDeclared);
  bool same = sums.size() == 64;
  for (size_t i = 0; i < sums.size(); ++i)
    same &= sums[i] == 8 * (i + 1) * (i + 1);
  check(same, "memory of the heap outlives its kernel");
  CHECK_STATUS(cuMemFree(out[0]), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 1 << 20), CUDA_ERROR_INVALID_VALUE);   // it is in use
}

// With a heap of 64 KiB: what does not fit is 0, and what was freed is there again.
void limits() {
  const OwnContext own;
  CHECK_STATUS(cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, 65536), CUDA_SUCCESS);
  const auto out = run_ptx(
      "mov.u64 %la, 65537;\n" + kTake + "st.global.u64 [%out], %lb;\nmov.u64 %la, 0;\n" + kTake +
          "st.global.u64 [%out+8], %lb;\nmov.u64 %la, 65536;\n" + kTake +
          "st.global.u64 [%out+16], %lb;\nmov.u64 %lc, %lb;\nmov.u64 %la, 16;\n" + kTake +
          "st.global.u64 [%out+24], %lb;\n" + kFree + "mov.u64 %lb, %lc;\n" + kFree + "mov.u64 %la, 32768;\n" + kTake +
          "mov.u64 %lc, %lb;\n" + kTake + "st.global.u64 [%out+32], %lb;\n" + kFree + "mov.u64 %lb, %lc;\n" + kFree +
          "mov.u64 %la, 65536;\n" + kTake + "st.global.u64 [%out+40], %lb;",
      std::vector<uint64_t>(6),
      1,
      1,
      kDeclared);
  CHECK(out.size() == 6 && !out[0] && !out[1] && out[2] && !out[3] && out[4] && out[5] == out[2]);
}

void faults() {
  const OwnContext own;
  check_ptx_fault(
      {"mov.u64 %lb, %out;\n{ .param .b64 in;\nst.param.b64 [in], %lb;\ncall free, (in); }",
       "call free",
       CUDA_ERROR_LAUNCH_FAILED,
       {"which malloc has not given"},
       1},
      kDeclared);
  check_ptx_fault(
      {"{ .param .b64 in;\n.param .b64 out;\nst.param.b64 [in], 16;\ncall (out), malloc, (in);\n"
       "ld.param.b64 %lb, [out]; }\nadd.u64 %lb, %lb, 8388608;\nst.global.u32 [%lb], 1;",
       "st.global",
       CUDA_ERROR_ILLEGAL_ADDRESS,
       {"no allocation"},
       1},
      kDeclared);
}
}   // namespace

TEST_GROUP(ptx_heaps) {
  takes();
  limits();
  faults();
}
