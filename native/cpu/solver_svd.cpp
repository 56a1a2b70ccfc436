// Singular value decompositions of cuSOLVER. LAPACK's divide and conquer does both: it is several times faster than the
// QR iteration, which takes over where it does not converge, and there is no Jacobi method here.
#include "solver_handle.h"
#include <cmath>
#include <vector>

struct gesvdjInfo {
  double residual = 0;   // of the latest decomposition with vectors
};

using namespace spectral::cpu;

namespace {
template <class T>
using Gesdd = void(
    const char* job, const int* m, const int* n, T* a, const int* lda, T* s, T* u, const int* ldu, T* vt,
    const int* ldvt, T* work, const int* lwork, int* iwork, int* info);
template <class T>
using Gesvd = void(
    const char* jobu, const char* jobvt, const int* m, const int* n, T* a, const int* lda, T* s, T* u, const int* ldu,
    T* vt, const int* ldvt, T* work, const int* lwork, int* info);

std::mutex mutex;   // guards the next
std::unordered_set<gesvdjInfo_t> infos;
bool known(gesvdjInfo_t info) {
  std::lock_guard l(mutex);
  return infos.count(info);
}

// Elements of workspace for either method.
template <class T>
cusolverStatus_t work_size(int m, int n, int* elements) {
  SOLVER_LAPACK(gesdd, Gesdd, T);
  SOLVER_LAPACK(gesvd, Gesvd, T);
  const int ld = std::max({1, m, n});
  const int query = -1;
  T divide = 1;
  T plain = 1;
  T unused = 0;
  int info;
  int iunused = 0;
  gesdd("A", &m, &n, &unused, &ld, &unused, &unused, &ld, &unused, &ld, &divide, &query, &iunused, &info);
  gesvd("A", "A", &m, &n, &unused, &ld, &unused, &unused, &ld, &unused, &ld, &plain, &query, &info);
  *elements = std::max(reported(divide), reported(plain));
  return CUSOLVER_STATUS_SUCCESS;
}
template <class T>
std::vector<T> dense(const T* a, int m, int n, int lda) {
  std::vector<T> copy(size_t(m) * size_t(n));
  for (int c = 0; c < n; ++c)
    std::copy_n(a + size_t(c) * size_t(lda), m, copy.data() + size_t(c) * size_t(m));
  return copy;
}
// The decomposition of a, which is destroyed, from `copy`, which is too; all sizes are positive.
template <class T>
cusolverStatus_t decompose(
    const char* job, int m, int n, T* a, int lda, std::vector<T> copy, T* s, T* u, int ldu, T* vt, int ldvt, T* work,
    int elements, int* info) {
  SOLVER_LAPACK(gesdd, Gesdd, T);
  SOLVER_LAPACK(gesvd, Gesvd, T);
  std::vector<int> iwork(8 * size_t(std::min(m, n)));
  gesdd(job, &m, &n, a, &lda, s, u, &ldu, vt, &ldvt, work, &elements, iwork.data(), info);
  if (*info > 0)
    gesvd(job, job, &m, &n, copy.data(), &m, s, u, &ldu, vt, &ldvt, work, &elements, info);
  return CUSOLVER_STATUS_SUCCESS;
}

template <class T>
cusolverStatus_t svd_size(cusolverDnHandle_t h, int m, int n, int* elements) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(n >= 0 && m >= n && elements);
  return work_size<T>(m, n, elements);
}
template <class T>
cusolverStatus_t svd(
    cusolverDnHandle_t h, signed char jobu, signed char jobvt, int m, int n, T* a, int lda, T* s, T* u, int ldu, T* vt,
    int ldvt, T* work, int elements, int* info) {
  SOLVER_TRY(check_handle(h));
  const char job[] = {char(jobu), 0};
  SOLVER_REQUIRE(job[0] == 'A' || job[0] == 'S' || job[0] == 'N');
  if (jobvt != jobu)
    return CUSOLVER_STATUS_NOT_SUPPORTED;
  const bool vectors = jobu != 'N';
  SOLVER_REQUIRE(n >= 0 && m >= n && lda >= std::max(1, m) && info);
  SOLVER_REQUIRE(ldu >= (vectors ? std::max(1, m) : 1) && ldvt >= (vectors ? std::max(1, n) : 1));
  int wanted;
  SOLVER_TRY(work_size<T>(m, n, &wanted));
  SOLVER_REQUIRE(n == 0 || (a && s && work && elements >= wanted && (!vectors || (u && vt))));
  *info = 0;
  if (!n)
    return CUSOLVER_STATUS_SUCCESS;
  return decompose(job, m, n, a, lda, dense(a, m, n, lda), s, u, ldu, vt, ldvt, work, elements, info);
}

// |A - U S V^T| in the Frobenius norm.
template <class T>
double residual(const std::vector<T>& a, int m, int n, const T* s, const T* u, int ldu, const T* v, int ldv) {
  double squares = 0;
  for (int c = 0; c < n; ++c)
    for (int r = 0; r < m; ++r) {
      double left = double(a[size_t(c) * size_t(m) + size_t(r)]);
      for (int i = 0; i < std::min(m, n); ++i)
        left -= double(u[size_t(i) * size_t(ldu) + size_t(r)]) * s[i] * v[size_t(i) * size_t(ldv) + size_t(c)];
      squares += left * left;
    }
  return std::sqrt(squares);
}
template <class T>
cusolverStatus_t jacobi_size(
    cusolverDnHandle_t h, cusolverEigMode_t mode, int m, int n, int lda, int ldu, int ldv, int* elements,
    gesvdjInfo_t params) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(mode == CUSOLVER_EIG_MODE_NOVECTOR || mode == CUSOLVER_EIG_MODE_VECTOR);
  SOLVER_REQUIRE(m >= 0 && n >= 0 && lda >= std::max(1, m) && elements && known(params));
  SOLVER_REQUIRE(!mode || (ldu >= std::max(1, m) && ldv >= std::max(1, n)));
  return work_size<T>(m, n, elements);
}
template <class T>
cusolverStatus_t jacobi(
    cusolverDnHandle_t h, cusolverEigMode_t mode, int economic, int m, int n, T* a, int lda, T* s, T* u, int ldu, T* v,
    int ldv, T* work, int elements, int* info, gesvdjInfo_t params) {
  int wanted;
  SOLVER_TRY(jacobi_size<T>(h, mode, m, n, lda, ldu, ldv, &wanted, params));
  const bool vectors = mode == CUSOLVER_EIG_MODE_VECTOR;
  const int least = std::min(m, n);
  SOLVER_REQUIRE(info && (!least || (a && s && work && elements >= wanted && (!vectors || (u && v)))));
  *info = 0;
  if (!least)
    return CUSOLVER_STATUS_SUCCESS;
  const int right = economic ? least : n;   // right vectors
  std::vector<T> vt(vectors ? size_t(right) * size_t(n) : 1);
  const char* job = "N";
  if (vectors)
    job = economic ? "S" : "A";
  const std::vector<T> original = dense(a, m, n, lda);
  SOLVER_TRY(decompose(job, m, n, a, lda, original, s, u, ldu, vt.data(), right, work, elements, info));
  if (!vectors)
    return CUSOLVER_STATUS_SUCCESS;
  for (int i = 0; i < right; ++i)
    for (int c = 0; c < n; ++c)
      v[size_t(i) * size_t(ldv) + size_t(c)] = vt[size_t(c) * size_t(right) + size_t(i)];
  params->residual = residual(original, m, n, s, u, ldu, v, ldv);
  return CUSOLVER_STATUS_SUCCESS;
}
}   // namespace

#define SVD_CALLS(T, S)                                                                                 \
  cusolverStatus_t cusolverDn##S##gesvd_bufferSize(cusolverDnHandle_t h, int m, int n, int* elements) { \
    return svd_size<T>(h, m, n, elements);                                                              \
  }                                                                                                     \
  cusolverStatus_t cusolverDn##S##gesvd(                                                                \
      cusolverDnHandle_t h,                                                                             \
      signed char jobu,                                                                                 \
      signed char jobvt,                                                                                \
      int m,                                                                                            \
      int n,                                                                                            \
      T* a,                                                                                             \
      int lda,                                                                                          \
      T* s,                                                                                             \
      T* u,                                                                                             \
      int ldu,                                                                                          \
      T* vt,                                                                                            \
      int ldvt,                                                                                         \
      T* work,                                                                                          \
      int elements,                                                                                     \
      T*,                                                                                               \
      int* info) {                                                                                      \
    return svd(h, jobu, jobvt, m, n, a, lda, s, u, ldu, vt, ldvt, work, elements, info);                \
  }                                                                                                     \
  cusolverStatus_t cusolverDn##S##gesvdj_bufferSize(                                                    \
      cusolverDnHandle_t h,                                                                             \
      cusolverEigMode_t mode,                                                                           \
      int,                                                                                              \
      int m,                                                                                            \
      int n,                                                                                            \
      const T*,                                                                                         \
      int lda,                                                                                          \
      const T*,                                                                                         \
      const T*,                                                                                         \
      int ldu,                                                                                          \
      const T*,                                                                                         \
      int ldv,                                                                                          \
      int* elements,                                                                                    \
      gesvdjInfo_t params) {                                                                            \
    return jacobi_size<T>(h, mode, m, n, lda, ldu, ldv, elements, params);                              \
  }                                                                                                     \
  cusolverStatus_t cusolverDn##S##gesvdj(                                                               \
      cusolverDnHandle_t h,                                                                             \
      cusolverEigMode_t mode,                                                                           \
      int economic,                                                                                     \
      int m,                                                                                            \
      int n,                                                                                            \
      T* a,                                                                                             \
      int lda,                                                                                          \
      T* s,                                                                                             \
      T* u,                                                                                             \
      int ldu,                                                                                          \
      T* v,                                                                                             \
      int ldv,                                                                                          \
      T* work,                                                                                          \
      int elements,                                                                                     \
      int* info,                                                                                        \
      gesvdjInfo_t params) {                                                                            \
    return jacobi(h, mode, economic, m, n, a, lda, s, u, ldu, v, ldv, work, elements, info, params);    \
  }

extern "C" {
SVD_CALLS(float, S)
SVD_CALLS(double, D)

cusolverStatus_t cusolverDnCreateGesvdjInfo(gesvdjInfo_t* info) {
  SOLVER_REQUIRE(info);
  *info = new gesvdjInfo;
  std::lock_guard l(mutex);
  infos.insert(*info);
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnDestroyGesvdjInfo(gesvdjInfo_t info) {
  std::lock_guard l(mutex);
  SOLVER_REQUIRE(infos.erase(info));
  delete info;
  return CUSOLVER_STATUS_SUCCESS;
}
// These bound a Jacobi method; LAPACK's reaches the type's own accuracy, and sorts, in any case.
cusolverStatus_t cusolverDnXgesvdjSetTolerance(gesvdjInfo_t info, double tolerance) {
  SOLVER_REQUIRE(known(info) && tolerance >= 0);
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnXgesvdjSetMaxSweeps(gesvdjInfo_t info, int sweeps) {
  SOLVER_REQUIRE(known(info) && sweeps >= 0);
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnXgesvdjSetSortEig(gesvdjInfo_t info, int) {
  SOLVER_REQUIRE(known(info));
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnXgesvdjGetResidual(cusolverDnHandle_t h, gesvdjInfo_t info, double* residual) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(known(info) && residual);
  *residual = info->residual;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnXgesvdjGetSweeps(cusolverDnHandle_t h, gesvdjInfo_t info, int* sweeps) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(known(info) && sweeps);
  *sweeps = 0;
  return CUSOLVER_STATUS_SUCCESS;
}
}
