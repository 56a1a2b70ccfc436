// f32 products on oneDNN or OpenBLAS over the device's pool, with results that do not depend on the number of threads.
#pragma once

namespace spectral::cpu {
// Column-major C[m,n] = alpha op(A) op(B) + beta C, `count` of them, each operand `stride` elements behind the last.
struct Product {
  bool transpose_a, transpose_b;
  long m, n, k;
  float alpha;
  const float* a;
  long lda, stride_a;
  const float* b;
  long ldb, stride_b;
  float beta;
  float* c;
  long ldc, stride_c;
  long count;
};
bool multiply(const Product&);   // false: neither library is there

// How one product is cut: by its shape alone, never by the number of threads. Tiles of C, or for a small C with a
// long inner dimension parts of k, whose sums are then added in order.
struct Cut {
  long rows, columns;   // of a tile
  long parts;           // of k
};
Cut cut_product(long m, long n, long k, long count);
}   // namespace spectral::cpu
