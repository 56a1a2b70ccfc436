// cuBLASLt entry points: the product is cuBLAS', bit for bit; descriptions that do not describe one, and what else is
// refused.
#include "../cpu/blas_lt_api.h"
#include "host.h"

namespace {
static_assert(sizeof(cublasLtMatmulAlgo_t) == 64 && sizeof(cublasLtMatmulHeuristicResult_t) == 96);
constexpr auto kInvalid = CUBLAS_STATUS_INVALID_VALUE;
constexpr auto kUnsupported = CUBLAS_STATUS_NOT_SUPPORTED;
constexpr auto kSuccess = CUBLAS_STATUS_SUCCESS;

// A product with its four descriptions; ld are as tight as can be.
struct Problem {
  cublasLtMatmulDesc_t description = nullptr;
  cublasLtMatrixLayout_t a = nullptr;
  cublasLtMatrixLayout_t b = nullptr;
  cublasLtMatrixLayout_t c = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  Problem(int m, int n, int k, int32_t ta, int32_t tb, cudaDataType in, cudaDataType out) {
    CHECK(cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F) == kSuccess);
    CHECK(cublasLtMatmulDescSetAttribute(description, CUBLASLT_MATMUL_DESC_TRANSA, &ta, sizeof ta) == kSuccess);
    CHECK(cublasLtMatmulDescSetAttribute(description, CUBLASLT_MATMUL_DESC_TRANSB, &tb, sizeof tb) == kSuccess);
    CHECK(cublasLtMatrixLayoutCreate(&a, in, ta ? k : m, ta ? m : k, ta ? k : m) == kSuccess);
    CHECK(cublasLtMatrixLayoutCreate(&b, in, tb ? n : k, tb ? k : n, tb ? n : k) == kSuccess);
    CHECK(cublasLtMatrixLayoutCreate(&c, out, m, n, m) == kSuccess);
    CHECK(cublasLtMatmulPreferenceCreate(&preference) == kSuccess);
  }
  ~Problem() {
    CHECK(
        cublasLtMatmulPreferenceDestroy(preference) == kSuccess && cublasLtMatmulDescDestroy(description) == kSuccess);
    for (auto layout : {a, b, c})
      CHECK(cublasLtMatrixLayoutDestroy(layout) == kSuccess);
  }
};

void product(cublasLtHandle_t h, cublasHandle_t blas, cublasOperation_t ta, cublasOperation_t tb, float beta) {
  const int m = 33;
  const int n = 17;
  const int k = 65;
  const float alpha = 0.7f;
  Rng rng;
  Buffer<float> a(rng.normal(m * k)), b(rng.normal(k * n));
  const auto before = rng.normal(m * n);
  Buffer<float> c(before), wanted(before);
  Problem p(m, n, k, ta, tb, CUDA_R_32F, CUDA_R_32F);
  cublasLtMatmulHeuristicResult_t found[4];
  int count = 0;
  CHECK(
      cublasLtMatmulAlgoGetHeuristic(h, p.description, p.a, p.b, p.c, p.c, p.preference, 4, found, &count) == kSuccess);
  CHECK(count == 1 && found[0].state == kSuccess && found[0].workspaceSize == 0);
  CHECK(
      cublasLtMatmul(
          h,
          p.description,
          &alpha,
          a.device(),
          p.a,
          b.device(),
          p.b,
          &beta,
          c.device(),
          p.c,
          c.device(),
          p.c,
          &found[0].algo,
          nullptr,
          0,
          nullptr) == kSuccess);
  CHECK(
      cublasGemmEx(
          blas,
          ta,
          tb,
          m,
          n,
          k,
          &alpha,
          a.device(),
          CUDA_R_32F,
          ta ? k : m,
          b.device(),
          CUDA_R_32F,
          tb ? n : k,
          &beta,
          wanted.device(),
          CUDA_R_32F,
          m,
          CUBLAS_COMPUTE_32F,
          -1) == kSuccess);
  check(
      c.get() == wanted.get(), "cublasLtMatmul is cublasGemmEx, ops " + std::to_string(ta) + " " + std::to_string(tb));
  check(c.get() != before, "cublasLtMatmul writes");
}

void refused(cublasLtHandle_t h) {
  Buffer<float> x(64);
  const float one = 1;
  const float zero = 0;
  Problem p(4, 4, 4, 0, 0, CUDA_R_32F, CUDA_R_32F), longer(4, 4, 5, 0, 0, CUDA_R_32F, CUDA_R_32F),
      half(4, 4, 4, 0, 0, CUDA_R_16BF, CUDA_R_16BF);
  cublasLtMatmulHeuristicResult_t found;
  int count = -1;
  auto ask = [&](cublasLtHandle_t handle, cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, int requested) {
    return cublasLtMatmulAlgoGetHeuristic(handle, p.description, p.a, b, c, c, p.preference, requested, &found, &count);
  };
  CHECK(ask(h, p.b, p.c, 1) == kSuccess && count == 1);
  CHECK(ask(nullptr, p.b, p.c, 1) == CUBLAS_STATUS_NOT_INITIALIZED);
  CHECK(ask(h, longer.b, p.c, 1) == kInvalid && count == 0);
  CHECK(ask(h, p.b, nullptr, 1) == kInvalid);
  CHECK(ask(h, p.b, p.c, 0) == kInvalid);
  CHECK(ask(h, half.b, p.c, 1) == kUnsupported);
  CHECK(ask(h, p.b, half.c, 1) == kUnsupported);
  CHECK(ask(h, p.b, p.c, 1) == kSuccess);
  auto multiply = [&](const cublasLtMatmulAlgo_t* algorithm,
                      const void* a,
                      void* d,
                      void* workspace,
                      size_t bytes,
                      CUstream stream) {
    return cublasLtMatmul(
        h,
        p.description,
        &one,
        a,
        p.a,
        x.device(),
        p.b,
        &zero,
        x.device(),
        p.c,
        d,
        p.c,
        algorithm,
        workspace,
        bytes,
        stream);
  };
  const cublasLtMatmulAlgo_t made_up = {};
  CHECK(multiply(nullptr, x.device(), x.device(), nullptr, 0, nullptr) == kSuccess);
  CHECK(multiply(&made_up, x.device(), x.device(), nullptr, 0, nullptr) == kInvalid);
  CHECK(multiply(&found.algo, nullptr, x.device(), nullptr, 0, nullptr) == kInvalid);
  CHECK(multiply(&found.algo, x.device(), x.device(), nullptr, 16, nullptr) == kInvalid);
  CHECK(multiply(&found.algo, x.device(), x.device() + 16, nullptr, 0, nullptr) == kUnsupported);
  CHECK(multiply(&found.algo, x.device(), x.device(), nullptr, 0, reinterpret_cast<CUstream>(&x)) == kInvalid);

  cublasLtMatmulDesc_t description = nullptr;
  cublasLtMatrixLayout_t layout = nullptr;
  CHECK(cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F) == kUnsupported);
  CHECK(cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_16BF) == kUnsupported && !description);
  CHECK(cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, 5, 4, 4) == kInvalid);
  CHECK(cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, 1ull << 32, 1, 1ll << 32) == kInvalid);
  CHECK(cublasLtMatrixLayoutCreate(&layout, cudaDataType(2), 4, 4, 4) == kUnsupported && !layout);
  CHECK(cublasLtMatrixLayoutDestroy(nullptr) == kInvalid);
  const int32_t wrong = 3;
  const uint64_t workspace = 1 << 20;
  const uint32_t odd = 24;
  const uint32_t sixteen = 16;
  CHECK(cublasLtMatmulDescSetAttribute(p.description, CUBLASLT_MATMUL_DESC_TRANSA, &wrong, sizeof wrong) == kInvalid);
  CHECK(
      cublasLtMatmulDescSetAttribute(p.description, CUBLASLT_MATMUL_DESC_TRANSA, &workspace, sizeof workspace) ==
      kInvalid);
  CHECK(cublasLtMatmulDescSetAttribute(p.description, cublasLtMatmulDescAttributes_t(2), &odd, sizeof odd) == kInvalid);
  CHECK(
      cublasLtMatmulPreferenceSetAttribute(
          p.preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace) == kSuccess);
  CHECK(
      cublasLtMatmulPreferenceSetAttribute(
          p.preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &sixteen, sizeof sixteen) == kInvalid);
  CHECK(
      cublasLtMatmulPreferenceSetAttribute(
          p.preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &sixteen, sizeof sixteen) == kSuccess);
  CHECK(
      cublasLtMatmulPreferenceSetAttribute(
          p.preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &odd, sizeof odd) == kInvalid);
  const auto reductions = CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK;
  const uint32_t in_compute_type = 2;
  uint32_t kept = 0;
  size_t written = 0;
  CHECK(
      cublasLtMatmulPreferenceGetAttribute(p.preference, reductions, &kept, sizeof kept, &written) == kSuccess &&
      kept == 7 && written == sizeof kept);
  CHECK(
      cublasLtMatmulPreferenceSetAttribute(p.preference, reductions, &in_compute_type, sizeof in_compute_type) ==
          kSuccess &&
      cublasLtMatmulPreferenceGetAttribute(p.preference, reductions, &kept, sizeof kept, nullptr) == kSuccess &&
      kept == in_compute_type);
  CHECK(cublasLtMatmulPreferenceSetAttribute(p.preference, reductions, &odd, sizeof odd) == kInvalid);
  CHECK(cublasLtMatmulPreferenceGetAttribute(p.preference, reductions, &kept, 1, nullptr) == kInvalid);
  CHECK(cublasLtMatmulPreferenceGetAttribute(p.preference, reductions, nullptr, 0, &written) == kSuccess);
}
}   // namespace

TEST_GROUP(blas_lt) {
  cublasLtHandle_t h = nullptr;
  cublasHandle_t blas = nullptr;
  CHECK(cublasLtCreate(nullptr) == kInvalid);
  CHECK(cublasLtCreate(&h) == kSuccess && cublasCreate_v2(&blas) == kSuccess);
  if (!h || !blas)
    return;
  CHECK(cublasLtGetVersion() >= 120000);
  for (auto ta : {CUBLAS_OP_N, CUBLAS_OP_T})
    for (auto tb : {CUBLAS_OP_N, CUBLAS_OP_T})
      for (float beta : {0.f, 0.3f})
        product(h, blas, ta, tb, beta);
  refused(h);
  CHECK(cublasDestroy_v2(blas) == kSuccess && cublasLtDestroy(h) == kSuccess);
  CHECK(cublasLtDestroy(h) == CUBLAS_STATUS_NOT_INITIALIZED);
}
