// The subset of cusolverDn.h that the CPU device implements, with the toolkit's names, values and signatures.
// Everything is column-major; devInfo is written on the device: 0, -i for argument i, or the routine's own count of
// failures.
#pragma once
#include "blas_api.h"

extern "C" {
typedef enum {
  CUSOLVER_STATUS_SUCCESS = 0,
  CUSOLVER_STATUS_NOT_INITIALIZED = 1,
  CUSOLVER_STATUS_ALLOC_FAILED = 2,
  CUSOLVER_STATUS_INVALID_VALUE = 3,
  CUSOLVER_STATUS_EXECUTION_FAILED = 6,
  CUSOLVER_STATUS_INTERNAL_ERROR = 7,
  CUSOLVER_STATUS_NOT_SUPPORTED = 9
} cusolverStatus_t;
typedef struct cusolverDnContext* cusolverDnHandle_t;

cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t*);
cusolverStatus_t cusolverDnDestroy(cusolverDnHandle_t);
cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t, CUstream);
cusolverStatus_t cusolverDnGetStream(cusolverDnHandle_t, CUstream*);
// Inverse of a triangle in place, F64 here; devInfo i > 0: diagonal element i is zero.
cusolverStatus_t cusolverDnXtrtri_bufferSize(
    cusolverDnHandle_t, cublasFillMode_t fill, cublasDiagType_t, int64_t n, cudaDataType, void* A, int64_t lda,
    size_t* device_bytes, size_t* host_bytes);
cusolverStatus_t cusolverDnXtrtri(
    cusolverDnHandle_t, cublasFillMode_t fill, cublasDiagType_t, int64_t n, cudaDataType, void* A, int64_t lda,
    void* device_work, size_t device_bytes, void* host_work, size_t host_bytes, int* devInfo);
// Cholesky factor of the triangle `fill`; devInfo i > 0: the leading minor of order i is not positive definite. Then
// the solution of A X = B by it, in place of B.
cusolverStatus_t cusolverDnSpotrf_bufferSize(
    cusolverDnHandle_t, cublasFillMode_t fill, int n, float* A, int lda, int* elements);
cusolverStatus_t cusolverDnSpotrf(
    cusolverDnHandle_t, cublasFillMode_t fill, int n, float* A, int lda, float* work, int elements, int* devInfo);
cusolverStatus_t cusolverDnSpotrs(
    cusolverDnHandle_t, cublasFillMode_t fill, int n, int sides, const float* A, int lda, float* B, int ldb,
    int* devInfo);
cusolverStatus_t cusolverDnDpotrf_bufferSize(
    cusolverDnHandle_t, cublasFillMode_t fill, int n, double* A, int lda, int* elements);
cusolverStatus_t cusolverDnDpotrf(
    cusolverDnHandle_t, cublasFillMode_t fill, int n, double* A, int lda, double* work, int elements, int* devInfo);
cusolverStatus_t cusolverDnDpotrs(
    cusolverDnHandle_t, cublasFillMode_t fill, int n, int sides, const double* A, int lda, double* B, int ldb,
    int* devInfo);
// Householder QR of A [m, n], and the first n columns of Q [m, n] from its k reflectors.
cusolverStatus_t cusolverDnSgeqrf_bufferSize(cusolverDnHandle_t, int m, int n, float* A, int lda, int* elements);
cusolverStatus_t cusolverDnSgeqrf(
    cusolverDnHandle_t, int m, int n, float* A, int lda, float* tau, float* work, int elements, int* devInfo);
cusolverStatus_t cusolverDnSorgqr_bufferSize(
    cusolverDnHandle_t, int m, int n, int k, const float* A, int lda, const float* tau, int* elements);
cusolverStatus_t cusolverDnSorgqr(
    cusolverDnHandle_t, int m, int n, int k, float* A, int lda, const float* tau, float* work, int elements,
    int* devInfo);
cusolverStatus_t cusolverDnDgeqrf_bufferSize(cusolverDnHandle_t, int m, int n, double* A, int lda, int* elements);
cusolverStatus_t cusolverDnDgeqrf(
    cusolverDnHandle_t, int m, int n, double* A, int lda, double* tau, double* work, int elements, int* devInfo);
cusolverStatus_t cusolverDnDorgqr_bufferSize(
    cusolverDnHandle_t, int m, int n, int k, const double* A, int lda, const double* tau, int* elements);
cusolverStatus_t cusolverDnDorgqr(
    cusolverDnHandle_t, int m, int n, int k, double* A, int lda, const double* tau, double* work, int elements,
    int* devInfo);
// A = U diag(S) VT for m >= n, A destroyed. Both jobs 'A' (all of U and VT), 'S' (min(m,n) vectors) or 'N'
// (values only). devInfo i > 0: i superdiagonals did not converge.
cusolverStatus_t cusolverDnSgesvd_bufferSize(cusolverDnHandle_t, int m, int n, int* elements);
cusolverStatus_t cusolverDnSgesvd(
    cusolverDnHandle_t, signed char jobu, signed char jobvt, int m, int n, float* A, int lda, float* S, float* U,
    int ldu, float* VT, int ldvt, float* work, int elements, float* rwork, int* devInfo);
cusolverStatus_t cusolverDnDgesvd_bufferSize(cusolverDnHandle_t, int m, int n, int* elements);
cusolverStatus_t cusolverDnDgesvd(
    cusolverDnHandle_t, signed char jobu, signed char jobvt, int m, int n, double* A, int lda, double* S, double* U,
    int ldu, double* VT, int ldvt, double* work, int elements, double* rwork, int* devInfo);
// The same for any m and n, with V instead of its transpose: all of U and V, or with `economic` min(m,n) vectors.
typedef struct gesvdjInfo* gesvdjInfo_t;
typedef enum { CUSOLVER_EIG_MODE_NOVECTOR = 0, CUSOLVER_EIG_MODE_VECTOR = 1 } cusolverEigMode_t;
cusolverStatus_t cusolverDnCreateGesvdjInfo(gesvdjInfo_t*);
cusolverStatus_t cusolverDnDestroyGesvdjInfo(gesvdjInfo_t);
cusolverStatus_t cusolverDnXgesvdjSetTolerance(gesvdjInfo_t, double);
cusolverStatus_t cusolverDnXgesvdjSetMaxSweeps(gesvdjInfo_t, int);
cusolverStatus_t cusolverDnXgesvdjSetSortEig(gesvdjInfo_t, int);
cusolverStatus_t cusolverDnXgesvdjGetResidual(cusolverDnHandle_t, gesvdjInfo_t, double*);
cusolverStatus_t cusolverDnXgesvdjGetSweeps(cusolverDnHandle_t, gesvdjInfo_t, int*);
cusolverStatus_t cusolverDnSgesvdj_bufferSize(
    cusolverDnHandle_t, cusolverEigMode_t, int economic, int m, int n, const float* A, int lda, const float* S,
    const float* U, int ldu, const float* V, int ldv, int* elements, gesvdjInfo_t);
cusolverStatus_t cusolverDnSgesvdj(
    cusolverDnHandle_t, cusolverEigMode_t, int economic, int m, int n, float* A, int lda, float* S, float* U, int ldu,
    float* V, int ldv, float* work, int elements, int* devInfo, gesvdjInfo_t);
cusolverStatus_t cusolverDnDgesvdj_bufferSize(
    cusolverDnHandle_t, cusolverEigMode_t, int economic, int m, int n, const double* A, int lda, const double* S,
    const double* U, int ldu, const double* V, int ldv, int* elements, gesvdjInfo_t);
cusolverStatus_t cusolverDnDgesvdj(
    cusolverDnHandle_t, cusolverEigMode_t, int economic, int m, int n, double* A, int lda, double* S, double* U,
    int ldu, double* V, int ldv, double* work, int elements, int* devInfo, gesvdjInfo_t);
}
