// What the cuSOLVER entry points share: the handle, the checks that calls begin with, and LAPACK's functions by type.
#pragma once
#include "capture.h"
#include "openblas.h"
#include "solver_api.h"
#include <algorithm>
#include <string>
#include <type_traits>

struct cusolverDnContext {
  CUcontext context;
  CUstream stream = nullptr;
};

namespace spectral::cpu {
cusolverStatus_t check_handle(cusolverDnHandle_t);

// LAPACK's function of the type: s or d, the stem, and Fortran's underscore.
template <class F, class T>
F* lapack(const char* stem) {
  std::string symbol(1, std::is_same_v<T, float> ? 's' : 'd');
  return openblas_function<F>(symbol.append(stem).append("_").c_str());
}
// Workspace that LAPACK asks for: each routine reports it as the first element of its work array when asked with
// length -1.
template <class T>
int reported(T work) {
  return std::max(1, int(work));
}
}   // namespace spectral::cpu

#define SOLVER_TRY(call)                       \
  if (const cusolverStatus_t status_ = (call)) \
  return status_
#define SOLVER_REQUIRE(condition) \
  if (!(condition))               \
  return CUSOLVER_STATUS_INVALID_VALUE
#define SOLVER_LAPACK(name, F, T)             \
  static auto* name = lapack<F<T>, T>(#name); \
  if (!name)                                  \
  return CUSOLVER_STATUS_NOT_INITIALIZED
