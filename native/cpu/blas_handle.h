// What the cuBLAS entry points share: the handle, the checks that calls begin with, and how their work is run.
#pragma once
#include "blas_api.h"
#include "capture.h"

struct cublasContext {
  CUcontext context = nullptr;
  CUstream stream = nullptr;
  cublasPointerMode_t pointers = CUBLAS_POINTER_MODE_HOST;
  cublasMath_t math = 0;   // this and the next two are kept, and change nothing here
  cublasAtomicsMode_t atomics = CUBLAS_ATOMICS_NOT_ALLOWED;
  int multiprocessors = 0;   // 0: all
  // Of the caller; 0: the library's own, as after each change of the stream. Kept for tests: products need none here.
  size_t workspace_bytes = 0;
  std::mutex mutex;   // one call at a time uses the scratch
  std::vector<float> a, b, c;
};

namespace spectral::cpu {
cublasStatus_t check_handle(cublasHandle_t);
inline bool known(cublasOperation_t t) { return t == CUBLAS_OP_N || t == CUBLAS_OP_T || t == CUBLAS_OP_C; }
// In checking mode an operand must lie inside one allocation.
bool reachable(const void* data, size_t bytes, const char* name);

// Runs the work, or keeps it for the graph that the handle's stream is captured into.
template <class Work>
cublasStatus_t submitted(cublasHandle_t h, Work work) {
  const CUresult status =
      submit(h->stream, [=] { return check_handle(h) == CUBLAS_STATUS_SUCCESS ? work() : CUDA_ERROR_INVALID_HANDLE; });
  if (status == CUDA_ERROR_NOT_SUPPORTED)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  return status == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

// A factor: read now from host memory, or when the work runs from device memory.
template <class T>
class Factor {
 public:
  Factor(cublasHandle_t h, const T* at)
      : at_(h->pointers == CUBLAS_POINTER_MODE_DEVICE ? at : nullptr), now_(at_ ? T() : *at) {}
  T get() const { return at_ ? *at_ : now_; }

 private:
  const T* at_;
  T now_;
};
}   // namespace spectral::cpu
