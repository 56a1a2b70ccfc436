// Attention of one new token per sequence over a cache of keys and values, and the filling of that cache. (Training
// composes batched products with causal_softmax.cu.)
//
// Formula        decode: with n = min(lengths[b], positions) keys in the cache and the query at n - 1,
//                output[b,h,:] = sum_j softmax_j(x_j) values[b,g,j,:],  x_j = scale q[b,h,:] . keys[b,g,j,:],
//                  with a soft cap c > 0: c tanh(x_j / c) in its place,  g = h kv_heads / heads,
//                j from max(0, n - window) (window > 0) to n - 1; zeros when n = 0
//                append: cache[b,g,offsets[b] + s,:] = source[b,g,s,:]; positions outside the cache are left out
// Shapes         q, output [batch, heads, head_dim]; keys, values, cache [batch, kv_heads, positions, head_dim];
//                lengths, offsets [batch]; source [batch, kv_heads, length, head_dim]
// Layout         row-major, contiguous; head_dim up to 512
// Types          q, keys, values, output F32 or BF16; lengths, offsets I32
// Accumulation   F32, online softmax over chunks of 128 keys
// Grid/Block     decode: one block of 128 threads per query head and sequence, the heads of one after another: a
//                thread scores one key of the chunk, then adds up one to four of the output's dimensions. Static
//                shared memory: the query, the chunk's weights. append: one warp per row of the source, 8 a block.
// Bytes          decode 2 size(T) batch heads n head_dim (groups share keys in L2); append 2 size(T) elements of the
//                source
// Flops          decode 4 batch heads n head_dim; append 0
// Deterministic  yes
#include "exponential.cuh"
#include "pieces.cuh"

struct AttentionDecodeArgs {
  const void* q;   // queries [batch, heads, head_dim], type of the entry; 16-byte aligned for vectors
  // cached keys [batch, kv_heads, positions, head_dim], type of the entry; 16-byte aligned for vectors
  const void* keys;
  // cached values [batch, kv_heads, positions, head_dim], type of the entry; 16-byte aligned for vectors
  const void* values;
  const int* lengths;   // number of cached keys per sequence, the new one included, [batch]
  void* output;         // result [batch, heads, head_dim], type of the entry; written; 16-byte aligned for vectors
  int heads;            // query heads, a multiple of kv_heads
  int kv_heads;         // key/value heads
  int positions;        // positions that the cache has room for
  int head_dim;         // elements per head, at most 512
  int window;           // keys that a query sees, its own included; 0: all before it
  float scale;          // factor of the scores before the softmax
  float cap;            // soft cap of the scaled scores; 0: none
};
SPECTRAL_LAYOUT(
    AttentionDecodeArgs, q, keys, values, lengths, output, heads, kv_heads, positions, head_dim, window, scale, cap)

struct AttentionAppendArgs {
  const void* source;   // new rows [batch, kv_heads, length, head_dim], type of the entry; 16-byte aligned for vectors
  const int* offsets;   // position at which each sequence goes on [batch]
  // cache [batch, kv_heads, positions, head_dim], type of the entry; written; 16-byte aligned for vectors
  void* cache;
  int batch;       // sequences
  int kv_heads;    // key/value heads
  int length;      // new positions per sequence
  int positions;   // positions that the cache has room for; rows beyond them are left out
  int head_dim;    // elements per head
};
SPECTRAL_LAYOUT(AttentionAppendArgs, source, offsets, cache, batch, kv_heads, length, positions, head_dim)

namespace {
constexpr int kChunk = 128;      // threads, and keys that they score in a round
constexpr int kDimensions = 4;   // of the output, at most, per thread
constexpr int kDecodeShared = kChunk * (kDimensions + 1) * int(sizeof(float)) + kBlockMaxShared;

template <class T>
__device__ __forceinline__ void attention_decode(const AttentionDecodeArgs& args) {
  __shared__ float query[kChunk * kDimensions], weights[kChunk];
  const int h = blockIdx.x % args.heads;
  const int b = blockIdx.x / args.heads;
  const int t = threadIdx.x;
  const int head_dim = args.head_dim;
  const int visible = min(args.lengths[b], args.positions);
  const int first = args.window > 0 ? max(0, visible - args.window) : 0;
  const int64_t group = int64_t(b) * args.kv_heads + int64_t(h) * args.kv_heads / args.heads;
  const T* keys = static_cast<const T*>(args.keys) + group * args.positions * head_dim;
  const T* values = static_cast<const T*>(args.values) + group * args.positions * head_dim;
  const int64_t row = (int64_t(b) * args.heads + h) * head_dim;
  for (int d = t; d < head_dim; d += kChunk)
    query[d] = to_float(static_cast<const T*>(args.q)[row + d]) * args.scale;
  __syncthreads();
  const float* const scaled = query;

  float most = -INFINITY;
  float sum = 0;
  float result[kDimensions] = {};
  for (int start = first; start < visible; start += kChunk) {
    const int key = start + t;
    const int count = min(kChunk, visible - start);
    float score = -INFINITY;
    if (t < count)
      by_width<T>(head_dim, is_aligned16(args.keys), [&](auto width) {
        constexpr int kWidth = decltype(width)::value;
        float products[kWidth] = {};
        for (int d = 0; d < head_dim; d += kWidth) {
          float k[kWidth];
          load_piece(keys + int64_t(key) * head_dim + d, k);
          for (int i = 0; i < kWidth; ++i)
            products[i] += scaled[d + i] * k[i];
        }
        score = 0;
        for (int i = 0; i < kWidth; ++i)
          score += products[i];
        if (args.cap > 0)
          score = args.cap * tanh_f32(score / args.cap);
      });
    const float top = fmaxf(most, block_max(score));   // after its barrier nobody reads the last round's weights
    weights[t] = t < count ? exp_f32(score - top) : 0.0f;
    __syncthreads();
    const float fade = exp_f32(most - top);
    sum *= fade;
    for (int j = 0; j < count; ++j)
      sum += weights[j];
#pragma unroll
    for (int i = 0; i < kDimensions; ++i) {
      const int d = t + i * kChunk;
      if (d >= head_dim)
        break;
      float value = result[i] * fade;
      for (int j = 0; j < count; ++j)
        value += weights[j] * to_float(values[int64_t(start + j) * head_dim + d]);
      result[i] = value;
    }
    most = top;
  }
#pragma unroll
  for (int i = 0; i < kDimensions; ++i) {
    const int d = t + i * kChunk;
    if (d < head_dim)
      static_cast<T*>(args.output)[row + d] = from_float<T>(visible > 0 ? result[i] / sum : 0.0f);
  }
}

template <class T>
__device__ __forceinline__ void attention_append(const AttentionAppendArgs& args) {
  const int64_t row = warp_row();   // (b, g, s)
  if (row >= int64_t(args.batch) * args.kv_heads * args.length)
    return;
  const int64_t group = row / args.length;
  const int position = args.offsets[group / args.kv_heads] + int(row % args.length);
  const int head_dim = args.head_dim;
  if (position < 0 || position >= args.positions)
    return;
  const T* source = static_cast<const T*>(args.source) + row * head_dim;
  T* destination = static_cast<T*>(args.cache) + (group * args.positions + position) * head_dim;
  by_width<T>(head_dim, is_aligned16(args.source, args.cache), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    for (int d = lane_id() * kWidth; d < head_dim; d += 32 * kWidth) {
      float v[kWidth];
      load_piece(source + d, v);
      store_piece(destination + d, v);
    }
  });
}
}   // namespace

SPECTRAL_KERNEL(attention_decode_f32, AttentionDecodeArgs, kChunk) { attention_decode<float>(args); }
SPECTRAL_KERNEL(attention_decode_bf16, AttentionDecodeArgs, kChunk) { attention_decode<bf16>(args); }
SPECTRAL_STATIC_SHARED(attention_decode_f32, kDecodeShared)
SPECTRAL_STATIC_SHARED(attention_decode_bf16, kDecodeShared)
SPECTRAL_KERNEL_PLAIN(attention_append_f32, AttentionAppendArgs, kRowThreads) { attention_append<float>(args); }
SPECTRAL_KERNEL_PLAIN(attention_append_bf16, AttentionAppendArgs, kRowThreads) { attention_append<bf16>(args); }
