// The subset of cublas_v2.h that the CPU device implements, with the toolkit's names, values and signatures.
#pragma once
#include "cuda_api.h"

extern "C" {
typedef enum {
  CUBLAS_STATUS_SUCCESS = 0,
  CUBLAS_STATUS_NOT_INITIALIZED = 1,
  CUBLAS_STATUS_ALLOC_FAILED = 3,
  CUBLAS_STATUS_INVALID_VALUE = 7,
  CUBLAS_STATUS_EXECUTION_FAILED = 13,
  CUBLAS_STATUS_NOT_SUPPORTED = 15
} cublasStatus_t;
typedef enum { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1, CUBLAS_OP_C = 2 } cublasOperation_t;
typedef enum { CUBLAS_FILL_MODE_LOWER = 0, CUBLAS_FILL_MODE_UPPER = 1 } cublasFillMode_t;
typedef enum { CUBLAS_DIAG_NON_UNIT = 0, CUBLAS_DIAG_UNIT = 1 } cublasDiagType_t;
typedef enum { CUBLAS_SIDE_LEFT = 0, CUBLAS_SIDE_RIGHT = 1 } cublasSideMode_t;
typedef enum { CUDA_R_32F = 0, CUDA_R_16BF = 14 } cudaDataType;
typedef enum {
  CUBLAS_COMPUTE_32F = 68,
  CUBLAS_COMPUTE_32F_PEDANTIC = 69,
  CUBLAS_COMPUTE_32F_FAST_TF32 = 77
} cublasComputeType_t;
typedef int cublasMath_t;
typedef enum { CUBLAS_POINTER_MODE_HOST = 0, CUBLAS_POINTER_MODE_DEVICE = 1 } cublasPointerMode_t;
typedef enum { CUBLAS_ATOMICS_NOT_ALLOWED = 0, CUBLAS_ATOMICS_ALLOWED = 1 } cublasAtomicsMode_t;
typedef int cublasGemmAlgo_t;
typedef struct cublasContext* cublasHandle_t;

cublasStatus_t cublasCreate_v2(cublasHandle_t*);
cublasStatus_t cublasDestroy_v2(cublasHandle_t);
cublasStatus_t cublasGetVersion_v2(cublasHandle_t, int*);
cublasStatus_t cublasSetStream_v2(cublasHandle_t, CUstream);
cublasStatus_t cublasGetStream_v2(cublasHandle_t, CUstream*);
cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t);
cublasStatus_t cublasGetMathMode(cublasHandle_t, cublasMath_t*);
cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t, cublasPointerMode_t);
cublasStatus_t cublasGetPointerMode_v2(cublasHandle_t, cublasPointerMode_t*);
cublasStatus_t cublasSetAtomicsMode(cublasHandle_t, cublasAtomicsMode_t);
cublasStatus_t cublasGetAtomicsMode(cublasHandle_t, cublasAtomicsMode_t*);
cublasStatus_t cublasSetSmCountTarget(cublasHandle_t, int);
cublasStatus_t cublasGetSmCountTarget(cublasHandle_t, int*);
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t, void*, size_t);
// Bytes of the caller's workspace that products would use now; 0: the library's own. cuBLAS has no such function.
size_t spectralCpuBlasWorkspace(cublasHandle_t);
// Column-major, C[m,n] = alpha op(A)[m,k] op(B)[k,n] + beta C; alpha and beta are floats, where the pointer mode says.
cublasStatus_t cublasSgemm_v2(
    cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k, const float* alpha, const float* A,
    int lda, const float* B, int ldb, const float* beta, float* C, int ldc);
cublasStatus_t cublasGemmEx(
    cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k, const void* alpha, const void* A,
    cudaDataType, int lda, const void* B, cudaDataType, int ldb, const void* beta, void* C, cudaDataType, int ldc,
    cublasComputeType_t, cublasGemmAlgo_t);
cublasStatus_t cublasGemmStridedBatchedEx(
    cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k, const void* alpha, const void* A,
    cudaDataType, int lda, long long stride_a, const void* B, cudaDataType, int ldb, long long stride_b,
    const void* beta, void* C, cudaDataType, int ldc, long long stride_c, int count, cublasComputeType_t,
    cublasGemmAlgo_t);
cublasStatus_t cublasDgemm_v2(
    cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k, const double* alpha, const double* A,
    int lda, const double* B, int ldb, const double* beta, double* C, int ldc);
// B[m,n] = alpha op(A)^-1 B or alpha B op(A)^-1 with a triangular A.
cublasStatus_t cublasStrsm_v2(
    cublasHandle_t, cublasSideMode_t, cublasFillMode_t, cublasOperation_t, cublasDiagType_t, int m, int n,
    const float* alpha, const float* A, int lda, float* B, int ldb);
// Vectors of n elements, incx apart, from the end for a negative step; factors and results are where the pointer mode
// says. The index of cublasI.amax counts from 1.
cublasStatus_t cublasSaxpy_v2(cublasHandle_t, int n, const float* alpha, const float* x, int incx, float* y, int incy);
cublasStatus_t cublasSscal_v2(cublasHandle_t, int n, const float* alpha, float* x, int incx);
cublasStatus_t cublasScopy_v2(cublasHandle_t, int n, const float* x, int incx, float* y, int incy);
cublasStatus_t cublasSswap_v2(cublasHandle_t, int n, float* x, int incx, float* y, int incy);
cublasStatus_t cublasSdot_v2(cublasHandle_t, int n, const float* x, int incx, const float* y, int incy, float* result);
cublasStatus_t cublasSnrm2_v2(cublasHandle_t, int n, const float* x, int incx, float* result);
cublasStatus_t cublasSasum_v2(cublasHandle_t, int n, const float* x, int incx, float* result);
cublasStatus_t cublasIsamax_v2(cublasHandle_t, int n, const float* x, int incx, int* result);
cublasStatus_t cublasSgemv_v2(
    cublasHandle_t, cublasOperation_t, int m, int n, const float* alpha, const float* A, int lda, const float* x,
    int incx, const float* beta, float* y, int incy);
cublasStatus_t cublasDaxpy_v2(
    cublasHandle_t, int n, const double* alpha, const double* x, int incx, double* y, int incy);
cublasStatus_t cublasDscal_v2(cublasHandle_t, int n, const double* alpha, double* x, int incx);
cublasStatus_t cublasDcopy_v2(cublasHandle_t, int n, const double* x, int incx, double* y, int incy);
cublasStatus_t cublasDswap_v2(cublasHandle_t, int n, double* x, int incx, double* y, int incy);
cublasStatus_t cublasDdot_v2(
    cublasHandle_t, int n, const double* x, int incx, const double* y, int incy, double* result);
cublasStatus_t cublasDnrm2_v2(cublasHandle_t, int n, const double* x, int incx, double* result);
cublasStatus_t cublasDasum_v2(cublasHandle_t, int n, const double* x, int incx, double* result);
cublasStatus_t cublasIdamax_v2(cublasHandle_t, int n, const double* x, int incx, int* result);
cublasStatus_t cublasDgemv_v2(
    cublasHandle_t, cublasOperation_t, int m, int n, const double* alpha, const double* A, int lda, const double* x,
    int incx, const double* beta, double* y, int incy);
}
