// The cuBLAS entry points on oneDNN or OpenBLAS. Where the processor does not multiply bf16, operands are widened into
// the handle's scratch. A product is summed in f32, and a bf16 result is rounded once from it.
#include "blas_handle.h"
#include "gemm.h"
#include "memory.h"
#include "openblas.h"
#include "pool.h"
#include <algorithm>

using namespace spectral::cpu;

namespace {
Handles<cublasContext> handles;

bool known(cudaDataType t) { return t == CUDA_R_32F || t == CUDA_R_16BF; }
bool known(cublasComputeType_t t) {
  return t == CUBLAS_COMPUTE_32F || t == CUBLAS_COMPUTE_32F_PEDANTIC || t == CUBLAS_COMPUTE_32F_FAST_TF32;
}

// One operand: column-major [rows, columns], `count` of them.
struct Operand {
  const void* data;
  cudaDataType type;
  long rows, columns, ld, stride, count;
  long last() const {
    return (count - 1) * stride + (columns - 1) * ld + rows;
  }   // elements from the first to the last
};
bool reachable(const Operand& o, const char* name) {
  if (!o.rows || !o.columns || !o.count)
    return true;
  return spectral::cpu::reachable(o.data, size_t(o.last()) * (o.type == CUDA_R_16BF ? 2 : 4), name);
}
// bf16 as dense f32 in `scratch`, column by column over the pool. The caller's strides become dense ones.
const float* widen(Operand& o, std::vector<float>& scratch) {
  if (o.type == CUDA_R_32F)
    return static_cast<const float*>(o.data);
  const long area = o.rows * o.columns;
  const long items = o.stride == 0 ? 1 : o.count;
  if (scratch.size() < size_t(area * items))
    scratch.resize(size_t(area * items));
  const long together = std::max<long>(1, 65536 / std::max<long>(1, o.rows));
  const long blocks = ceil_div(o.columns, together);
  parallel_for(blocks * items, [&](long i) {
    const long item = i / blocks;
    const long first = i % blocks * together;
    const long end = std::min(o.columns, first + together);
    for (long c = first; c < end; ++c) {
      const auto* from = static_cast<const bf16*>(o.data) + item * o.stride + c * o.ld;
      float* to = scratch.data() + item * area + c * o.rows;
      for (long r = 0; r < o.rows; ++r)
        to[r] = __bfloat162float(from[r]);
    }
  });
  o.ld = o.rows;
  o.stride = o.stride == 0 ? 0 : area;
  return scratch.data();
}
// c = factor sums + old c, from dense f32 sums, rounded once where c is bf16. What c held is not read for old = 0.
template <class T>
void store(const float* sums, float factor, float old, const Operand& c) {
  parallel_for(c.count * c.columns, [&](long i) {
    const long item = i / c.columns;
    const long column = i % c.columns;
    const float* from = sums + i * c.rows;
    T* to = static_cast<T*>(const_cast<void*>(c.data)) + item * c.stride + column * c.ld;
    for (long r = 0; r < c.rows; ++r)
      to[r] = from_float<T>(old == 0 ? factor * from[r] : factor * from[r] + old * to_float(to[r]));
  });
}
float* scratch_for(std::vector<float>& scratch, const Operand& o) {
  if (scratch.size() < size_t(o.count * o.rows * o.columns))
    scratch.resize(size_t(o.count * o.rows * o.columns));
  return scratch.data();
}
template <class In, class Out>
CUresult multiplied(
    bool transpose_a, bool transpose_b, long k, float factor, const In* a, const Operand& as, const In* b,
    const Operand& bs, float old, Out* c, const Operand& cs) {
  const Product<In, Out> p{
      transpose_a,
      transpose_b,
      cs.rows,
      cs.columns,
      k,
      factor,
      a,
      as.ld,
      as.stride,
      b,
      bs.ld,
      bs.stride,
      old,
      c,
      cs.ld,
      cs.stride,
      cs.count};
  return multiply(p) ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}
Operand dense(Operand o) {
  o.ld = o.rows;
  o.stride = o.rows * o.columns;
  return o;
}

// bf16 operands as they are.
CUresult multiply_halves(
    cublasHandle_t h, bool transpose_a, bool transpose_b, long k, float factor, const Operand& a, const Operand& b,
    float old, const Operand& c) {
  const auto* of_a = static_cast<const bf16*>(a.data);
  const auto* of_b = static_cast<const bf16*>(b.data);
  void* const to = const_cast<void*>(c.data);
  if (factor == 1 && old == 0) {
    if (c.type == CUDA_R_32F)
      return multiplied(transpose_a, transpose_b, k, 1, of_a, a, of_b, b, 0, static_cast<float*>(to), c);
    if (cut_product(c.rows, c.columns, k, c.count).parts == 1)
      return multiplied(transpose_a, transpose_b, k, 1, of_a, a, of_b, b, 0, static_cast<bf16*>(to), c);
  }
  float* sums = scratch_for(h->c, c);
  const CUresult status = multiplied(transpose_a, transpose_b, k, 1, of_a, a, of_b, b, 0, sums, dense(c));
  if (status == CUDA_SUCCESS)
    c.type == CUDA_R_16BF ? store<bf16>(sums, factor, old, c) : store<float>(sums, factor, old, c);
  return status;
}

// C = factor op(A) op(B) + old C, through dense f32 copies of what is not f32, unless bf16 is multiplied as it is.
CUresult multiply(
    cublasHandle_t h, bool transpose_a, bool transpose_b, long k, float factor, Operand a, Operand b, float old,
    const Operand& c) {
  std::lock_guard l(h->mutex);
  if (a.type == CUDA_R_16BF && k && factor != 0 && multiplies_bf16(c.rows, c.columns, k, c.count))
    return multiply_halves(h, transpose_a, transpose_b, k, factor, a, b, old, c);
  const float* wide_a = widen(a, h->a);
  const float* wide_b = widen(b, h->b);
  if (c.type == CUDA_R_32F) {
    auto* to = static_cast<float*>(const_cast<void*>(c.data));
    return multiplied(transpose_a, transpose_b, k, factor, wide_a, a, wide_b, b, old, to, c);
  }
  float* sums = scratch_for(h->c, c);
  const CUresult status = multiplied(transpose_a, transpose_b, k, factor, wide_a, a, wide_b, b, 0, sums, dense(c));
  if (status == CUDA_SUCCESS)
    store<bf16>(sums, 1, old, c);
  return status;
}
}   // namespace

namespace spectral::cpu {
cublasStatus_t check_handle(cublasHandle_t h) {
  if (!handles.has(h))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  return check_context() == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
bool reachable(const void* data, size_t bytes, const char* name) {
  if (!options.check || inside_allocation(reinterpret_cast<uintptr_t>(data), bytes))
    return true;
  set_error(
      std::string("cuBLAS: operand ") + name + " (" + std::to_string(bytes) + " bytes) is not inside one allocation");
  return false;
}
}   // namespace spectral::cpu

extern "C" {
cublasStatus_t cublasCreate_v2(cublasHandle_t* h) {
  if (!h)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (check_context() != CUDA_SUCCESS)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!openblas_symbol("cblas_sgemm"))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  auto* made = new cublasContext;
  made->context = current_context();
  *h = handles.add(made);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t h) {
  finish_context();
  if (!handles.remove(h))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  delete h;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGetVersion_v2(cublasHandle_t h, int* version) {
  if (const cublasStatus_t status = check_handle(h))
    return status;
  if (!version)
    return CUBLAS_STATUS_INVALID_VALUE;
  *version = 120400;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGemmStridedBatchedEx(
    cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const void* alpha, const void* A,
    cudaDataType at, int lda, long long stride_a, const void* B, cudaDataType bt, int ldb, long long stride_b,
    const void* beta, void* C, cudaDataType ct, int ldc, long long stride_c, int count, cublasComputeType_t compute,
    cublasGemmAlgo_t) {
  if (const cublasStatus_t status = check_handle(h))
    return status;
  if (m < 0 || n < 0 || k < 0 || count < 0 || !known(ta) || !known(tb))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!known(at) || at != bt || !known(ct) || (at == CUDA_R_32F && ct != CUDA_R_32F) || !known(compute))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  Operand a{A, at, ta ? k : m, ta ? m : k, lda, stride_a, count},
      b{B, bt, tb ? n : k, tb ? k : n, ldb, stride_b, count};
  Operand c{C, ct, m, n, ldc, stride_c, count};
  if (lda < std::max(1l, a.rows) || ldb < std::max(1l, b.rows) || ldc < std::max(1, m) || !alpha || !beta)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!m || !n || !count)
    return CUBLAS_STATUS_SUCCESS;
  if (!C || (k && (!A || !B)))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!reachable(a, "A") || !reachable(b, "B") || !reachable(c, "C"))
    return CUBLAS_STATUS_EXECUTION_FAILED;

  const Factor factor(h, static_cast<const float*>(alpha));
  const Factor old(h, static_cast<const float*>(beta));
  return submitted(
      h, [=] { return multiply(h, ta != CUBLAS_OP_N, tb != CUBLAS_OP_N, k, factor.get(), a, b, old.get(), c); });
}
cublasStatus_t cublasGemmEx(
    cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const void* alpha, const void* A,
    cudaDataType at, int lda, const void* B, cudaDataType bt, int ldb, const void* beta, void* C, cudaDataType ct,
    int ldc, cublasComputeType_t compute, cublasGemmAlgo_t algorithm) {
  return cublasGemmStridedBatchedEx(
      h, ta, tb, m, n, k, alpha, A, at, lda, 0, B, bt, ldb, 0, beta, C, ct, ldc, 0, 1, compute, algorithm);
}
cublasStatus_t cublasSgemm_v2(
    cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const float* alpha,
    const float* A, int lda, const float* B, int ldb, const float* beta, float* C, int ldc) {
  return cublasGemmEx(
      h,
      ta,
      tb,
      m,
      n,
      k,
      alpha,
      A,
      CUDA_R_32F,
      lda,
      B,
      CUDA_R_32F,
      ldb,
      beta,
      C,
      CUDA_R_32F,
      ldc,
      CUBLAS_COMPUTE_32F,
      -1);
}

cublasStatus_t cublasStrsm_v2(
    cublasHandle_t h, cublasSideMode_t side, cublasFillMode_t fill, cublasOperation_t transpose,
    cublasDiagType_t diagonal, int m, int n, const float* alpha, const float* A, int lda, float* B, int ldb) {
  if (const cublasStatus_t status = check_handle(h))
    return status;
  const long order = side == CUBLAS_SIDE_LEFT ? m : n;
  if (m < 0 || n < 0 || !known(transpose) || lda < std::max(1l, order) || ldb < std::max(1, m) || !alpha)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!m || !n)
    return CUBLAS_STATUS_SUCCESS;
  if (!A || !B)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!reachable({A, CUDA_R_32F, order, order, lda, 0, 1}, "A") || !reachable({B, CUDA_R_32F, m, n, ldb, 0, 1}, "B"))
    return CUBLAS_STATUS_EXECUTION_FAILED;
  using Strsm = void(
      int layout,
      int side,
      int fill,
      int transpose,
      int diagonal,
      int m,
      int n,
      float alpha,
      const float* a,
      int lda,
      float* b,
      int ldb);
  static auto* strsm = openblas_function<Strsm>("cblas_strsm");
  if (!strsm)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  const Factor factor(h, alpha);
  // The right-hand sides are independent: columns of B on the left side, rows on the right.
  constexpr int kPanel = 256;
  const bool left = side == CUBLAS_SIDE_LEFT;
  const int sides = left ? n : m;
  return submitted(h, [=] {
    parallel_for(ceil_div(sides, kPanel), [&](long i) {
      const int first = int(i) * kPanel;
      const int size = std::min(kPanel, sides - first);
      strsm(
          102,
          left ? 141 : 142,
          fill == CUBLAS_FILL_MODE_UPPER ? 121 : 122,
          transpose == CUBLAS_OP_N ? 111 : 112,
          diagonal == CUBLAS_DIAG_UNIT ? 132 : 131,
          left ? m : size,
          left ? size : n,
          factor.get(),
          A,
          lda,
          B + (left ? long(first) * ldb : first),
          ldb);
    });
    return CUDA_SUCCESS;
  });
}
}
