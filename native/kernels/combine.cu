// A weighted sum of two tensors and the identity: residuals, differences and rotations in adapters' expressions.
//
// Formula        z[b,i,j] = alpha x[b,i,j] + beta y[b,i,j] + gamma (i == j)
// Shapes         x, y, z [batch, rows, columns]; y null counts as 0
// Layout         row-major, contiguous; z may be x or y
// Types          F32
// Accumulation   F32: alpha x + gamma rounded, then one fma for beta y
// Grid/Block     one thread per 16-byte vector, 256 a block
// Bytes          12 per element, 8 without y
// Flops          4 per element
// Deterministic  yes
// NaN            passes on, also times a factor of 0
#include "pieces.cuh"

struct CombineArgs {
  const float* x;   // x [count]; 16-byte aligned for vectors
  const float* y;   // y [count]; null: none; 16-byte aligned for vectors
  float* z;         // z [count]; written; may be x or y; 16-byte aligned for vectors
  int64_t count;    // elements of all matrices together
  int rows;         // rows of one matrix
  int columns;      // columns of one matrix
  float alpha;      // factor of x
  float beta;       // factor of y
  float gamma;      // added to the diagonal of each matrix
};
SPECTRAL_LAYOUT(CombineArgs, x, y, z, count, rows, columns, alpha, beta, gamma)

SPECTRAL_KERNEL_PLAIN(combine, CombineArgs, kFlatThreads) {
  by_piece<float>(args.count, is_aligned16(args.x, args.y, args.z), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float x[kWidth];
    float y[kWidth] = {};
    load_piece(args.x + at, x);
    if (args.y)
      load_piece(args.y + at, y);
    for (int i = 0; i < kWidth; ++i)
      x[i] *= args.alpha;
    if (args.gamma != 0) {
      for (int i = 0; i < kWidth; ++i) {
        const int64_t row = (at + i) / args.columns;
        if (row % args.rows == at + i - row * args.columns)
          x[i] += args.gamma;
      }
    }
    for (int i = 0; i < kWidth; ++i)
      x[i] = fmaf(args.beta, y[i], x[i]);
    store_piece(args.z + at, x);
  });
}
