// Cross-entropy of next-token logits: loss and gradient in one launch.
//
// Formula        loss[n] = log(sum_j exp(logits[n,j])) - logits[n,t],  t = targets[n]
//                dLogits[n,j] = gradient_scale scale (exp(logits[n,j]) / sum - (j == t));
//                  masked rows (t = -1) give 0 and zeros
// Shapes         logits, dLogits [rows, vocabulary]; targets, losses [rows]; scale [1] or null for 1
// Layout         row-major, contiguous; any size. dLogits may be the logits when both are F32.
// Types          logits, losses, scale F32; dLogits F32 or BF16, may be null; targets I32
// Accumulation   F32: running maximum and sum per thread, joined over the block
// Grid/Block     one block per row: one warp for short rows, up to 16 warps for long ones; any multiple of 32 threads
//                up to 512. Static shared memory 256 bytes
// Bytes          8 rows vocabulary (read twice; the second time from L2 while rows in flight fit) + size(T) rows
//                vocabulary
// Flops          8 rows vocabulary, two of them exponentials
// Deterministic  yes, for a given block size
// Out of range   a target below -1 or not below vocabulary gives a NaN loss and zeros
#include "exponential.cuh"
#include "pieces.cuh"

struct CrossEntropyArgs {
  const float* logits;   // logits [rows, vocabulary]; 16-byte aligned for vectors
  const int* targets;    // target ids [rows]; -1 masks a row
  float* losses;         // losses [rows]; written
  // gradient of the logits [rows, vocabulary], type of the entry; null: not wanted; may be the logits when F32;
  // 16-byte aligned for vectors
  void* d_logits;
  const float* scale;     // one F32 factor of the gradient that a captured step reads anew; null: 1
  int rows;               // rows of the logits
  int vocabulary;         // columns of the logits
  float gradient_scale;   // factor of the gradient that is fixed at launch
};
SPECTRAL_LAYOUT(CrossEntropyArgs, logits, targets, losses, d_logits, scale, rows, vocabulary, gradient_scale)

namespace {
template <class T>
__device__ __forceinline__ void cross_entropy(const CrossEntropyArgs& args) {
  const int64_t row = blockIdx.x;
  const int vocabulary = args.vocabulary;
  const int target = args.targets[row];
  const int threads = blockDim.x;
  const int thread = threadIdx.x;
  const float* logits = args.logits + row * vocabulary;
  T* gradient = args.d_logits ? static_cast<T*>(args.d_logits) + row * vocabulary : nullptr;
  const bool counted = target >= 0 && target < vocabulary;
  by_width<float>(vocabulary, is_aligned16(args.logits, args.d_logits), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    if (!counted) {   // the whole block takes this way
      if (thread == 0)
        args.losses[row] = target == -1 ? 0.0f : NAN;
      const float zeros[kWidth] = {};
      if (gradient)
        for (int c = thread * kWidth; c < vocabulary; c += threads * kWidth)
          store_piece(gradient + c, zeros);
      return;
    }
    MaxSum part{-INFINITY, 0.0f};
    for (int c = thread * kWidth; c < vocabulary; c += threads * kWidth) {
      float v[kWidth];
      load_piece(logits + c, v);
      join_max_sum(part, v);
    }
    part = threads == 32 ? warp_max_sum(part.max, part.sum) : block_max_sum(part.max, part.sum);
    // Only the thread that will overwrite the target's logit reads it, so dLogits may be the logits.
    if (thread == target / kWidth % threads)
      args.losses[row] = logf(part.sum) + (part.max - logits[target]);
    if (!gradient)
      return;
    const float inverse = 1.0f / part.sum;
    const float scale = args.scale ? args.gradient_scale * *args.scale : args.gradient_scale;
    for (int c = thread * kWidth; c < vocabulary; c += threads * kWidth) {
      float v[kWidth];
      load_piece(logits + c, v);
      for (int i = 0; i < kWidth; ++i)
        v[i] = scale * (exp_f32(v[i] - part.max) * inverse - (c + i == target ? 1.0f : 0.0f));
      store_piece(gradient + c, v);
    }
  });
}
}   // namespace

SPECTRAL_KERNEL(cross_entropy_f32, CrossEntropyArgs, 512) { cross_entropy<float>(args); }
SPECTRAL_KERNEL(cross_entropy_bf16, CrossEntropyArgs, 512) { cross_entropy<bf16>(args); }
SPECTRAL_STATIC_SHARED(cross_entropy_f32, kBlockMaxSumShared)
SPECTRAL_STATIC_SHARED(cross_entropy_bf16, kBlockMaxSumShared)
