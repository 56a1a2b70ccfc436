// OpenBLAS, loaded at run time and never linked. It is called with one thread per call from the device's own pool.
#pragma once

namespace spectral::cpu {
// A function of OpenBLAS (BLAS, CBLAS, LAPACK) by its symbol name; loads the library on first use.
// Null when the library or the symbol is missing; last_error() then says what and where it was looked for.
void* openblas_symbol(const char* name);
template <class F>
F* openblas_function(const char* name) {
  return reinterpret_cast<F*>(openblas_symbol(name));
}
}   // namespace spectral::cpu
