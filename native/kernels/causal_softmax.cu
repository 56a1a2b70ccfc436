// Softmax over the keys a query may see, in place.
//
// Formula        query i sees the keys j with first <= j <= last, first = window > 0 ? max(0, i - window + 1) : 0, with
//                spans at least spans[sequence,i,0]; last = i, or if it sees ahead length - 1, with spans
//                spans[sequence,i,1] - 1; sequence = matrix / heads
//                x[i,j] = scale s[i,j], or with a soft cap c > 0: c t, t = tanh(scale s[i,j] / c)
//                p[i,j] = exp(x[i,j] - max) / sum over seen keys, 0 elsewhere
//                ds[i,j] = scale p[i,j] (dp[i,j] - sum over seen j of p dp), 0 elsewhere; times 1 - t^2 with a soft cap
// Shapes         s, p, dp, ds [matrices, length, length]; s becomes p, dp becomes ds; with a soft cap backward reads s;
//                spans [matrices / heads, length, 2]
// Layout         row-major, contiguous; any size
// Types          F32, BF16; spans I32 or null
// Accumulation   F32: running maximum and sum per lane, joined over the warp (Milakov, Gimelshein: "Online normalizer
//                calculation for softmax", 2018)
// Grid/Block     `lanes` lanes per query row (8, or 32 for long rows), 256 threads a block. Of a row only the seen part
//                is read, and up to `lanes` vectors before it.
// Bytes          forward 2 size(T) matrices length^2 (the half above the diagonal is only written); backward 2.5, or 3
//                with a soft cap
// Flops          forward 6 matrices length^2 / 2, two of them exponentials; backward 5 matrices length^2 / 2; with a
//                soft cap two hyperbolic tangents more, and one; twice as much if queries see ahead
// Deterministic  yes
// Non-finite     a NaN among the seen scores makes its row NaN; -inf scores count as unseen, with a soft cap as -c
#include "exponential.cuh"
#include "pieces.cuh"

struct CausalSoftmaxForwardArgs {
  // scores [rows, length], type of the entry; overwritten with probabilities; 16-byte aligned for vectors
  void* scores;
  // of each position the first of its record and the one after its last [matrices / heads, length, 2]; null: a sequence
  // is one record
  const int* spans;
  int64_t rows;   // query rows in all: matrices times length
  int heads;      // matrices of a sequence
  int length;     // queries, and keys, of one matrix
  int window;     // keys that a query sees, its own included; 0: all before it
  int lanes;      // lanes of a warp that share a row: 8 or 32
  int ahead;      // 1: a query sees the keys after it too, with window 0; 0: those up to its own
  float scale;    // factor of the scores before the softmax
  float cap;      // soft cap of the scaled scores; 0: none
};
SPECTRAL_LAYOUT(CausalSoftmaxForwardArgs, scores, spans, rows, heads, length, window, lanes, ahead, scale, cap)

struct CausalSoftmaxBackwardArgs {
  const void* probabilities;   // probabilities [rows, length], type of the entry; 16-byte aligned for vectors
  // their gradient [rows, length], type of the entry; overwritten with that of the scores; 16-byte aligned for vectors
  void* gradient;
  const void*
      scores;   // scores [rows, length], type of the entry; null without a soft cap; 16-byte aligned for vectors
  // of each position the first of its record and the one after its last [matrices / heads, length, 2]; null: a sequence
  // is one record
  const int* spans;
  int64_t rows;   // query rows in all: matrices times length
  int heads;      // matrices of a sequence
  int length;     // queries, and keys, of one matrix
  int window;     // keys that a query sees, its own included; 0: all before it
  int lanes;      // lanes of a warp that share a row: 8 or 32
  int ahead;      // 1: a query sees the keys after it too, with window 0; 0: those up to its own
  float scale;    // factor of the scores in the forward pass
  float cap;      // soft cap in the forward pass; 0: none
};
SPECTRAL_LAYOUT(
    CausalSoftmaxBackwardArgs, probabilities, gradient, scores, spans, rows, heads, length, window, lanes, ahead, scale,
    cap)

namespace {
// The first key that a row's query sees.
template <class Args>
__device__ __forceinline__ int first_seen(const Args& args, int64_t row, int query) {
  const int near = args.window > 0 ? max(0, query - args.window + 1) : 0;
  if (!args.spans || query < 0)
    return near;
  const int64_t sequence = row / args.length / args.heads;
  return max(near, args.spans[2 * (sequence * args.length + query)]);
}

// The last key that a row's query sees; -1: none.
template <class Args>
__device__ __forceinline__ int last_seen(const Args& args, int64_t row, int query) {
  if (!args.ahead || query < 0)
    return query;
  const int64_t sequence = row / args.length / args.heads;
  return args.spans ? args.spans[2 * (sequence * args.length + query) + 1] - 1 : args.length - 1;
}

// A score as the softmax takes it, and its derivative.
template <bool kCapped>
struct Score {
  float scale, cap;
  float inner = kCapped ? scale / cap : 0.0f;
  __device__ __forceinline__ float value(float s) const { return kCapped ? cap * tanh_f32(inner * s) : scale * s; }
  __device__ __forceinline__ float slope(float s) const {
    const float t = tanh_f32(inner * s);
    return scale * (1.0f - t * t);
  }
};

template <class T, int kLanes, bool kCapped>
__device__ __forceinline__ void causal_softmax_forward(const CausalSoftmaxForwardArgs& args) {
  const SharedRow<kLanes> group(args.rows, args.length);
  if (!group.takes_part())
    return;
  const int64_t row = group.row;
  const int lane = group.lane;
  const int length = group.columns;
  const int query = length ? int(row % length) : -1;
  const int first = first_seen(args, row, query);
  const int last = last_seen(args, row, query);   // -1: sees nothing
  const Score<kCapped> score{args.scale, args.cap};
  T* scores = static_cast<T*>(args.scores) + row * args.length;
  by_row_width<T>(args.length, is_aligned16(args.scores), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    constexpr int kStep = SharedRow<kLanes>::kSharing * kWidth;
    // Lanes write below with this same stride from 0 on, so from a multiple of it each lane overwrites only scores that
    // it has read itself. Shuffles would not order other lanes' reads before its writes.
    const int start = first / (kStep) * (kStep);
    MaxSum part{-INFINITY, 0.0f};
    for (int c = start + lane * kWidth; c <= last; c += kStep) {
      float v[kWidth];
      load_piece(scores + c, v);
      for (int i = 0; i < kWidth; ++i)
        v[i] = score.value(v[i]);
      if (c < first || c + kWidth - 1 > last)
        for (int i = 0; i < kWidth; ++i)
          v[i] = c + i >= first && c + i <= last ? v[i] : -INFINITY;
      join_max_sum(part, v);
    }
    part = row_max_sum<kLanes>(part);
    const float inverse = 1.0f / part.sum;
    const float max = part.max;
    for (int c = lane * kWidth; c < length; c += kStep) {
      float v[kWidth] = {};
      if (c + kWidth > first && c <= last) {
        load_piece(scores + c, v);
        for (int i = 0; i < kWidth; ++i)
          v[i] = exp_f32(score.value(v[i]) - max) * inverse;
        if (c < first || c + kWidth - 1 > last)
          for (int i = 0; i < kWidth; ++i)
            v[i] = c + i >= first && c + i <= last ? v[i] : 0.0f;
      }
      store_piece(scores + c, v);
    }
  });
}

template <class T, int kLanes, bool kCapped>
__device__ __forceinline__ void causal_softmax_backward(const CausalSoftmaxBackwardArgs& args) {
  const SharedRow<kLanes> group(args.rows, args.length);
  if (!group.takes_part())
    return;
  const int64_t row = group.row;
  const int lane = group.lane;
  const int length = group.columns;
  const int query = length ? int(row % length) : -1;
  const int first = first_seen(args, row, query);
  const int last = last_seen(args, row, query);   // -1: sees nothing
  const T* probabilities = static_cast<const T*>(args.probabilities) + row * args.length;
  T* gradient = static_cast<T*>(args.gradient) + row * args.length;
  const T* scores = static_cast<const T*>(args.scores) + row * args.length;
  const Score<kCapped> score{args.scale, args.cap};
  by_row_width<T>(args.length, is_aligned16(args.probabilities, args.gradient, args.scores), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    constexpr int kStep = SharedRow<kLanes>::kSharing * kWidth;
    const int start = first / (kStep) * (kStep);
    float products[kWidth] = {};
    for (int c = start + lane * kWidth; c <= last; c += kStep) {
      float p[kWidth], g[kWidth];
      load_piece(probabilities + c, p);
      load_piece(gradient + c, g);
      for (int i = 0; i < kWidth; ++i)
        products[i] += c + i >= first && c + i <= last ? p[i] * g[i] : 0.0f;
    }
    const float sum = row_sum<T, kLanes>(products);
    for (int c = lane * kWidth; c < length; c += kStep) {
      float p[kWidth] = {};
      float g[kWidth] = {};
      float s[kWidth] = {};
      if (c + kWidth > first && c <= last) {
        load_piece(probabilities + c, p);
        load_piece(gradient + c, g);
        if (kCapped)
          load_piece(scores + c, s);
        for (int i = 0; i < kWidth; ++i) {
          const float slope = kCapped ? score.slope(s[i]) : args.scale;
          g[i] = c + i >= first && c + i <= last ? slope * p[i] * (g[i] - sum) : 0.0f;
        }
      }
      store_piece(gradient + c, g);
    }
  });
}

template <class T, bool kCapped>
__device__ __forceinline__ void causal_softmax_forward(const CausalSoftmaxForwardArgs& args) {
  if (args.lanes == 8)
    causal_softmax_forward<T, 8, kCapped>(args);
  else
    causal_softmax_forward<T, 32, kCapped>(args);
}
template <class T, bool kCapped>
__device__ __forceinline__ void causal_softmax_backward(const CausalSoftmaxBackwardArgs& args) {
  if (args.lanes == 8)
    causal_softmax_backward<T, 8, kCapped>(args);
  else
    causal_softmax_backward<T, 32, kCapped>(args);
}
}   // namespace

SPECTRAL_KERNEL_ROWS(causal_softmax_forward_f32, CausalSoftmaxForwardArgs, kRowThreads) {
  causal_softmax_forward<float, false>(args);
}
SPECTRAL_KERNEL_ROWS(causal_softmax_forward_bf16, CausalSoftmaxForwardArgs, kRowThreads) {
  causal_softmax_forward<bf16, false>(args);
}
SPECTRAL_KERNEL_ROWS(causal_softmax_forward_capped_f32, CausalSoftmaxForwardArgs, kRowThreads) {
  causal_softmax_forward<float, true>(args);
}
SPECTRAL_KERNEL_ROWS(causal_softmax_forward_capped_bf16, CausalSoftmaxForwardArgs, kRowThreads) {
  causal_softmax_forward<bf16, true>(args);
}
SPECTRAL_KERNEL_ROWS(causal_softmax_backward_f32, CausalSoftmaxBackwardArgs, kRowThreads) {
  causal_softmax_backward<float, false>(args);
}
SPECTRAL_KERNEL_ROWS(causal_softmax_backward_bf16, CausalSoftmaxBackwardArgs, kRowThreads) {
  causal_softmax_backward<bf16, false>(args);
}
SPECTRAL_KERNEL_ROWS(causal_softmax_backward_capped_f32, CausalSoftmaxBackwardArgs, kRowThreads) {
  causal_softmax_backward<float, true>(args);
}
SPECTRAL_KERNEL_ROWS(causal_softmax_backward_capped_bf16, CausalSoftmaxBackwardArgs, kRowThreads) {
  causal_softmax_backward<bf16, true>(args);
}
