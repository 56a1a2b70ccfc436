// Scales gradients down to a largest norm, where each group of them has a norm of its own.
//
// Formula        f = min(1, max_norm / (norm + 1e-6));  x = f x, left alone where f is 1
// Shapes         x [count]; norm [1]; max_norm a number above 0
// Layout         contiguous
// Types          F32
// Accumulation   none
// Grid/Block     one thread per 16-byte vector, 256 a block
// Bytes          8 count
// Flops          count
// Deterministic  yes
#include "pieces.cuh"

struct ClipNormArgs {
  float* x;            // gradients [count]; updated; 16-byte aligned for vectors
  const float* norm;   // one F32, the norm of all gradients of the group
  int64_t count;       // elements of x
  float max_norm;      // largest norm that is left
};
SPECTRAL_LAYOUT(ClipNormArgs, x, norm, count, max_norm)

SPECTRAL_KERNEL_PLAIN(clip_norm_f32, ClipNormArgs, kFlatThreads) {
  const float factor = fminf(1.0f, args.max_norm / (*args.norm + 1e-6f));
  if (factor == 1.0f)
    return;
  by_piece<float>(args.count, is_aligned16(args.x), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float x[kWidth];
    load_piece(args.x + at, x);
    for (int i = 0; i < kWidth; ++i)
      x[i] *= factor;
    store_piece(args.x + at, x);
  });
}
