// What a cuBLAS handle is told: its stream, where factors and results are, and preferences, which change nothing here.
#include "blas_handle.h"

using namespace spectral::cpu;

namespace {
constexpr uintptr_t kWorkspaceAlignment = 256;

template <class T>
cublasStatus_t get(cublasHandle_t h, T* value, T cublasContext::*setting) {
  if (const cublasStatus_t status = check_handle(h))
    return status;
  if (!value)
    return CUBLAS_STATUS_INVALID_VALUE;
  *value = h->*setting;
  return CUBLAS_STATUS_SUCCESS;
}
template <class T>
cublasStatus_t set(cublasHandle_t h, T value, T cublasContext::*setting, int least, int most) {
  if (const cublasStatus_t status = check_handle(h))
    return status;
  if (int(value) < least || int(value) > most)
    return CUBLAS_STATUS_INVALID_VALUE;
  h->*setting = value;
  return CUBLAS_STATUS_SUCCESS;
}
}   // namespace

extern "C" {
cublasStatus_t cublasSetStream_v2(cublasHandle_t h, CUstream s) {
  if (const cublasStatus_t status = check_handle(h))
    return status;
  if (check_stream(s) != CUDA_SUCCESS)
    return CUBLAS_STATUS_INVALID_VALUE;
  h->stream = s;
  h->workspace_bytes = 0;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGetStream_v2(cublasHandle_t h, CUstream* s) { return get(h, s, &cublasContext::stream); }
cublasStatus_t cublasSetMathMode(cublasHandle_t h, cublasMath_t mode) {
  return set(h, mode, &cublasContext::math, 0, 0x1ff);
}
cublasStatus_t cublasGetMathMode(cublasHandle_t h, cublasMath_t* mode) { return get(h, mode, &cublasContext::math); }
cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t h, cublasPointerMode_t mode) {
  return set(h, mode, &cublasContext::pointers, CUBLAS_POINTER_MODE_HOST, CUBLAS_POINTER_MODE_DEVICE);
}
cublasStatus_t cublasGetPointerMode_v2(cublasHandle_t h, cublasPointerMode_t* mode) {
  return get(h, mode, &cublasContext::pointers);
}
cublasStatus_t cublasSetAtomicsMode(cublasHandle_t h, cublasAtomicsMode_t mode) {
  return set(h, mode, &cublasContext::atomics, CUBLAS_ATOMICS_NOT_ALLOWED, CUBLAS_ATOMICS_ALLOWED);
}
cublasStatus_t cublasGetAtomicsMode(cublasHandle_t h, cublasAtomicsMode_t* mode) {
  return get(h, mode, &cublasContext::atomics);
}
cublasStatus_t cublasSetSmCountTarget(cublasHandle_t h, int count) {
  int most = 0;
  cuDeviceGetAttribute(&most, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0);
  return set(h, count, &cublasContext::multiprocessors, 0, most);
}
cublasStatus_t cublasGetSmCountTarget(cublasHandle_t h, int* count) {
  return get(h, count, &cublasContext::multiprocessors);
}
// Products have the handle's own scratch; a caller's workspace is only checked.
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t h, void* workspace, size_t bytes) {
  if (const cublasStatus_t status = check_handle(h))
    return status;
  if (reinterpret_cast<uintptr_t>(workspace) % kWorkspaceAlignment ||
      (bytes && !reachable(workspace, bytes, "workspace")))
    return CUBLAS_STATUS_INVALID_VALUE;
  h->workspace_bytes = bytes;
  return CUBLAS_STATUS_SUCCESS;
}
size_t spectralCpuBlasWorkspace(cublasHandle_t h) { return check_handle(h) ? 0 : h->workspace_bytes; }
}
