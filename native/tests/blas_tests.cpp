// cuBLAS entry points on each library against double, the same bits for 1, 2 and 3 threads, and what is refused.
#include "../cpu/blas_api.h"
#include "host.h"
#include <algorithm>

namespace {
constexpr cublasOperation_t kOps[] = {CUBLAS_OP_N, CUBLAS_OP_T};

struct Case {
  int m, n, k, count;
};
constexpr Case kCases[] = {
    {1, 1, 1, 1},
    {7, 5, 3, 1},
    {33, 127, 65, 1},
    {16, 512, 300, 1},
    {16, 16, 5000, 1},
    {16, 16, 20001, 1},
    {200, 260, 130, 1},
    {17, 9, 40, 6},
    // bf16 that is multiplied as it is: parts of k, tiles with a ragged end, many at once
    {24, 40, 9000, 1},
    {70, 300, 333, 3}};

std::vector<float> rounded(std::vector<float> v, cudaDataType t) {
  if (t == CUDA_R_16BF)
    for (float& x : v)
      x = from_bf16(to_bf16(x));
  return v;
}
CUdeviceptr upload(const std::vector<float>& v, cudaDataType t) {
  CUdeviceptr p = 0;
  std::vector<uint16_t> half(v.size());
  for (size_t i = 0; i < v.size(); ++i)
    half[i] = to_bf16(v[i]);
  CU(cuMemAlloc(&p, v.size() * (t == CUDA_R_16BF ? 2 : 4)));
  CU(t == CUDA_R_16BF ? cuMemcpyHtoD(p, half.data(), v.size() * 2) : cuMemcpyHtoD(p, v.data(), v.size() * 4));
  return p;
}
std::vector<float> download(CUdeviceptr p, size_t n, cudaDataType t) {
  std::vector<float> v(n);
  std::vector<uint16_t> half(n);
  CU(t == CUDA_R_16BF ? cuMemcpyDtoH(half.data(), p, n * 2) : cuMemcpyDtoH(v.data(), p, n * 4));
  if (t == CUDA_R_16BF)
    for (size_t i = 0; i < n; ++i)
      v[i] = from_bf16(half[i]);
  return v;
}

void product(
    cublasHandle_t h, const Case& s, cublasOperation_t ta, cublasOperation_t tb, cudaDataType in, cudaDataType out,
    float alpha, float beta) {
  Rng rng;
  const int ar = ta ? s.k : s.m;
  const int ac = ta ? s.m : s.k;
  const int br = tb ? s.n : s.k;
  const int bc = tb ? s.k : s.n;
  const int lda = ar + 3;
  const int ldb = br + 1;
  const int ldc = s.m + 2;
  const long sa = long(lda) * ac;
  const long sb = long(ldb) * bc;
  const long sc = long(ldc) * s.n;
  const auto a = rounded(rng.normal(sa * s.count), in);
  const auto b = rounded(rng.normal(sb * s.count), in);
  const auto c = rounded(rng.normal(sc * s.count), out);
  const CUdeviceptr da = upload(a, in);
  const CUdeviceptr db = upload(b, in);
  std::vector<float> first;
  for (long threads : {1, 2, 3}) {
    spectralCpuSetOption("threads", threads);
    const CUdeviceptr dc = upload(c, out);
    CHECK(
        cublasGemmStridedBatchedEx(
            h,
            ta,
            tb,
            s.m,
            s.n,
            s.k,
            &alpha,
            reinterpret_cast<void*>(da),
            in,
            lda,
            sa,
            reinterpret_cast<void*>(db),
            in,
            ldb,
            sb,
            &beta,
            reinterpret_cast<void*>(dc),
            out,
            ldc,
            sc,
            s.count,
            CUBLAS_COMPUTE_32F,
            -1) == CUBLAS_STATUS_SUCCESS);
    const auto y = download(dc, c.size(), out);
    cuMemFree(dc);
    if (threads == 1)
      first = y;
    else
      check(
          !std::memcmp(first.data(), y.data(), y.size() * 4),
          "the same bits with " + std::to_string(threads) + " threads");
  }
  spectralCpuSetOption("threads", 0);
  const double eps = out == CUDA_R_16BF ? 1.0 / 256 : 1e-6;
  bool ok = true;
  for (int i = 0; i < s.count; ++i)
    for (int col = 0; col < s.n; ++col)
      for (int row = 0; row < ldc; ++row) {
        const size_t at = i * sc + size_t(col) * ldc + row;
        if (row >= s.m) {   // padding is left alone
          ok &= first[at] == c[at];
          continue;
        }
        double sum = 0;
        double magnitude = 0;
        for (int l = 0; l < s.k; ++l) {
          const long in_a = ta ? long(row) * lda + l : long(l) * lda + row;
          const long in_b = tb ? long(l) * ldb + col : long(col) * ldb + l;
          const double v = double(a[i * sa + in_a]) * b[i * sb + in_b];
          sum += v;
          magnitude += std::abs(v);
        }
        const double expected = alpha * sum + beta * c[at];
        ok &= std::abs(first[at] - expected) <= eps * (magnitude + std::abs(c[at]) + 1e-3);
      }
  char text[120];
  std::snprintf(
      text,
      sizeof text,
      "gemm %dx%dx%d, %d times, ops %d %d, types %d %d, factors %g %g",
      s.m,
      s.n,
      s.k,
      s.count,
      ta,
      tb,
      in,
      out,
      alpha,
      beta);
  check(ok, text);
  cuMemFree(da);
  cuMemFree(db);
}

void triangular(cublasHandle_t h) {
  Rng rng;
  const int m = 37;
  const int n = 600;
  for (auto side : {CUBLAS_SIDE_LEFT, CUBLAS_SIDE_RIGHT})
    for (auto fill : {CUBLAS_FILL_MODE_LOWER, CUBLAS_FILL_MODE_UPPER})
      for (auto op : kOps) {
        const int rows = side == CUBLAS_SIDE_LEFT ? m : n;
        const int columns = side == CUBLAS_SIDE_LEFT ? n : m;   // the triangle is m x m
        auto a = rng.normal(m * m);
        auto b = rng.normal(size_t(rows) * columns);
        for (int i = 0; i < m; ++i)
          a[i * m + i] = 8 + std::abs(a[i * m + i]);
        Buffer<float> da(a), db(b);
        const float alpha = 2;
        CHECK(
            cublasStrsm_v2(
                h, side, fill, op, CUBLAS_DIAG_NON_UNIT, rows, columns, &alpha, da.device(), m, db.device(), rows) ==
            CUBLAS_STATUS_SUCCESS);
        const auto x = db.get();
        auto element = [&](int r, int c) -> double {   // of op(A)
          if (op == CUBLAS_OP_T)
            std::swap(r, c);
          return (fill == CUBLAS_FILL_MODE_UPPER ? r <= c : r >= c) ? a[c * m + r] : 0;
        };
        bool ok = true;
        for (int c = 0; c < columns; ++c)
          for (int r = 0; r < rows; ++r) {
            double s = 0;
            for (int l = 0; l < m; ++l)
              s += side == CUBLAS_SIDE_LEFT ? element(r, l) * x[c * size_t(rows) + l]
                                            : double(x[l * size_t(rows) + r]) * element(l, c);
            ok &= std::abs(s - 2.0 * b[c * size_t(rows) + r]) < 1e-4;
          }
        check(ok, "triangular solve");
      }
}

void refused(cublasHandle_t h) {
  Buffer<float> x(std::vector<float>(64, 1));
  float one = 1;
  float zero = 0;
  auto gemm = [&](cublasHandle_t handle, int m, int lda, void* c, cudaDataType t) {
    return cublasGemmEx(
        handle,
        CUBLAS_OP_N,
        CUBLAS_OP_N,
        m,
        4,
        4,
        &one,
        x.device(),
        CUDA_R_32F,
        lda,
        x.device(),
        CUDA_R_32F,
        4,
        &zero,
        c,
        t,
        4,
        CUBLAS_COMPUTE_32F,
        -1);
  };
  CHECK(gemm(nullptr, 4, 4, x.device(), CUDA_R_32F) == CUBLAS_STATUS_NOT_INITIALIZED);
  CHECK(gemm(h, -1, 4, x.device(), CUDA_R_32F) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(gemm(h, 4, 3, x.device(), CUDA_R_32F) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(gemm(h, 4, 4, nullptr, CUDA_R_32F) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(gemm(h, 4, 4, x.device(), CUDA_R_16BF) == CUBLAS_STATUS_NOT_SUPPORTED);
  CHECK(gemm(h, 0, 4, nullptr, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS);
  CHECK(cublasSetStream_v2(h, reinterpret_cast<CUstream>(&x)) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasSetStream_v2(h, nullptr) == CUBLAS_STATUS_SUCCESS);
  CHECK(cublasSetMathMode(h, 0) == CUBLAS_STATUS_SUCCESS);
  int version = 0;
  CHECK(cublasGetVersion_v2(h, &version) == CUBLAS_STATUS_SUCCESS && version >= 120000);
  spectralCpuSetOption("check", 1);
  CHECK(
      cublasGemmEx(
          h,
          CUBLAS_OP_N,
          CUBLAS_OP_N,
          9,
          9,
          4,
          &one,
          x.device(),
          CUDA_R_32F,
          9,
          x.device(),
          CUDA_R_32F,
          4,
          &zero,
          x.device(),
          CUDA_R_32F,
          9,
          CUBLAS_COMPUTE_32F,
          -1) == CUBLAS_STATUS_EXECUTION_FAILED);
  CHECK(std::strstr(spectralCpuLastError(), "operand C"));
  spectralCpuSetOption("check", 0);
  // NaN in C does not survive beta = 0, and k = 0 only scales
  std::vector<float> nan(64, NAN);
  Buffer<float> c(nan);
  CHECK(
      gemm(h, 4, 4, c.device(), CUDA_R_32F) == CUBLAS_STATUS_SUCCESS && !std::isnan(c.get()[15]) &&
      std::isnan(c.get()[16]));
  CHECK(
      cublasSgemm_v2(h, CUBLAS_OP_N, CUBLAS_OP_N, 8, 8, 0, &one, nullptr, 8, nullptr, 1, &zero, c.device(), 8) ==
      CUBLAS_STATUS_SUCCESS);
  const auto v = c.get();
  CHECK(std::all_of(v.begin(), v.end(), [](float f) { return f == 0; }));
}
}   // namespace

TEST_GROUP(blas) {
  cublasHandle_t h = nullptr;
  const cublasStatus_t status = cublasCreate_v2(&h);
  check(status == CUBLAS_STATUS_SUCCESS, std::string("cublasCreate: ") + spectralCpuLastError());
  if (status)
    return;
  for (long onednn : {0, 1}) {   // the same library twice where oneDNN is not installed
    spectralCpuSetOption("onednn", onednn);
    const std::string library = spectralCpuProductLibrary();
    check(library == "OpenBLAS" || (onednn && library.rfind("oneDNN ", 0) == 0), "products by " + library);
    for (const Case& s : kCases)
      for (auto ta : kOps)
        for (auto tb : kOps) {
          for (auto [alpha, beta] : {std::pair(0.7f, 0.3f), std::pair(0.6f, 0.0f), std::pair(1.0f, 0.0f)}) {
            product(h, s, ta, tb, CUDA_R_32F, CUDA_R_32F, alpha, beta);
            product(h, s, ta, tb, CUDA_R_16BF, CUDA_R_32F, alpha, beta);
            product(h, s, ta, tb, CUDA_R_16BF, CUDA_R_16BF, alpha, beta);
          }
        }
  }
  triangular(h);
  refused(h);
  CHECK(cublasDestroy_v2(h) == CUBLAS_STATUS_SUCCESS);
  CHECK(cublasDestroy_v2(h) == CUBLAS_STATUS_NOT_INITIALIZED);
}
