// cuBLAS on vectors, and on one matrix and a vector, in F32 and F64; and products in F64.
#include "../device/numeric.cuh"
#include "blas_handle.h"
#include "openblas.h"
#include "pool.h"
#include <algorithm>
#include <type_traits>

using namespace spectral::cpu;

namespace {
constexpr int kColumnMajor = 102;
constexpr int kPanel = 256;   // columns of a product that one thread computes

template <class T>
using Axpy = void(int n, T alpha, const T* x, int incx, T* y, int incy);
template <class T>
using Scal = void(int n, T alpha, T* x, int incx);
template <class T>
using Copy = void(int n, const T* x, int incx, T* y, int incy);
template <class T>
using Swap = void(int n, T* x, int incx, T* y, int incy);
template <class T>
using Dot = T(int n, const T* x, int incx, const T* y, int incy);
template <class T>
using Norm = T(int n, const T* x, int incx);
template <class T>
using Largest = size_t(int n, const T* x, int incx);
template <class T>
using Gemv = void(
    int order, int trans, int m, int n, T alpha, const T* a, int lda, const T* x, int incx, T beta, T* y, int incy);
using Dgemm = void(
    int order, int ta, int tb, int m, int n, int k, double alpha, const double* a, int lda, const double* b, int ldb,
    double beta, double* c, int ldc);

// CBLAS's function of the type: "cblas_" with s or d, and the stem.
template <class F, class T>
F* function(const char* stem) {
  return openblas_function<F>((std::string("cblas_") + (std::is_same_v<T, float> ? "s" : "d") + stem).c_str());
}
int transposed(cublasOperation_t t) { return t == CUBLAS_OP_N ? 111 : 112; }

template <class T>
cublasStatus_t check_vector(const T* x, int n, int step, const char* name) {
  if (!x)
    return CUBLAS_STATUS_INVALID_VALUE;
  const size_t elements = size_t(n - 1) * size_t(std::abs(step)) + 1;
  return reachable(x, elements * sizeof(T), name) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
#define BLAS_TRY(call)                       \
  if (const cublasStatus_t status_ = (call)) \
  return status_

// Two vectors are changed or read. Nothing to do without elements.
template <class X, class T, class Work>
cublasStatus_t on_two(cublasHandle_t h, int n, X* x, int incx, T* y, int incy, bool ready, Work work) {
  if (n <= 0)
    return CUBLAS_STATUS_SUCCESS;
  BLAS_TRY(check_vector(x, n, incx, "x"));
  BLAS_TRY(check_vector(y, n, incy, "y"));
  return ready ? submitted(h, work) : CUBLAS_STATUS_NOT_INITIALIZED;
}
// One number of vectors, 0 for none. In host memory it is there when the call returns.
template <class R, class Work>
cublasStatus_t reduced(cublasHandle_t h, bool empty, R* result, Work work) {
  const bool host = h->pointers == CUBLAS_POINTER_MODE_HOST;
  if (host && check_waits(h->stream) != CUDA_SUCCESS)
    return CUBLAS_STATUS_EXECUTION_FAILED;
  BLAS_TRY(submitted(h, [=] {
    *result = empty ? R() : work();
    return CUDA_SUCCESS;
  }));
  return !host || cuStreamSynchronize(h->stream) == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS
                                                                 : CUBLAS_STATUS_EXECUTION_FAILED;
}

template <class T>
cublasStatus_t axpy(cublasHandle_t h, int n, const T* alpha, const T* x, int incx, T* y, int incy) {
  BLAS_TRY(check_handle(h));
  if (!alpha)
    return CUBLAS_STATUS_INVALID_VALUE;
  static auto* f = function<Axpy<T>, T>("axpy");
  return on_two(h, n, x, incx, y, incy, f, [=, a = Factor(h, alpha)] {
    f(n, a.get(), x, incx, y, incy);
    return CUDA_SUCCESS;
  });
}
template <class T>
cublasStatus_t scal(cublasHandle_t h, int n, const T* alpha, T* x, int incx) {
  BLAS_TRY(check_handle(h));
  if (!alpha)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (n <= 0 || incx <= 0)
    return CUBLAS_STATUS_SUCCESS;
  BLAS_TRY(check_vector(x, n, incx, "x"));
  static auto* f = function<Scal<T>, T>("scal");
  if (!f)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  return submitted(h, [=, a = Factor(h, alpha)] {
    f(n, a.get(), x, incx);
    return CUDA_SUCCESS;
  });
}
template <class T>
cublasStatus_t copy(cublasHandle_t h, int n, const T* x, int incx, T* y, int incy) {
  BLAS_TRY(check_handle(h));
  static auto* f = function<Copy<T>, T>("copy");
  return on_two(h, n, x, incx, y, incy, f, [=] {
    f(n, x, incx, y, incy);
    return CUDA_SUCCESS;
  });
}
template <class T>
cublasStatus_t swap(cublasHandle_t h, int n, T* x, int incx, T* y, int incy) {
  BLAS_TRY(check_handle(h));
  static auto* f = function<Swap<T>, T>("swap");
  return on_two(h, n, x, incx, y, incy, f, [=] {
    f(n, x, incx, y, incy);
    return CUDA_SUCCESS;
  });
}
template <class T>
cublasStatus_t dot(cublasHandle_t h, int n, const T* x, int incx, const T* y, int incy, T* result) {
  BLAS_TRY(check_handle(h));
  if (!result)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (n > 0) {
    BLAS_TRY(check_vector(x, n, incx, "x"));
    BLAS_TRY(check_vector(y, n, incy, "y"));
  }
  static auto* f = function<Dot<T>, T>("dot");
  if (!f)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  return reduced(h, n <= 0, result, [=] { return f(n, x, incx, y, incy); });
}
template <class T>
cublasStatus_t norm(cublasHandle_t h, int n, const T* x, int incx, T* result, Norm<T>* f) {
  BLAS_TRY(check_handle(h));
  if (!result)
    return CUBLAS_STATUS_INVALID_VALUE;
  const bool empty = n <= 0 || incx <= 0;
  if (!empty)
    BLAS_TRY(check_vector(x, n, incx, "x"));
  if (!f)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  return reduced(h, empty, result, [=] { return f(n, x, incx); });
}
template <class T>
cublasStatus_t nrm2(cublasHandle_t h, int n, const T* x, int incx, T* result) {
  static auto* f = function<Norm<T>, T>("nrm2");
  return norm(h, n, x, incx, result, f);
}
template <class T>
cublasStatus_t asum(cublasHandle_t h, int n, const T* x, int incx, T* result) {
  static auto* f = function<Norm<T>, T>("asum");
  return norm(h, n, x, incx, result, f);
}
template <class T>
cublasStatus_t amax(cublasHandle_t h, int n, const T* x, int incx, int* result) {
  BLAS_TRY(check_handle(h));
  if (!result)
    return CUBLAS_STATUS_INVALID_VALUE;
  const bool empty = n <= 0 || incx <= 0;
  if (!empty)
    BLAS_TRY(check_vector(x, n, incx, "x"));
  static auto* f = openblas_function<Largest<T>>(std::is_same_v<T, float> ? "cblas_isamax" : "cblas_idamax");
  if (!f)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  return reduced(h, empty, result, [=] { return int(f(n, x, incx)) + 1; });
}
template <class T>
cublasStatus_t gemv(
    cublasHandle_t h, cublasOperation_t t, int m, int n, const T* alpha, const T* a, int lda, const T* x, int incx,
    const T* beta, T* y, int incy) {
  BLAS_TRY(check_handle(h));
  if (m < 0 || n < 0 || !known(t) || lda < std::max(1, m) || !incx || !incy || !alpha || !beta)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!m || !n)
    return CUBLAS_STATUS_SUCCESS;
  if (!a)
    return CUBLAS_STATUS_INVALID_VALUE;
  BLAS_TRY(check_vector(x, t == CUBLAS_OP_N ? n : m, incx, "x"));
  BLAS_TRY(check_vector(y, t == CUBLAS_OP_N ? m : n, incy, "y"));
  if (!reachable(a, (size_t(n - 1) * size_t(lda) + size_t(m)) * sizeof(T), "A"))
    return CUBLAS_STATUS_EXECUTION_FAILED;
  static auto* f = function<Gemv<T>, T>("gemv");
  if (!f)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  return submitted(h, [=, factor = Factor(h, alpha), old = Factor(h, beta)] {
    f(kColumnMajor, transposed(t), m, n, factor.get(), a, lda, x, incx, old.get(), y, incy);
    return CUDA_SUCCESS;
  });
}
}   // namespace

#define VECTOR_CALLS(T, S, s)                                                                                        \
  cublasStatus_t cublas##S##axpy_v2(cublasHandle_t h, int n, const T* alpha, const T* x, int incx, T* y, int incy) { \
    return axpy(h, n, alpha, x, incx, y, incy);                                                                      \
  }                                                                                                                  \
  cublasStatus_t cublas##S##scal_v2(cublasHandle_t h, int n, const T* alpha, T* x, int incx) {                       \
    return scal(h, n, alpha, x, incx);                                                                               \
  }                                                                                                                  \
  cublasStatus_t cublas##S##copy_v2(cublasHandle_t h, int n, const T* x, int incx, T* y, int incy) {                 \
    return copy(h, n, x, incx, y, incy);                                                                             \
  }                                                                                                                  \
  cublasStatus_t cublas##S##swap_v2(cublasHandle_t h, int n, T* x, int incx, T* y, int incy) {                       \
    return swap(h, n, x, incx, y, incy);                                                                             \
  }                                                                                                                  \
  cublasStatus_t cublas##S##dot_v2(cublasHandle_t h, int n, const T* x, int incx, const T* y, int incy, T* result) { \
    return dot(h, n, x, incx, y, incy, result);                                                                      \
  }                                                                                                                  \
  cublasStatus_t cublas##S##nrm2_v2(cublasHandle_t h, int n, const T* x, int incx, T* result) {                      \
    return nrm2(h, n, x, incx, result);                                                                              \
  }                                                                                                                  \
  cublasStatus_t cublas##S##asum_v2(cublasHandle_t h, int n, const T* x, int incx, T* result) {                      \
    return asum(h, n, x, incx, result);                                                                              \
  }                                                                                                                  \
  cublasStatus_t cublasI##s##amax_v2(cublasHandle_t h, int n, const T* x, int incx, int* result) {                   \
    return amax(h, n, x, incx, result);                                                                              \
  }                                                                                                                  \
  cublasStatus_t cublas##S##gemv_v2(                                                                                 \
      cublasHandle_t h,                                                                                              \
      cublasOperation_t t,                                                                                           \
      int m,                                                                                                         \
      int n,                                                                                                         \
      const T* alpha,                                                                                                \
      const T* a,                                                                                                    \
      int lda,                                                                                                       \
      const T* x,                                                                                                    \
      int incx,                                                                                                      \
      const T* beta,                                                                                                 \
      T* y,                                                                                                          \
      int incy) {                                                                                                    \
    return gemv(h, t, m, n, alpha, a, lda, x, incx, beta, y, incy);                                                  \
  }

extern "C" {
VECTOR_CALLS(float, S, s)
VECTOR_CALLS(double, D, d)

cublasStatus_t cublasDgemm_v2(
    cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const double* alpha,
    const double* a, int lda, const double* b, int ldb, const double* beta, double* c, int ldc) {
  BLAS_TRY(check_handle(h));
  const int rows_a = ta == CUBLAS_OP_N ? m : k;
  const int rows_b = tb == CUBLAS_OP_N ? k : n;
  if (m < 0 || n < 0 || k < 0 || !known(ta) || !known(tb) || !alpha || !beta || lda < std::max(1, rows_a) ||
      ldb < std::max(1, rows_b) || ldc < std::max(1, m))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!m || !n)
    return CUBLAS_STATUS_SUCCESS;
  if (!c || (k && (!a || !b)))
    return CUBLAS_STATUS_INVALID_VALUE;
  const auto extent = [](int rows, int columns, int ld) {
    return columns ? (size_t(columns - 1) * size_t(ld) + size_t(rows)) * sizeof(double) : 0;
  };
  if ((k && (!reachable(a, extent(rows_a, m + k - rows_a, lda), "A") ||
             !reachable(b, extent(rows_b, n + k - rows_b, ldb), "B"))) ||
      !reachable(c, extent(m, n, ldc), "C"))
    return CUBLAS_STATUS_EXECUTION_FAILED;
  static auto* f = openblas_function<Dgemm>("cblas_dgemm");
  if (!f)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  return submitted(h, [=, factor = Factor(h, alpha), old = Factor(h, beta)] {
    parallel_for(ceil_div(n, kPanel), [&](long i) {
      const long first = i * kPanel;
      f(kColumnMajor,
        transposed(ta),
        transposed(tb),
        m,
        int(std::min<long>(kPanel, n - first)),
        k,
        factor.get(),
        a,
        lda,
        b + (tb == CUBLAS_OP_N ? first * ldb : first),
        ldb,
        old.get(),
        c + first * ldc,
        ldc);
    });
    return CUDA_SUCCESS;
  });
}
}
