// Products on oneDNN or OpenBLAS over the device's pool, with results that do not depend on the number of threads.
#pragma once
#include "../device/numeric.cuh"

namespace spectral::cpu {
// Column-major C[m,n] = alpha op(A) op(B) + beta C, `count` of them, each operand `stride` elements behind the last.
template <class In, class Out>
struct Product {
  bool transpose_a, transpose_b;
  long m, n, k;
  float alpha;
  const In* a;
  long lda, stride_a;
  const In* b;
  long ldb, stride_b;
  float beta;
  Out* c;
  long ldc, stride_c;
  long count;
};
// False: neither library is there.
bool multiply(const Product<float, float>&);

// Whether bf16 operands of a shape are multiplied as they are, by multiply() below; otherwise the caller widens them.
// Shapes of little work are not, as the first product of a shape has to be compiled.
bool multiplies_bf16(long m, long n, long k, long count);
// The same for bf16 operands, with alpha = 1 and beta = 0 only. C is f32, or bf16 where cut_product() leaves k whole.
// False: oneDNN refused, and last_error() says so.
bool multiply(const Product<bf16, float>&);
bool multiply(const Product<bf16, bf16>&);

// How one product is cut: by its shape alone, never by the number of threads. Tiles of C, or for a small C with a
// long inner dimension parts of k, whose sums are then added in order.
struct Cut {
  long rows, columns;   // of a tile
  long parts;           // of k
};
Cut cut_product(long m, long n, long k, long count);
}   // namespace spectral::cpu
