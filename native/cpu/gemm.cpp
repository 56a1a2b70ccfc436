// The grid of tiles of a product.
#include "gemm.h"
#include "../device/numeric.cuh"
#include "onednn.h"
#include "openblas.h"
#include "options.h"
#include "pool.h"
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <type_traits>

namespace spectral::cpu {
namespace {
using Sgemm = void(
    int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float* a, int lda,
    const float* b, int ldb, float beta, float* c, int ldc);
constexpr int kColumnMajor = 102;
constexpr int kNoTranspose = 111;
constexpr int kTranspose = 112;

// One tile on the calling thread; the columns of column-major operands are the rows that oneDNN counts.
bool multiply_tile(
    const Product<float, float>& p, long m, long n, long k, const float* a, const float* b, float beta, float* c,
    long ldc) {
  auto* sgemm = onednn_sgemm();
  if (sgemm &&
      sgemm(p.transpose_b ? 'T' : 'N', p.transpose_a ? 'T' : 'N', n, m, k, p.alpha, b, p.ldb, a, p.lda, beta, c, ldc) ==
          0)
    return true;
  static auto* blas = openblas_function<Sgemm>("cblas_sgemm");
  if (!blas)
    return false;
  blas(
      kColumnMajor,
      p.transpose_a ? kTranspose : kNoTranspose,
      p.transpose_b ? kTranspose : kNoTranspose,
      int(m),
      int(n),
      int(k),
      p.alpha,
      a,
      int(p.lda),
      b,
      int(p.ldb),
      beta,
      c,
      int(ldc));
  return true;
}
template <class Out, class C>
bool multiply_tile(
    const Product<bf16, Out>& p, long m, long n, long k, const bf16* a, const bf16* b, float, C* c, long ldc) {
  return multiply_bf16({p.transpose_b, p.transpose_a, std::is_same_v<C, bf16>, n, m, k, b, p.ldb, a, p.lda, c, ldc});
}

// A tile should be worth a few calls' overhead, and its operands are packed once per tile: few large tiles
// are fast on two cores (16 instead of 8 cost 4 %), many small ones spread over many cores.
constexpr double kSmallTile = 4e6;
constexpr double kLargeTile = 300e6;   // flops
constexpr long kEdge = 16;             // tile edges are multiples of the micro-kernels' own
// A bf16 product takes a third of the time or less where it is not widened: a layer of some steps, or a few of many
// layers, make up for the half millisecond of its compilation.
constexpr double kWorthCompiling = 4e6;   // flops

long round_up(long v, long to) { return ceil_div(v, to) * to; }
}   // namespace

Cut cut_product(long m, long n, long k, long count) {
  const double flops = 2.0 * double(m) * double(n) * double(k);
  const double wanted =
      std::max(std::min(flops / kSmallTile, 8.0), std::min(flops / kLargeTile, 256.0)) / double(count);
  long across = 1;
  long down = 1;   // tiles over n, over m
  while (double(across * down) < wanted) {
    const long height = m / (2 * down);
    const long width = n / (2 * across);
    if (height < 2 * kEdge && width < 2 * kEdge)
      break;
    if (height >= width)
      down *= 2;
    else
      across *= 2;
  }
  long parts = 1;
  // Each part costs a pass over a copy of C: only where C is small against the work.
  while (double(across * down * parts) < wanted && k / (2 * parts) >= 256 && parts < 16)
    parts *= 2;
  return {std::min(m, round_up(ceil_div(m, down), kEdge)), std::min(n, round_up(ceil_div(n, across), kEdge)), parts};
}

namespace {
template <class In, class Out>
bool multiply_tiles(const Product<In, Out>& p) {
  const Cut cut = cut_product(p.m, p.n, p.k, p.count);
  const long down = ceil_div(p.m, cut.rows);
  const long across = ceil_div(p.n, cut.columns);
  const long tiles = down * across;
  const long part = ceil_div(p.k, cut.parts);
  // All parts but the first sum into copies of C, which are added in order afterwards.
  const long area = p.m * p.n;
  std::unique_ptr<float[]> sums(cut.parts > 1 ? new float[size_t((cut.parts - 1) * area * p.count)] : nullptr);
  std::atomic<bool> done = true;
  parallel_for(p.count * tiles * cut.parts, [&](long i) {
    const long s = i % cut.parts;
    const long tile = i / cut.parts % tiles;
    const long item = i / cut.parts / tiles;
    const long row = tile % down * cut.rows;
    const long column = tile / down * cut.columns;
    const long k0 = s * part;
    const long rows = std::min(cut.rows, p.m - row);
    const long columns = std::min(cut.columns, p.n - column);
    const long k = std::min(part, p.k - k0);
    const In* a = p.a + item * p.stride_a + (p.transpose_a ? row * p.lda + k0 : row + k0 * p.lda);
    const In* b = p.b + item * p.stride_b + (p.transpose_b ? column + k0 * p.ldb : column * p.ldb + k0);
    const bool multiplied =
        s == 0 ? multiply_tile(p, rows, columns, k, a, b, p.beta, p.c + item * p.stride_c + column * p.ldc + row, p.ldc)
               : multiply_tile(
                     p,
                     rows,
                     columns,
                     k,
                     a,
                     b,
                     0.0f,
                     sums.get() + (item * (cut.parts - 1) + s - 1) * area + column * p.m + row,
                     p.m);
    if (!multiplied)
      done = false;
  });
  if constexpr (std::is_same_v<Out, float>) {
    if (sums)
      parallel_for(p.count * p.n, [&](long i) {
        const long column = i % p.n;
        const long item = i / p.n;
        float* c = p.c + item * p.stride_c + column * p.ldc;
        for (long s = 1; s < cut.parts; ++s) {
          const float* from = sums.get() + (item * (cut.parts - 1) + s - 1) * area + column * p.m;
          for (long r = 0; r < p.m; ++r)
            c[r] += from[r];
        }
      });
  }
  return done;
}

template <class Out>
bool multiply_halves(const Product<bf16, Out>& p) {
  if (multiply_tiles(p))
    return true;
  set_error(
      "oneDNN refused a product of bf16 operands, " + std::to_string(p.m) + " x " + std::to_string(p.k) + " by " +
      std::to_string(p.k) + " x " + std::to_string(p.n));
  return false;
}
}   // namespace

bool multiply(const Product<float, float>& p) {
  if (!p.m || !p.n || !p.count)
    return true;
  if (!p.k || p.alpha == 0) {
    for (long i = 0; i < p.count; ++i)
      for (long c = 0; c < p.n; ++c) {
        float* column = p.c + i * p.stride_c + c * p.ldc;
        for (long r = 0; r < p.m; ++r)
          column[r] = p.beta == 0 ? 0 : column[r] * p.beta;
      }
    return true;
  }
  return multiply_tiles(p);
}

bool multiplies_bf16(long m, long n, long k, long count) {
  return 2.0 * double(m) * double(n) * double(k) * double(count) >= kWorthCompiling && has_bf16_products();
}
bool multiply(const Product<bf16, float>& p) { return multiply_halves(p); }
bool multiply(const Product<bf16, bf16>& p) { return multiply_halves(p); }
}   // namespace spectral::cpu
