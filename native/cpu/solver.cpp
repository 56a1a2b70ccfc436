// The cuSOLVER entry points on the LAPACK inside OpenBLAS, one thread per call.
#include "capture.h"
#include "openblas.h"
#include "solver_api.h"
#include <algorithm>
#include <vector>

using namespace spectral::cpu;

struct cusolverDnContext {
  CUcontext context;
};

namespace {
constexpr auto kF64 = cudaDataType(1);   // CUDA_R_64F

Handles<cusolverDnContext> handles;

cusolverStatus_t check_handle(cusolverDnHandle_t h) {
  if (!handles.has(h))
    return CUSOLVER_STATUS_NOT_INITIALIZED;
  // Factorisations run in the call, after all that was submitted before.
  return check_context() == CUDA_SUCCESS && finish_context() == CUDA_SUCCESS ? CUSOLVER_STATUS_SUCCESS
                                                                             : CUSOLVER_STATUS_EXECUTION_FAILED;
}
bool known(cublasFillMode_t fill) { return fill == CUBLAS_FILL_MODE_LOWER || fill == CUBLAS_FILL_MODE_UPPER; }
const char* triangle(cublasFillMode_t fill) { return fill == CUBLAS_FILL_MODE_UPPER ? "U" : "L"; }

// Workspace that LAPACK asks for: each routine reports it as the first element of its work array when asked with length
// -1.
template <class T>
int reported(T work) {
  return std::max(1, int(work));
}

using Dpotrf = void(const char* uplo, const int* n, double* a, const int* lda, int* info);
using Dtrtri = void(const char* uplo, const char* diag, const int* n, double* a, const int* lda, int* info);
using Sgeqrf =
    void(const int* m, const int* n, float* a, const int* lda, float* tau, float* work, const int* lwork, int* info);
using Sorgqr = void(
    const int* m, const int* n, const int* k, float* a, const int* lda, const float* tau, float* work, const int* lwork,
    int* info);
using Dgesdd = void(
    const char* job, const int* m, const int* n, double* a, const int* lda, double* s, double* u, const int* ldu,
    double* vt, const int* ldvt, double* work, const int* lwork, int* iwork, int* info);
using Dgesvd = void(
    const char* jobu, const char* jobvt, const int* m, const int* n, double* a, const int* lda, double* s, double* u,
    const int* ldu, double* vt, const int* ldvt, double* work, const int* lwork, int* info);
}   // namespace

#define SOLVER_TRY(call)                       \
  if (const cusolverStatus_t status_ = (call)) \
  return status_
#define SOLVER_REQUIRE(condition) \
  if (!(condition))               \
  return CUSOLVER_STATUS_INVALID_VALUE
#define SOLVER_LAPACK(type, name, symbol)              \
  static auto* name = openblas_function<type>(symbol); \
  if (!name)                                           \
  return CUSOLVER_STATUS_NOT_INITIALIZED

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
  return capturing(s) ? CUSOLVER_STATUS_EXECUTION_FAILED
                      : CUSOLVER_STATUS_SUCCESS;   // factorisations are not kept for graphs here
}

cusolverStatus_t cusolverDnDpotrf_bufferSize(
    cusolverDnHandle_t h, cublasFillMode_t fill, int n, double*, int lda, int* elements) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(known(fill) && n >= 0 && lda >= std::max(1, n) && elements);
  *elements = 1;   // LAPACK's works in place; a caller still has a buffer to give, as on a GPU
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnDpotrf(
    cusolverDnHandle_t h, cublasFillMode_t fill, int n, double* A, int lda, double* work, int elements, int* devInfo) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(known(fill) && n >= 0 && lda >= std::max(1, n) && devInfo && (n == 0 || (A && work && elements >= 1)));
  SOLVER_LAPACK(Dpotrf, dpotrf, "dpotrf_");
  *devInfo = 0;
  if (n)
    dpotrf(triangle(fill), &n, A, &lda, devInfo);
  return CUSOLVER_STATUS_SUCCESS;
}

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
  *host_bytes = 0;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnXtrtri(
    cusolverDnHandle_t h, cublasFillMode_t fill, cublasDiagType_t diagonal, int64_t n, cudaDataType type, void* A,
    int64_t lda, void* device_work, size_t device_bytes, void*, size_t, int* devInfo) {
  size_t device_wanted, host_wanted;
  SOLVER_TRY(cusolverDnXtrtri_bufferSize(h, fill, diagonal, n, type, A, lda, &device_wanted, &host_wanted));
  SOLVER_REQUIRE(devInfo && (n == 0 || (A && device_work && device_bytes >= device_wanted)));
  SOLVER_LAPACK(Dtrtri, dtrtri, "dtrtri_");
  const int order = int(n);
  const int stride = int(lda);
  *devInfo = 0;
  if (n)
    dtrtri(triangle(fill), diagonal == CUBLAS_DIAG_UNIT ? "U" : "N", &order, static_cast<double*>(A), &stride, devInfo);
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnSgeqrf_bufferSize(cusolverDnHandle_t h, int m, int n, float* A, int lda, int* elements) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(m >= 0 && n >= 0 && lda >= std::max(1, m) && elements);
  SOLVER_LAPACK(Sgeqrf, sgeqrf, "sgeqrf_");
  float work = 1;
  float tau;
  int query = -1;
  int info;
  sgeqrf(&m, &n, A, &lda, &tau, &work, &query, &info);
  *elements = reported(work);
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnSgeqrf(
    cusolverDnHandle_t h, int m, int n, float* A, int lda, float* tau, float* work, int elements, int* devInfo) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(
      m >= 0 && n >= 0 && lda >= std::max(1, m) && devInfo &&
      (std::min(m, n) == 0 || (A && tau && work && elements >= std::max(1, n))));
  SOLVER_LAPACK(Sgeqrf, sgeqrf, "sgeqrf_");
  *devInfo = 0;
  if (std::min(m, n))
    sgeqrf(&m, &n, A, &lda, tau, work, &elements, devInfo);
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnSorgqr_bufferSize(
    cusolverDnHandle_t h, int m, int n, int k, const float* A, int lda, const float* tau, int* elements) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(k >= 0 && n >= k && m >= n && lda >= std::max(1, m) && elements);
  SOLVER_LAPACK(Sorgqr, sorgqr, "sorgqr_");
  float work = 1;
  int query = -1;
  int info;
  sorgqr(&m, &n, &k, const_cast<float*>(A), &lda, tau, &work, &query, &info);   // a query writes nothing but work
  *elements = reported(work);
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnSorgqr(
    cusolverDnHandle_t h, int m, int n, int k, float* A, int lda, const float* tau, float* work, int elements,
    int* devInfo) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(
      k >= 0 && n >= k && m >= n && lda >= std::max(1, m) && devInfo &&
      (n == 0 || (A && tau && work && elements >= n)));
  SOLVER_LAPACK(Sorgqr, sorgqr, "sorgqr_");
  *devInfo = 0;
  if (n)
    sorgqr(&m, &n, &k, A, &lda, tau, work, &elements, devInfo);
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnDgesvd_bufferSize(cusolverDnHandle_t h, int m, int n, int* elements) {
  SOLVER_TRY(check_handle(h));
  SOLVER_REQUIRE(n >= 0 && m >= n && elements);
  SOLVER_LAPACK(Dgesdd, dgesdd, "dgesdd_");
  SOLVER_LAPACK(Dgesvd, dgesvd, "dgesvd_");
  const int ld = std::max(1, m);
  const int query = -1;
  double divide = 1;
  double plain = 1;
  double unused = 0;
  int info;
  int iunused = 0;
  dgesdd("A", &m, &n, &unused, &ld, &unused, &unused, &ld, &unused, &ld, &divide, &query, &iunused, &info);
  dgesvd("A", "A", &m, &n, &unused, &ld, &unused, &unused, &ld, &unused, &ld, &plain, &query, &info);
  *elements = std::max(reported(divide), reported(plain));
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnDgesvd(
    cusolverDnHandle_t h, signed char jobu, signed char jobvt, int m, int n, double* A, int lda, double* S, double* U,
    int ldu, double* VT, int ldvt, double* work, int elements, double*, int* devInfo) {
  SOLVER_TRY(check_handle(h));
  const char job[] = {char(jobu), 0};
  SOLVER_REQUIRE(job[0] == 'A' || job[0] == 'S' || job[0] == 'N');
  if (jobvt != jobu)
    return CUSOLVER_STATUS_NOT_SUPPORTED;
  const bool vectors = jobu != 'N';
  SOLVER_REQUIRE(n >= 0 && m >= n && lda >= std::max(1, m) && devInfo);
  SOLVER_REQUIRE(ldu >= (vectors ? std::max(1, m) : 1) && ldvt >= (vectors ? std::max(1, n) : 1));
  int wanted;
  SOLVER_TRY(cusolverDnDgesvd_bufferSize(h, m, n, &wanted));
  SOLVER_REQUIRE(n == 0 || (A && S && work && elements >= wanted && (!vectors || (U && VT))));
  *devInfo = 0;
  if (!n)
    return CUSOLVER_STATUS_SUCCESS;
  SOLVER_LAPACK(Dgesdd, dgesdd, "dgesdd_");
  SOLVER_LAPACK(Dgesvd, dgesvd, "dgesvd_");
  // Divide and conquer is several times faster; where it does not converge the QR iteration gets the untouched matrix.
  std::vector<double> copy(size_t(m) * n);
  for (int c = 0; c < n; ++c)
    std::copy_n(A + size_t(c) * lda, m, copy.data() + size_t(c) * m);
  std::vector<int> iwork(8 * size_t(n));
  dgesdd(job, &m, &n, A, &lda, S, U, &ldu, VT, &ldvt, work, &elements, iwork.data(), devInfo);
  if (*devInfo > 0)
    dgesvd(job, job, &m, &n, copy.data(), &m, S, U, &ldu, VT, &ldvt, work, &elements, devInfo);
  return CUSOLVER_STATUS_SUCCESS;
}
}
