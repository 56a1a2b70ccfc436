// cuSOLVER's factorisations: what they say of a matrix is multiplied out again in double, and wrong sizes are refused.
#include "../cpu/solver_api.h"
#include "host.h"

namespace {
template <class T>
constexpr double kBound = sizeof(T) == 4 ? 2e-5 : 1e-12;

template <class T>
std::vector<T> numbers(size_t n) {
  Rng rng;
  const auto f = rng.normal(n);
  return std::vector<T>(f.begin(), f.end());
}
// The largest |sum over i of a[r, i] d[i] b[c, i] - wanted[r, c]|, all column-major; NaN stays.
template <class T>
double worst(
    int m, int n, int k, const std::vector<T>& a, int lda, const T* d, const std::vector<T>& b, int ldb,
    const std::vector<T>& wanted, int ld) {
  double found = 0;
  for (int c = 0; c < n; ++c)
    for (int r = 0; r < m; ++r) {
      double sum = 0;
      for (int i = 0; i < k; ++i)
        sum += double(a[size_t(i * lda + r)]) * (d ? double(d[i]) : 1) * double(b[size_t(i * ldb + c)]);
      const double error = std::abs(sum - double(wanted[size_t(c * ld + r)]));
      if (!(error <= found))
        found = error;
    }
  return found;
}
template <class T>
double not_orthonormal(int m, int n, const std::vector<T>& q, int ld) {
  double found = 0;
  for (int a = 0; a < n; ++a)
    for (int b = 0; b < n; ++b) {
      double sum = 0;
      for (int r = 0; r < m; ++r)
        sum += double(q[size_t(a * ld + r)]) * double(q[size_t(b * ld + r)]);
      const double error = std::abs(sum - (a == b));
      if (!(error <= found))
        found = error;
    }
  return found;
}

template <class T>
struct Calls;
#define CALLS(T, S)                                                       \
  template <>                                                             \
  struct Calls<T> {                                                       \
    static constexpr auto potrf_size = cusolverDn##S##potrf_bufferSize;   \
    static constexpr auto potrf = cusolverDn##S##potrf;                   \
    static constexpr auto potrs = cusolverDn##S##potrs;                   \
    static constexpr auto geqrf_size = cusolverDn##S##geqrf_bufferSize;   \
    static constexpr auto geqrf = cusolverDn##S##geqrf;                   \
    static constexpr auto orgqr_size = cusolverDn##S##orgqr_bufferSize;   \
    static constexpr auto orgqr = cusolverDn##S##orgqr;                   \
    static constexpr auto gesvd_size = cusolverDn##S##gesvd_bufferSize;   \
    static constexpr auto gesvd = cusolverDn##S##gesvd;                   \
    static constexpr auto gesvdj_size = cusolverDn##S##gesvdj_bufferSize; \
    static constexpr auto gesvdj = cusolverDn##S##gesvdj;                 \
  };
CALLS(float, S)
CALLS(double, D)

template <class T>
void cholesky(cusolverDnHandle_t h) {
  using C = Calls<T>;
  constexpr int n = 6;
  constexpr int ld = 8;
  const auto g = numbers<T>(n * n);
  std::vector<T> a(ld * n, T(99));
  for (int c = 0; c < n; ++c)   // g g^T + n
    for (int r = 0; r < n; ++r) {
      double sum = r == c ? n : 0;
      for (int i = 0; i < n; ++i)
        sum += double(g[size_t(i * n + r)]) * double(g[size_t(i * n + c)]);
      a[size_t(c * ld + r)] = T(sum);
    }
  Buffer<T> da(a);
  Buffer<int> info(1);
  int elements = 0;
  const auto size = [&](int order, int stride, int* count) {
    return C::potrf_size(h, CUBLAS_FILL_MODE_LOWER, order, da.device(), stride, count);
  };
  CHECK(size(n, ld, &elements) == CUSOLVER_STATUS_SUCCESS && elements >= 1);
  CHECK(size(n, n - 1, &elements) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(size(-1, ld, &elements) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(size(n, ld, nullptr) == CUSOLVER_STATUS_INVALID_VALUE);
  Buffer<T> work{size_t(elements)};
  const auto run = [&](int stride, int* status) {
    return C::potrf(h, CUBLAS_FILL_MODE_LOWER, n, da.device(), stride, work.device(), elements, status);
  };
  CHECK(run(n - 1, info.device()) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(run(ld, nullptr) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(run(ld, info.device()) == CUSOLVER_STATUS_SUCCESS && info.get()[0] == 0);
  auto l = da.get();
  for (int c = 0; c < n; ++c)
    for (int r = 0; r < c; ++r)
      l[size_t(c * ld + r)] = 0;   // what it does not touch
  CHECK(worst<T>(n, n, n, l, ld, nullptr, l, ld, a, ld) <= 100 * kBound<T>);

  const auto x = numbers<T>(n * 2);
  std::vector<T> b(ld * 2);
  for (int c = 0; c < 2; ++c)
    for (int r = 0; r < n; ++r) {
      double sum = 0;
      for (int i = 0; i < n; ++i)
        sum += double(a[size_t(i * ld + r)]) * double(x[size_t(c * n + i)]);
      b[size_t(c * ld + r)] = T(sum);
    }
  Buffer<T> db(b);
  const auto solve = [&](int stride) {
    return C::potrs(h, CUBLAS_FILL_MODE_LOWER, n, 2, da.device(), ld, db.device(), stride, info.device());
  };
  CHECK(solve(n - 1) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(solve(ld) == CUSOLVER_STATUS_SUCCESS && info.get()[0] == 0);
  const auto solved = db.get();
  for (int c = 0; c < 2; ++c)
    for (int r = 0; r < n; ++r)
      CHECK(std::abs(double(solved[size_t(c * ld + r)]) - double(x[size_t(c * n + r)])) <= 100 * kBound<T>);

  a[2 * ld + 2] = T(-50);   // then the leading minor of order 3 is not positive
  CU(cuMemcpyHtoD(da.p, a.data(), a.size() * sizeof(T)));
  CHECK(run(ld, info.device()) == CUSOLVER_STATUS_SUCCESS && info.get()[0] == 3);
}

template <class T>
void qr(cusolverDnHandle_t h) {
  using C = Calls<T>;
  constexpr int m = 11;
  constexpr int n = 4;
  const auto a = numbers<T>(m * n);
  Buffer<T> da(a);
  Buffer<T> tau(n);
  Buffer<int> info(1);
  int elements = 0;
  int more = 0;
  CHECK(C::geqrf_size(h, m, n, da.device(), m, &elements) == CUSOLVER_STATUS_SUCCESS && elements >= n);
  CHECK(C::geqrf_size(h, m, n, da.device(), m - 1, &elements) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(C::orgqr_size(h, m, n, n, da.device(), m, tau.device(), &more) == CUSOLVER_STATUS_SUCCESS && more >= n);
  CHECK(C::orgqr_size(h, n, m, n, da.device(), m, tau.device(), &more) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(C::orgqr_size(h, m, n, n + 1, da.device(), m, tau.device(), &more) == CUSOLVER_STATUS_INVALID_VALUE);
  elements = std::max(elements, more);
  Buffer<T> work{size_t(elements)};
  const auto run = [&](int count, T* into) {
    return C::geqrf(h, m, n, da.device(), m, into, work.device(), count, info.device());
  };
  CHECK(run(n - 1, tau.device()) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(run(elements, nullptr) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(run(elements, tau.device()) == CUSOLVER_STATUS_SUCCESS && info.get()[0] == 0);
  const auto packed = da.get();
  std::vector<T> r(n * n, T(0));   // of R, transposed for the product
  for (int c = 0; c < n; ++c)
    for (int i = 0; i <= c; ++i)
      r[size_t(i * n + c)] = packed[size_t(c * m + i)];
  CHECK(
      C::orgqr(h, m, n, n, da.device(), m, tau.device(), work.device(), elements, info.device()) ==
      CUSOLVER_STATUS_SUCCESS);
  const auto q = da.get();
  CHECK(info.get()[0] == 0 && not_orthonormal<T>(m, n, q, m) <= kBound<T>);
  CHECK(worst<T>(m, n, n, q, m, nullptr, r, n, a, m) <= 10 * kBound<T>);
}

template <class T>
void singular_values(cusolverDnHandle_t h) {
  using C = Calls<T>;
  constexpr int m = 9;
  constexpr int n = 5;
  const auto a = numbers<T>(m * n);
  Buffer<T> da(a);
  Buffer<T> s(n);
  Buffer<T> u(m * m);
  Buffer<T> vt(n * n);
  Buffer<int> info(1);
  int elements = 0;
  CHECK(C::gesvd_size(h, m, n, &elements) == CUSOLVER_STATUS_SUCCESS && elements > 0);
  CHECK(C::gesvd_size(h, n, m, &elements) == CUSOLVER_STATUS_INVALID_VALUE);   // m >= n is asked for
  Buffer<T> work{size_t(elements)};
  const auto run = [&](char job, int ldu) {
    return C::gesvd(
        h,
        static_cast<signed char>(job),
        static_cast<signed char>(job),
        m,
        n,
        da.device(),
        m,
        s.device(),
        u.device(),
        ldu,
        vt.device(),
        n,
        work.device(),
        elements,
        nullptr,
        info.device());
  };
  CHECK(run('X', m) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(run('S', m - 1) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(run('S', m) == CUSOLVER_STATUS_SUCCESS && info.get()[0] == 0);
  const auto values = s.get();
  std::vector<T> v(n * n);
  const auto rows = vt.get();
  for (int i = 0; i < n; ++i)
    for (int c = 0; c < n; ++c)
      v[size_t(i * n + c)] = rows[size_t(c * n + i)];
  CHECK(worst<T>(m, n, n, u.get(), m, values.data(), v, n, a, m) <= 10 * kBound<T>);
  for (int i = 1; i < n; ++i)
    CHECK(values[size_t(i - 1)] >= values[size_t(i)] && values[size_t(i)] > 0);
}

// Any shape, all vectors or as many as there are values, and V itself.
template <class T>
void jacobi(cusolverDnHandle_t h, int m, int n, int economic) {
  using C = Calls<T>;
  const int least = std::min(m, n);
  const int lda = m + 2;
  const auto a = numbers<T>(size_t(lda * n));
  Buffer<T> da(a);
  Buffer<T> s{size_t(least)};
  Buffer<T> u{size_t(m * m)};
  Buffer<T> v{size_t(n * n)};
  Buffer<int> info(1);
  gesvdjInfo_t params = nullptr;
  int elements = 0;
  int sweeps = -1;
  double residual = -1;
  CHECK(cusolverDnCreateGesvdjInfo(&params) == CUSOLVER_STATUS_SUCCESS);
  CHECK(cusolverDnXgesvdjSetTolerance(params, 1e-7) == CUSOLVER_STATUS_SUCCESS);
  CHECK(cusolverDnXgesvdjSetTolerance(params, -1) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(cusolverDnXgesvdjSetMaxSweeps(params, -1) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(cusolverDnXgesvdjSetMaxSweeps(params, 20) == CUSOLVER_STATUS_SUCCESS);
  CHECK(cusolverDnXgesvdjSetSortEig(params, 1) == CUSOLVER_STATUS_SUCCESS);
  const auto size = [&](int stride, cusolverEigMode_t mode, gesvdjInfo_t with) {
    return C::gesvdj_size(
        h, mode, economic, m, n, da.device(), stride, s.device(), u.device(), m, v.device(), n, &elements, with);
  };
  CHECK(size(m - 1, CUSOLVER_EIG_MODE_VECTOR, params) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(size(lda, cusolverEigMode_t(2), params) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(size(lda, CUSOLVER_EIG_MODE_VECTOR, nullptr) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(size(lda, CUSOLVER_EIG_MODE_VECTOR, params) == CUSOLVER_STATUS_SUCCESS && elements > 0);
  Buffer<T> work{size_t(elements)};
  const auto run = [&](cusolverEigMode_t mode, int count) {
    return C::gesvdj(
        h,
        mode,
        economic,
        m,
        n,
        da.device(),
        lda,
        s.device(),
        u.device(),
        m,
        v.device(),
        n,
        work.device(),
        count,
        info.device(),
        params);
  };
  CHECK(run(CUSOLVER_EIG_MODE_VECTOR, elements - 1) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(run(CUSOLVER_EIG_MODE_VECTOR, elements) == CUSOLVER_STATUS_SUCCESS && info.get()[0] == 0);
  const auto values = s.get();
  CHECK(worst<T>(m, n, least, u.get(), m, values.data(), v.get(), n, a, lda) <= 10 * kBound<T>);
  CHECK(not_orthonormal<T>(m, economic ? least : m, u.get(), m) <= kBound<T>);
  CHECK(not_orthonormal<T>(n, economic ? least : n, v.get(), n) <= kBound<T>);
  CHECK(cusolverDnXgesvdjGetResidual(h, params, &residual) == CUSOLVER_STATUS_SUCCESS);
  CHECK(residual >= 0 && residual <= 100 * kBound<T>);
  CHECK(cusolverDnXgesvdjGetSweeps(h, params, &sweeps) == CUSOLVER_STATUS_SUCCESS && sweeps == 0);
  CU(cuMemcpyHtoD(da.p, a.data(), a.size() * sizeof(T)));
  CHECK(run(CUSOLVER_EIG_MODE_NOVECTOR, elements) == CUSOLVER_STATUS_SUCCESS);
  const auto alone = s.get();
  for (int i = 0; i < least; ++i)
    CHECK(std::abs(double(alone[size_t(i)]) - double(values[size_t(i)])) <= 10 * kBound<T>);
  CHECK(cusolverDnDestroyGesvdjInfo(params) == CUSOLVER_STATUS_SUCCESS);
  CHECK(cusolverDnDestroyGesvdjInfo(params) == CUSOLVER_STATUS_INVALID_VALUE);
}

template <class T>
void all(cusolverDnHandle_t h) {
  cholesky<T>(h);
  qr<T>(h);
  singular_values<T>(h);
  jacobi<T>(h, 8, 5, 0);
  jacobi<T>(h, 8, 5, 1);
  jacobi<T>(h, 4, 7, 0);
  jacobi<T>(h, 4, 7, 1);
}
}   // namespace

TEST_GROUP(solver) {
  cusolverDnHandle_t h = nullptr;
  const cusolverStatus_t status = cusolverDnCreate(&h);
  check(status == CUSOLVER_STATUS_SUCCESS, std::string("cusolverDnCreate: ") + spectralCpuLastError());
  if (status)
    return;
  CUstream s = nullptr;
  CUstream got = nullptr;
  CHECK_STATUS(cuStreamCreate(&s, 0), CUDA_SUCCESS);
  CHECK(cusolverDnSetStream(h, s) == CUSOLVER_STATUS_SUCCESS);
  CHECK(cusolverDnGetStream(h, &got) == CUSOLVER_STATUS_SUCCESS && got == s);
  CHECK(cusolverDnSetStream(h, reinterpret_cast<CUstream>(&s)) == CUSOLVER_STATUS_INVALID_VALUE);
  CHECK(cusolverDnGetStream(h, nullptr) == CUSOLVER_STATUS_INVALID_VALUE);
  all<float>(h);
  all<double>(h);
  CHECK(cusolverDnDestroy(h) == CUSOLVER_STATUS_SUCCESS);
  CHECK(cusolverDnDestroy(h) == CUSOLVER_STATUS_NOT_INITIALIZED);
  CHECK_STATUS(cuStreamDestroy(s), CUDA_SUCCESS);
}
