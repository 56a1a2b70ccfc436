// The cuSOLVER entry points on the LAPACK inside OpenBLAS, one thread per call: handles, Cholesky and QR factors,
// inverses of triangles.
#include "solver_handle.h"

using namespace spectral::cpu;

namespace {
constexpr auto kF64 = cudaDataType(1);   // CUDA_R_64F

Handles<cusolverDnContext> handles;

bool known(cublasFillMode_t fill) { return fill == CUBLAS_FILL_MODE_LOWER || fill == CUBLAS_FILL_MODE_UPPER; }
const char* triangle(cublasFillMode_t fill) { return fill == CUBLAS_FILL_MODE_UPPER ? "U" : "L"; }

template <class T>
using Potrf = void(const char* uplo, const int* n, T* a, const int* lda, int* info);
template <class T>
using Potrs =
    void(const char* uplo, const int* n, const int* nrhs, const T* a, const int* lda, T* b, const int* ldb, int* info);
template <class T>
using Trtri = void(const char* uplo, const char* diag, const int* n, T* a, const int* lda, int* info);
template <class T>
using Geqrf = void(const int* m, const int* n, T* a, const int* lda, T* tau, T* work, const int* lwork, int* info);
template <class T>
using Orgqr = void(
    const int* m, const int* n, const int* k, T* a, const int* lda, const T* tau, T* work, const int* lwork, int* info);

cusolverStatus_t potrf_size(cusolverDnHandle_t h, cublasFillMode_t fill, int n, int lda, int* elements) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(known(fill) && n >= 0 && lda >= std::max(1, n) && elements);
  *elements = 1;   // LAPACK's works in place; a caller still has a buffer to give, as on a GPU
  return CUSOLVER_STATUS_SUCCESS;
}
template <class T>
cusolverStatus_t factor(
    cusolverDnHandle_t h, cublasFillMode_t fill, int n, T* a, int lda, const T* work, int elements, int* info) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(known(fill) && n >= 0 && lda >= std::max(1, n) && info && (n == 0 || (a && work && elements >= 1)));
  SOLVER_LAPACK(potrf, Potrf, T);
  *info = 0;
  if (n)
    potrf(triangle(fill), &n, a, &lda, info);
  return CUSOLVER_STATUS_SUCCESS;
}
template <class T>
cusolverStatus_t solve(
    cusolverDnHandle_t h, cublasFillMode_t fill, int n, int sides, const T* a, int lda, T* b, int ldb, int* info) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(
      known(fill) && n >= 0 && sides >= 0 && lda >= std::max(1, n) && ldb >= std::max(1, n) && info &&
      (!n || !sides || (a && b)));
  SOLVER_LAPACK(potrs, Potrs, T);
  *info = 0;
  if (n && sides)
    potrs(triangle(fill), &n, &sides, a, &lda, b, &ldb, info);
  return CUSOLVER_STATUS_SUCCESS;
}
template <class T>
cusolverStatus_t qr_size(cusolverDnHandle_t h, int m, int n, T* a, int lda, int* elements) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(m >= 0 && n >= 0 && lda >= std::max(1, m) && elements);
  SOLVER_LAPACK(geqrf, Geqrf, T);
  T work = 1;
  T tau;
  int query = -1;
  int info;
  geqrf(&m, &n, a, &lda, &tau, &work, &query, &info);
  *elements = reported(work);
  return CUSOLVER_STATUS_SUCCESS;
}
template <class T>
cusolverStatus_t qr(cusolverDnHandle_t h, int m, int n, T* a, int lda, T* tau, T* work, int elements, int* info) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(
      m >= 0 && n >= 0 && lda >= std::max(1, m) && info &&
      (std::min(m, n) == 0 || (a && tau && work && elements >= std::max(1, n))));
  SOLVER_LAPACK(geqrf, Geqrf, T);
  *info = 0;
  if (std::min(m, n))
    geqrf(&m, &n, a, &lda, tau, work, &elements, info);
  return CUSOLVER_STATUS_SUCCESS;
}
template <class T>
cusolverStatus_t q_size(cusolverDnHandle_t h, int m, int n, int k, const T* a, int lda, const T* tau, int* elements) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(k >= 0 && n >= k && m >= n && lda >= std::max(1, m) && elements);
  SOLVER_LAPACK(orgqr, Orgqr, T);
  T work = 1;
  int query = -1;
  int info;
  orgqr(&m, &n, &k, const_cast<T*>(a), &lda, tau, &work, &query, &info);   // a query writes nothing but work
  *elements = reported(work);
  return CUSOLVER_STATUS_SUCCESS;
}
template <class T>
cusolverStatus_t q(
    cusolverDnHandle_t h, int m, int n, int k, T* a, int lda, const T* tau, T* work, int elements, int* info) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(
      k >= 0 && n >= k && m >= n && lda >= std::max(1, m) && info && (n == 0 || (a && tau && work && elements >= n)));
  SOLVER_LAPACK(orgqr, Orgqr, T);
  *info = 0;
  if (n)
    orgqr(&m, &n, &k, a, &lda, tau, work, &elements, info);
  return CUSOLVER_STATUS_SUCCESS;
}
}   // namespace

namespace spectral::cpu {
cusolverStatus_t check_handle(cusolverDnHandle_t h) {
  if (!handles.has(h))
    return CUSOLVER_STATUS_NOT_INITIALIZED;
  // Factorisations run in the call, after all that was submitted before.
  return check_context() == CUDA_SUCCESS && finish_context() == CUDA_SUCCESS ? CUSOLVER_STATUS_SUCCESS
                                                                             : CUSOLVER_STATUS_EXECUTION_FAILED;
}
}   // namespace spectral::cpu

#define FACTOR_CALLS(T, S)                                                                                             \
  cusolverStatus_t cusolverDn##S##potrf_bufferSize(                                                                    \
      cusolverDnHandle_t h, cublasFillMode_t fill, int n, T*, int lda, int* elements) {                                \
    return potrf_size(h, fill, n, lda, elements);                                                                      \
  }                                                                                                                    \
  cusolverStatus_t cusolverDn##S##potrf(                                                                               \
      cusolverDnHandle_t h, cublasFillMode_t fill, int n, T* a, int lda, T* work, int elements, int* info) {           \
    return factor(h, fill, n, a, lda, work, elements, info);                                                           \
  }                                                                                                                    \
  cusolverStatus_t cusolverDn##S##potrs(                                                                               \
      cusolverDnHandle_t h, cublasFillMode_t fill, int n, int sides, const T* a, int lda, T* b, int ldb, int* info) {  \
    return solve(h, fill, n, sides, a, lda, b, ldb, info);                                                             \
  }                                                                                                                    \
  cusolverStatus_t cusolverDn##S##geqrf_bufferSize(cusolverDnHandle_t h, int m, int n, T* a, int lda, int* elements) { \
    return qr_size(h, m, n, a, lda, elements);                                                                         \
  }                                                                                                                    \
  cusolverStatus_t cusolverDn##S##geqrf(                                                                               \
      cusolverDnHandle_t h, int m, int n, T* a, int lda, T* tau, T* work, int elements, int* info) {                   \
    return qr(h, m, n, a, lda, tau, work, elements, info);                                                             \
  }                                                                                                                    \
  cusolverStatus_t cusolverDn##S##orgqr_bufferSize(                                                                    \
      cusolverDnHandle_t h, int m, int n, int k, const T* a, int lda, const T* tau, int* elements) {                   \
    return q_size(h, m, n, k, a, lda, tau, elements);                                                                  \
  }                                                                                                                    \
  cusolverStatus_t cusolverDn##S##orgqr(                                                                               \
      cusolverDnHandle_t h, int m, int n, int k, T* a, int lda, const T* tau, T* work, int elements, int* info) {      \
    return q(h, m, n, k, a, lda, tau, work, elements, info);                                                           \
  }

extern "C" {
cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t* h) {
  SOLVER_REQUIRE(h);
  if (check_context() != CUDA_SUCCESS || !openblas_symbol("dgesdd_"))
    return CUSOLVER_STATUS_NOT_INITIALIZED;
  *h = handles.add(new cusolverDnContext{current_context()});
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnDestroy(cusolverDnHandle_t h) {
  if (!handles.remove(h))
    return CUSOLVER_STATUS_NOT_INITIALIZED;
  delete h;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t h, CUstream s) {
  SOLVER_TRY(check_handle(h));
  if (check_stream(s) != CUDA_SUCCESS)
    return CUSOLVER_STATUS_INVALID_VALUE;
  if (capturing(s))   // factorisations are not kept for graphs here
    return CUSOLVER_STATUS_EXECUTION_FAILED;
  h->stream = s;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnGetStream(cusolverDnHandle_t h, CUstream* s) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(s);
  *s = h->stream;
  return CUSOLVER_STATUS_SUCCESS;
}

FACTOR_CALLS(float, S)
FACTOR_CALLS(double, D)

cusolverStatus_t cusolverDnXtrtri_bufferSize(
    cusolverDnHandle_t h, cublasFillMode_t fill, cublasDiagType_t diagonal, int64_t n, cudaDataType type, void*,
    int64_t lda, size_t* device_bytes, size_t* host_bytes) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(
      known(fill) && (diagonal == CUBLAS_DIAG_NON_UNIT || diagonal == CUBLAS_DIAG_UNIT) && n >= 0 &&
      lda >= std::max<int64_t>(1, n));
  SOLVER_REQUIRE(n <= INT32_MAX && lda <= INT32_MAX && device_bytes && host_bytes);
  if (type != kF64)
    return CUSOLVER_STATUS_NOT_SUPPORTED;
  *device_bytes = sizeof(double);
  *host_bytes = sizeof(int);   // a note of the order, so that callers are seen to bring the memory
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnXtrtri(
    cusolverDnHandle_t h, cublasFillMode_t fill, cublasDiagType_t diagonal, int64_t n, cudaDataType type, void* A,
    int64_t lda, void* device_work, size_t device_bytes, void* host_work, size_t host_bytes, int* devInfo) {
  size_t device_wanted, host_wanted;
  SOLVER_TRY(cusolverDnXtrtri_bufferSize(h, fill, diagonal, n, type, A, lda, &device_wanted, &host_wanted));
  SOLVER_REQUIRE(devInfo && host_work && host_bytes >= host_wanted);
  SOLVER_REQUIRE(n == 0 || (A && device_work && device_bytes >= device_wanted));
  SOLVER_LAPACK(trtri, Trtri, double);
  const int order = int(n);
  const int stride = int(lda);
  std::memcpy(host_work, &order, sizeof order);
  *devInfo = 0;
  if (n)
    trtri(triangle(fill), diagonal == CUBLAS_DIAG_UNIT ? "U" : "N", &order, static_cast<double*>(A), &stride, devInfo);
  return CUSOLVER_STATUS_SUCCESS;
}
}
