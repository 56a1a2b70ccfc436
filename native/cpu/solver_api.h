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
// Cholesky factor of the triangle `fill`; devInfo i > 0: the leading minor of order i is not positive definite.
cusolverStatus_t cusolverDnDpotrf_bufferSize(
    cusolverDnHandle_t, cublasFillMode_t fill, int n, double* A, int lda, int* elements);
cusolverStatus_t cusolverDnDpotrf(
    cusolverDnHandle_t, cublasFillMode_t fill, int n, double* A, int lda, double* work, int elements, int* devInfo);
// Inverse of a triangle in place, F64 here; devInfo i > 0: diagonal element i is zero.
cusolverStatus_t cusolverDnXtrtri_bufferSize(
    cusolverDnHandle_t, cublasFillMode_t fill, cublasDiagType_t, int64_t n, cudaDataType, void* A, int64_t lda,
    size_t* device_bytes, size_t* host_bytes);
cusolverStatus_t cusolverDnXtrtri(
    cusolverDnHandle_t, cublasFillMode_t fill, cublasDiagType_t, int64_t n, cudaDataType, void* A, int64_t lda,
    void* device_work, size_t device_bytes, void* host_work, size_t host_bytes, int* devInfo);
// Householder QR of A [m, n], and the first n columns of Q [m, n] from its k reflectors.
cusolverStatus_t cusolverDnSgeqrf_bufferSize(cusolverDnHandle_t, int m, int n, float* A, int lda, int* elements);
cusolverStatus_t cusolverDnSgeqrf(
    cusolverDnHandle_t, int m, int n, float* A, int lda, float* tau, float* work, int elements, int* devInfo);
cusolverStatus_t cusolverDnSorgqr_bufferSize(
    cusolverDnHandle_t, int m, int n, int k, const float* A, int lda, const float* tau, int* elements);
cusolverStatus_t cusolverDnSorgqr(
    cusolverDnHandle_t, int m, int n, int k, float* A, int lda, const float* tau, float* work, int elements,
    int* devInfo);
// A = U diag(S) VT for m >= n, A destroyed. Both jobs 'A' (all of U and VT), 'S' (min(m,n) vectors) or 'N'
// (values only). devInfo i > 0: i superdiagonals did not converge.
cusolverStatus_t cusolverDnDgesvd_bufferSize(cusolverDnHandle_t, int m, int n, int* elements);
cusolverStatus_t cusolverDnDgesvd(
    cusolverDnHandle_t, signed char jobu, signed char jobvt, int m, int n, double* A, int lda, double* S, double* U,
    int ldu, double* VT, int ldvt, double* work, int elements, double* rwork, int* devInfo);
}
