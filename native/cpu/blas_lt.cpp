// The cuBLASLt entry points on cuBLAS' product: descriptions are checked here, the work is cublasGemmEx's.
#include "blas_lt_api.h"
#include "driver.h"
#include <algorithm>
#include <climits>
#include <cstring>

using namespace spectral::cpu;

constexpr uint32_t kReductions = 7;   // CUBLASLT_REDUCTION_SCHEME_MASK

struct cublasLtContext {
  cublasHandle_t blas;
  std::mutex mutex;   // of the stream set in it
};
struct cublasLtMatmulDesc {
  cublasComputeType_t compute;
  int32_t transpose_a = CUBLAS_OP_N;
  int32_t transpose_b = CUBLAS_OP_N;
};
struct cublasLtMatrixLayout {
  cudaDataType type;
  uint64_t rows, columns;
  int64_t ld;
};
struct cublasLtMatmulPreference {
  uint64_t workspace = 0;
  uint32_t reductions = kReductions;   // ways that partial sums may be added up; there are none here
};

namespace {
constexpr uint64_t kAlgorithm = 0x6f70656e626c6173;   // marks an algorithm that the heuristic gave out

Handles<cublasLtContext> handles;
Handles<cublasLtMatmulDesc> descriptions;
Handles<cublasLtMatrixLayout> layouts;
Handles<cublasLtMatmulPreference> preferences;

template <class T>
cublasStatus_t destroy(Handles<T>& live, T* p) {
  if (!live.remove(p))
    return CUBLAS_STATUS_INVALID_VALUE;
  delete p;
  return CUBLAS_STATUS_SUCCESS;
}
bool known(cudaDataType t) { return t == CUDA_R_32F || t == CUDA_R_16BF; }
bool fits(uint64_t size) { return size <= uint64_t(INT_MAX); }

// Whether the four layouts describe one product: INVALID_VALUE where sizes disagree, NOT_SUPPORTED where types do.
cublasStatus_t check(
    cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
    cublasLtMatrixLayout_t to) {
  if (!descriptions.has(d) || !layouts.has(a) || !layouts.has(b) || !layouts.has(c) || !layouts.has(to))
    return CUBLAS_STATUS_INVALID_VALUE;
  const bool ta = d->transpose_a != CUBLAS_OP_N;
  const bool tb = d->transpose_b != CUBLAS_OP_N;
  const uint64_t m = ta ? a->columns : a->rows;
  const uint64_t k = ta ? a->rows : a->columns;
  const uint64_t kb = tb ? b->columns : b->rows;
  const uint64_t n = tb ? b->rows : b->columns;
  if (k != kb || c->rows != m || c->columns != n || to->rows != m || to->columns != n)
    return CUBLAS_STATUS_INVALID_VALUE;
  const bool types = a->type == b->type && c->type == to->type && (a->type == CUDA_R_16BF || c->type == CUDA_R_32F);
  return types && c->ld == to->ld ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}
}   // namespace

extern "C" {
cublasStatus_t cublasLtCreate(cublasLtHandle_t* h) {
  if (!h)
    return CUBLAS_STATUS_INVALID_VALUE;
  cublasHandle_t blas;
  if (const cublasStatus_t status = cublasCreate_v2(&blas))
    return status;
  *h = handles.add(new cublasLtContext{blas, {}});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t h) {
  if (!handles.remove(h))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  const cublasStatus_t status = cublasDestroy_v2(h->blas);
  delete h;
  return status;
}
size_t cublasLtGetVersion() { return 120400; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* d, cublasComputeType_t compute, cudaDataType scale) {
  if (!d)
    return CUBLAS_STATUS_INVALID_VALUE;
  if ((compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_PEDANTIC) || scale != CUDA_R_32F)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  *d = descriptions.add(new cublasLtMatmulDesc{compute});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d) { return destroy(descriptions, d); }
cublasStatus_t cublasLtMatmulDescSetAttribute(
    cublasLtMatmulDesc_t d, cublasLtMatmulDescAttributes_t attribute, const void* value, size_t bytes) {
  int32_t operation;
  if (!descriptions.has(d) || !value || bytes != sizeof operation)
    return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&operation, value, bytes);
  if (operation < CUBLAS_OP_N || operation > CUBLAS_OP_C)
    return CUBLAS_STATUS_INVALID_VALUE;
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA: d->transpose_a = operation; return CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_MATMUL_DESC_TRANSB: d->transpose_b = operation; return CUBLAS_STATUS_SUCCESS;
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(
    cublasLtMatrixLayout_t* l, cudaDataType type, uint64_t rows, uint64_t columns, int64_t ld) {
  if (!l || ld < 1 || !fits(rows) || !fits(columns) || !fits(uint64_t(ld)) || uint64_t(ld) < rows)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!known(type))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  *l = layouts.add(new cublasLtMatrixLayout{type, rows, columns, ld});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l) { return destroy(layouts, l); }

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* p) {
  if (!p)
    return CUBLAS_STATUS_INVALID_VALUE;
  *p = preferences.add(new cublasLtMatmulPreference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) { return destroy(preferences, p); }
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t p, cublasLtMatmulPreferenceAttributes_t attribute, const void* value, size_t bytes) {
  if (!preferences.has(p) || !value)
    return CUBLAS_STATUS_INVALID_VALUE;
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      if (bytes != sizeof p->workspace)
        return CUBLAS_STATUS_INVALID_VALUE;
      std::memcpy(&p->workspace, value, bytes);
      return CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: {
      uint32_t mask;
      if (bytes != sizeof mask)
        return CUBLAS_STATUS_INVALID_VALUE;
      std::memcpy(&mask, value, bytes);
      if (mask > kReductions)
        return CUBLAS_STATUS_INVALID_VALUE;
      p->reductions = mask;
      return CUBLAS_STATUS_SUCCESS;
    }
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: {
      uint32_t alignment;   // the product here takes any
      if (bytes != sizeof alignment)
        return CUBLAS_STATUS_INVALID_VALUE;
      std::memcpy(&alignment, value, bytes);
      return alignment && !(alignment & (alignment - 1)) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
    }
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

// Of those that are kept.
cublasStatus_t cublasLtMatmulPreferenceGetAttribute(
    cublasLtMatmulPreference_t p, cublasLtMatmulPreferenceAttributes_t attribute, void* value, size_t bytes,
    size_t* written) {
  if (!preferences.has(p))
    return CUBLAS_STATUS_INVALID_VALUE;
  const bool is_mask = attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK;
  if (!is_mask && attribute != CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  const size_t size = is_mask ? sizeof p->reductions : sizeof p->workspace;
  if (written)
    *written = size;
  if (!value || bytes < size)
    return !bytes && written ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;   // the size was asked for
  std::memcpy(value, is_mask ? static_cast<void*>(&p->reductions) : &p->workspace, size);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t h, cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
    cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t to, cublasLtMatmulPreference_t p, int requested,
    cublasLtMatmulHeuristicResult_t* results, int* returned) {
  if (!handles.has(h))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!preferences.has(p) || requested < 1 || !results || !returned)
    return CUBLAS_STATUS_INVALID_VALUE;
  *returned = 0;
  if (const cublasStatus_t status = check(d, a, b, c, to))
    return status;
  *results = {};
  results->algo.data[0] = kAlgorithm;
  results->state = CUBLAS_STATUS_SUCCESS;
  results->wavesCount = 1;
  *returned = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(
    cublasLtHandle_t h, cublasLtMatmulDesc_t d, const void* alpha, const void* A, cublasLtMatrixLayout_t a,
    const void* B, cublasLtMatrixLayout_t b, const void* beta, const void* C, cublasLtMatrixLayout_t c, void* D,
    cublasLtMatrixLayout_t to, const cublasLtMatmulAlgo_t* algorithm, void* workspace, size_t workspace_bytes,
    CUstream stream) {
  if (!handles.has(h))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  if (const cublasStatus_t status = check(d, a, b, c, to))
    return status;
  if ((algorithm && algorithm->data[0] != kAlgorithm) || (workspace_bytes && !workspace))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (C != D)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  std::lock_guard l(h->mutex);
  if (const cublasStatus_t status = cublasSetStream_v2(h->blas, stream))
    return status;
  return cublasGemmEx(
      h->blas,
      cublasOperation_t(d->transpose_a),
      cublasOperation_t(d->transpose_b),
      int(c->rows),
      int(c->columns),
      int(d->transpose_a ? a->rows : a->columns),
      alpha,
      A,
      a->type,
      int(a->ld),
      B,
      b->type,
      int(b->ld),
      beta,
      D,
      c->type,
      int(c->ld),
      d->compute,
      -1);
}
}
