// oneDNN, loaded at run time and never linked. It is called with one thread per call from the device's own pool.
// On processors with AVX-512 its products are up to twice as fast as those of OpenBLAS 0.3.21, which multiplies where
// oneDNN is absent.
#pragma once

namespace spectral::cpu {
// Row-major C[m,n] = alpha op(A) op(B) + beta C with 'N' or 'T' for each operand; 0 when it was done.
using OneDnnSgemm =
    int(char transpose_a, char transpose_b, long m, long n, long k, float alpha, const float* a, long lda,
        const float* b, long ldb, float beta, float* c, long ldc);

// oneDNN's product, ready for the calling thread; null where the library is missing, is built for threads that cannot
// be held to one, or the option `onednn` is 0.
OneDnnSgemm* onednn_sgemm();

// Row-major C[m,n] = op(A) op(B) of bf16 operands, summed in f32 and rounded once where C is bf16.
struct Bf16Product {
  bool transpose_a, transpose_b, rounds;   // rounds: C is bf16, else f32
  long m, n, k;
  const void* a;
  long lda;
  const void* b;
  long ldb;
  void* c;
  long ldc;
  bool operator==(const Bf16Product&) const = default;
};
// Whether the processor multiplies bf16 in one instruction (AVX512_BF16, which takes denormal numbers as zero), and
// oneDNN is there to use it.
bool has_bf16_products();
bool multiply_bf16(const Bf16Product&);   // on the calling thread; false: oneDNN refused it

// A function of oneDNN by its symbol name, null where it is missing, and the first number of the library's release.
void* onednn_symbol(const char* name);
int onednn_release();

// The library that multiplies, with its version: "oneDNN 2.6.3", "OpenBLAS", or "" where neither is there.
const char* product_library();
}   // namespace spectral::cpu
