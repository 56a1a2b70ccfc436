// Gram matrices of a few long rows, batched, for CholeskyQR and for checks of orthonormality.
//
// Formula        G_b = X_b X_b^T; deviation_b = max |G_b - I| (as the bits of a float, NaN above all numbers)
// Shapes         X [batch][rows, columns], x_stride elements apart; partial [batch, chunks, rows, rows]
//                (lower triangle); G [batch, rows, rows]; deviation [batch], deviation_stride apart
// Types          X f32; partial and G f64: products of floats are exact in double, so that CholeskyQR works up to
//                condition numbers of about 1e6 instead of 4e3
// Accumulation   f64; eight interleaved sums per chunk of columns, then the chunks in order
// Grid/Block     partial: x = blocks of 64 threads over 2 x 2 tiles of the lower triangle, y = chunk, z = matrix;
//                reduce: one thread per entry, y = matrix
// Bytes          4 rows * columns * (rows / 4) from cache; 8 chunks * rows^2
// Flops          rows^2 * columns (half of the symmetric product)
// Deterministic  yes (the only atomic is a maximum)
#include "spectral.cuh"

constexpr int kLanes = 8;   // sums per entry: enough for the CPU's vectors, and the most the GPU's registers take

struct GramPartialArgs {
  const float* x;       // matrices [rows, columns] each, x_stride apart; 16-byte aligned for vectors
  double* partial;      // partial products [batch, chunks, rows, rows], lower triangle; written
  long long x_stride;   // elements from one matrix to the next
  int rows;             // rows of a matrix, the order of its Gram matrix
  int columns;          // columns of a matrix
  int chunk;            // columns that one partial covers; grid y counts the chunks
};
SPECTRAL_LAYOUT(GramPartialArgs, x, partial, x_stride, rows, columns, chunk)

struct GramReduceArgs {
  const double* partial;   // partial products [batch, chunks, rows, rows], lower triangle
  double* gram;            // Gram matrices [batch, rows, rows]; written
  // largest |G - I| of each matrix, as the bits of an F32, deviation_stride apart; raised, never lowered; null: not
  // wanted
  int* deviation;
  int rows;               // order of a Gram matrix
  int chunks;             // partials per matrix
  int deviation_stride;   // words (4 bytes) from one matrix's deviation to the next
};
SPECTRAL_LAYOUT(GramReduceArgs, partial, gram, deviation, rows, chunks, deviation_stride)

__device__ __forceinline__ void load_lanes(const float* row, bool aligned, float (&v)[kLanes]) {
  if (aligned) {
    load_piece(row, v);
  } else {
#pragma unroll
    for (int e = 0; e < kLanes; ++e)
      v[e] = row[e];
  }
}

__device__ __forceinline__ void add_products(
    double (&sum)[kLanes], const float (&a)[kLanes], const float (&b)[kLanes]) {
#pragma unroll
  for (int e = 0; e < kLanes; ++e)
    sum[e] = fma(double(a[e]), double(b[e]), sum[e]);
}

SPECTRAL_KERNEL_PLAIN(gram_partial, GramPartialArgs, 64) {
  const int tiles = ceil_div(args.rows, 2);
  const int tile = blockIdx.x * blockDim.x + threadIdx.x;
  if (tile >= tiles * (tiles + 1) / 2)
    return;
  int ti = int((sqrt(8.0 * tile + 1) - 1) / 2);   // tile = ti (ti + 1) / 2 + tj with tj <= ti
  if (ti * (ti + 1) / 2 > tile)
    --ti;
  const int i = 2 * ti;
  const int j = 2 * (tile - ti * (ti + 1) / 2);
  const int i1 = min(i + 1, args.rows - 1);
  const int j1 = min(j + 1, args.rows - 1);
  const long long stride = args.columns;
  const float* x0 = args.x + blockIdx.z * args.x_stride;
  const float* a0 = x0 + i * stride;
  const float* a1 = x0 + i1 * stride;
  const float* b0 = x0 + j * stride;
  const float* b1 = x0 + j1 * stride;
  const bool aligned = args.columns % 4 == 0 && is_aligned16(x0);
  const int begin = blockIdx.y * args.chunk;
  const int end = min(begin + args.chunk, args.columns);

  double s00[kLanes] = {};
  double s01[kLanes] = {};
  double s10[kLanes] = {};
  double s11[kLanes] = {};
  float u[kLanes], v[kLanes], x[kLanes], y[kLanes];
  int c = begin;
  for (; c + kLanes <= end; c += kLanes) {
    load_lanes(a0 + c, aligned, u);
    load_lanes(a1 + c, aligned, v);
    load_lanes(b0 + c, aligned, x);
    load_lanes(b1 + c, aligned, y);
    add_products(s00, u, x);
    add_products(s01, u, y);
    add_products(s10, v, x);
    add_products(s11, v, y);
  }
  for (; c < end; ++c) {
    s00[0] = fma(double(a0[c]), double(b0[c]), s00[0]);
    s01[0] = fma(double(a0[c]), double(b1[c]), s01[0]);
    s10[0] = fma(double(a1[c]), double(b0[c]), s10[0]);
    s11[0] = fma(double(a1[c]), double(b1[c]), s11[0]);
  }
#pragma unroll
  for (int width = kLanes / 2; width; width /= 2)
    for (int e = 0; e < width; ++e) {
      s00[e] += s00[e + width];
      s01[e] += s01[e + width];
      s10[e] += s10[e + width];
      s11[e] += s11[e + width];
    }
  double* out = args.partial + ((long long)blockIdx.z * gridDim.y + blockIdx.y) * args.rows * args.rows;
  out[(long long)i * args.rows + j] = s00[0];
  if (i + 1 < args.rows)
    out[(long long)i1 * args.rows + j] = s10[0];
  if (j + 1 <= i)
    out[(long long)i * args.rows + j1] = s01[0];
  if (i + 1 < args.rows)
    out[(long long)i1 * args.rows + j1] = s11[0];
}

SPECTRAL_KERNEL_PLAIN(gram_reduce, GramReduceArgs, 128) {
  const int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= args.rows * args.rows)
    return;
  const int i = index / args.rows;
  const int j = index % args.rows;
  if (j > i)
    return;
  const long long square = (long long)args.rows * args.rows;
  const double* partial = args.partial + blockIdx.y * args.chunks * square;
  double* gram = args.gram + blockIdx.y * square;
  double sum = 0;
  for (int chunk = 0; chunk < args.chunks; ++chunk)
    sum += partial[chunk * square + index];
  gram[index] = sum;
  gram[j * args.rows + i] = sum;
  if (args.deviation)
    atomicMax(
        args.deviation + blockIdx.y * args.deviation_stride,
        int(__float_as_uint(float(i == j ? sum - 1 : sum)) & 0x7fffffffu));
}
