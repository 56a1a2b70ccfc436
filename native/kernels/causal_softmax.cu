// Softmax over the keys a query may see, in place.
//
// Formula        query i sees the keys j with first <= j <= i, first = window > 0 ? max(0, i - window + 1) : 0
//                p[i,j] = exp(scale s[i,j] - max) / sum over seen keys, 0 elsewhere
//                ds[i,j] = scale p[i,j] (dp[i,j] - sum over seen j of p dp), 0 elsewhere
// Shapes         s, p, dp, ds [matrices, length, length]; s becomes p, dp becomes ds
// Layout         row-major, contiguous; any size
// Types          F32, BF16
// Accumulation   F32: running maximum and sum per lane, joined over the warp (Milakov, Gimelshein: "Online normalizer
//                calculation for softmax", 2018)
// Grid/Block     `lanes` lanes per query row (8, or 32 for long rows), 256 threads a block. Of a row only the seen part
//                is read, and up to `lanes` vectors before it.
// Bytes          forward 2 size(T) matrices length^2 (the half above the diagonal is only written); backward 2.5
// Flops          forward 6 matrices length^2 / 2, two of them exponentials; backward 5 matrices length^2 / 2
// Deterministic  yes
// Non-finite     a NaN among the seen scores makes its row NaN; -inf scores count as unseen
#include "exponential.cuh"
#include "pieces.cuh"

struct CausalSoftmaxForwardArgs {
  // scores [rows, length], type of the entry; overwritten with probabilities; 16-byte aligned for vectors
  void* scores;
  int64_t rows;   // query rows in all: matrices times length
  int length;     // queries, and keys, of one matrix
  int window;     // keys that a query sees, its own included; 0: all before it
  int lanes;      // lanes of a warp that share a row: 8 or 32
  float scale;    // factor of the scores before the softmax
};
SPECTRAL_LAYOUT(CausalSoftmaxForwardArgs, scores, rows, length, window, lanes, scale)

struct CausalSoftmaxBackwardArgs {
  const void* probabilities;   // probabilities [rows, length], type of the entry; 16-byte aligned for vectors
  // their gradient [rows, length], type of the entry; overwritten with that of the scores; 16-byte aligned for vectors
  void* gradient;
  int64_t rows;   // query rows in all: matrices times length
  int length;     // queries, and keys, of one matrix
  int window;     // keys that a query sees, its own included; 0: all before it
  int lanes;      // lanes of a warp that share a row: 8 or 32
  float scale;    // factor of the scores in the forward pass
};
SPECTRAL_LAYOUT(CausalSoftmaxBackwardArgs, probabilities, gradient, rows, length, window, lanes, scale)

namespace {
__device__ __forceinline__ int first_seen(int query, int window) { return window > 0 ? max(0, query - window + 1) : 0; }

template <class T, int kLanes>
__device__ __forceinline__ void causal_softmax_forward(const CausalSoftmaxForwardArgs& args) {
  const GroupRow<kLanes> group(args.rows, args.length);
  const int64_t row = group.row;
  const int lane = group.lane;
  const int length = group.columns;
  const int query = length ? int(row % length) : -1;
  const int first = first_seen(query, args.window);   // -1: sees nothing
  const float scale = args.scale;
  T* scores = static_cast<T*>(args.scores) + row * args.length;
  by_width<T>(args.length, is_aligned16(args.scores), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    // Lanes write below with this same stride from 0 on, so from a multiple of it each lane overwrites only scores that
    // it has read itself. Shuffles would not order other lanes' reads before its writes.
    const int start = first / (kLanes * kWidth) * (kLanes * kWidth);
    MaxSum part{-INFINITY, 0.0f};
    for (int c = start + lane * kWidth; c <= query; c += kLanes * kWidth) {
      float v[kWidth];
      load_piece(scores + c, v);
      if (c < first || c + kWidth - 1 > query)
        for (int i = 0; i < kWidth; ++i)
          v[i] = c + i >= first && c + i <= query ? v[i] : -INFINITY;
      for (int i = 0; i < kWidth; ++i)
        v[i] *= scale;
      join_max_sum(part, v);
    }
    part = warp_max_sum<kLanes>(part.max, part.sum);
    const float inverse = 1.0f / part.sum;
    const float max = part.max;
    for (int c = lane * kWidth; c < length; c += kLanes * kWidth) {
      float v[kWidth] = {};
      if (c + kWidth > first && c <= query) {
        load_piece(scores + c, v);
        for (int i = 0; i < kWidth; ++i)
          v[i] = exp_f32(v[i] * scale - max) * inverse;
        if (c < first || c + kWidth - 1 > query)
          for (int i = 0; i < kWidth; ++i)
            v[i] = c + i >= first && c + i <= query ? v[i] : 0.0f;
      }
      store_piece(scores + c, v);
    }
  });
}

template <class T, int kLanes>
__device__ __forceinline__ void causal_softmax_backward(const CausalSoftmaxBackwardArgs& args) {
  const GroupRow<kLanes> group(args.rows, args.length);
  const int64_t row = group.row;
  const int lane = group.lane;
  const int length = group.columns;
  const int query = length ? int(row % length) : -1;
  const int first = first_seen(query, args.window);   // -1: sees nothing
  const T* probabilities = static_cast<const T*>(args.probabilities) + row * args.length;
  T* gradient = static_cast<T*>(args.gradient) + row * args.length;
  by_width<T>(args.length, is_aligned16(args.probabilities, args.gradient), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const int start = first / (kLanes * kWidth) * (kLanes * kWidth);
    float products[kWidth] = {};
    for (int c = start + lane * kWidth; c <= query; c += kLanes * kWidth) {
      float p[kWidth], g[kWidth];
      load_piece(probabilities + c, p);
      load_piece(gradient + c, g);
      for (int i = 0; i < kWidth; ++i)
        products[i] += c + i >= first && c + i <= query ? p[i] * g[i] : 0.0f;
    }
    float sum = 0;
    for (int i = 0; i < kWidth; ++i)
      sum += products[i];
    sum = warp_sum<kLanes>(sum);
    for (int c = lane * kWidth; c < length; c += kLanes * kWidth) {
      float p[kWidth] = {};
      float g[kWidth] = {};
      if (c + kWidth > first && c <= query) {
        load_piece(probabilities + c, p);
        load_piece(gradient + c, g);
        for (int i = 0; i < kWidth; ++i)
          g[i] = c + i >= first && c + i <= query ? args.scale * p[i] * (g[i] - sum) : 0.0f;
      }
      store_piece(gradient + c, g);
    }
  });
}
}   // namespace

SPECTRAL_KERNEL(causal_softmax_forward_f32, CausalSoftmaxForwardArgs, kRowThreads) {
  if (args.lanes == 8)
    causal_softmax_forward<float, 8>(args);
  else
    causal_softmax_forward<float, 32>(args);
}
SPECTRAL_KERNEL(causal_softmax_forward_bf16, CausalSoftmaxForwardArgs, kRowThreads) {
  if (args.lanes == 8)
    causal_softmax_forward<bf16, 8>(args);
  else
    causal_softmax_forward<bf16, 32>(args);
}
SPECTRAL_KERNEL(causal_softmax_backward_f32, CausalSoftmaxBackwardArgs, kRowThreads) {
  if (args.lanes == 8)
    causal_softmax_backward<float, 8>(args);
  else
    causal_softmax_backward<float, 32>(args);
}
SPECTRAL_KERNEL(causal_softmax_backward_bf16, CausalSoftmaxBackwardArgs, kRowThreads) {
  if (args.lanes == 8)
    causal_softmax_backward<bf16, 8>(args);
  else
    causal_softmax_backward<bf16, 32>(args);
}
