// Causal attention of whole sequences, forward and backward, that never stores the scores
// (Dao: "FlashAttention-2", 2023).
//
// Formula        query i sees the keys j with first <= j <= i, first = window > 0 ? max(0, i - window + 1) : 0; g = h
//                kv_heads / heads
//                forward:  s = scale q[b,h] k[b,g]^T;  lse[b,h,i] = log sum_j exp(s[i,j]);
//                          output = exp(s - lse) v[b,g]
//                delta:    delta[b,h,i] = sum_d dOutput output
//                backward: p = exp(s - lse);  ds = p (dOutput v^T - delta)
//                          dq = scale ds k;  dk = scale sum over the group's heads of ds^T q;
//                            dv = the same sum of p^T dOutput
// Shapes         q, dq [batch, heads, length, head_dim]; k, dk [batch, kv_heads, length, head_dim];
//                v, dv [batch length, kv_heads head_dim]; output, dOutput [batch length, heads head_dim];
//                lse, delta [batch, heads, length]
// Layout         row-major: q and k as the rotary embedding writes them, v and output as the projections beside them
//                do; v, dv, output and dOutput may be columns of wider matrices (strides, multiples of 8, from 16-byte
//                addresses on), the others are contiguous; head_dim a multiple of 8 up to 128 (tiles are 64 or 128
//                wide; a narrower head pays for zeros)
// Types          BF16; lse, delta F32
// Accumulation   F32: online softmax over tiles of keys. p and ds are rounded to BF16 between two products, 2^-8 of
//                each term. 2^x is approximate (exp2_fast, 2^-22).
// Grid/Block     128 threads. forward, query gradient: a block per head and 128 queries, 32 a warp, the longest rows
//                first.
//                key gradient: a block per key/value head and 64 (head_dim > 64) or 128 keys, its own by warps; it
//                walks the group's heads and their queries in order, so no two blocks add to one element. delta: 8
//                lanes a row. Dynamic shared memory: forward 65,536 bytes (81,920 above 64), query gradient 50,176
//                (99,328), key gradient 49,664 (66,048)
// Bytes          forward 4 batch length heads head_dim, and from L2 4 batch heads length^2 / 256 head_dim of keys and
//                values; backward 10 batch length heads head_dim, and from L2 three times forward's
// Flops          forward 2 batch heads length^2 head_dim (the seen half of two products), backward 3.5 times that
// Deterministic  yes
// Non-finite     a NaN in a seen score makes its row NaN
#include "pieces.cuh"
#include "tile.cuh"

struct FlashAttentionArgs {
  const void* q;
  const void* k;
  const void* v;
  void* output;   // read by delta
  float* lse;     // written by forward
  int batch;
  int heads;
  int kv_heads;
  int length;
  int head_dim;
  int v_stride;
  int output_stride;
  int window;   // 0: none
  float scale;
};
SPECTRAL_LAYOUT(
    FlashAttentionArgs, q, k, v, output, lse, batch, heads, kv_heads, length, head_dim, v_stride, output_stride, window,
    scale)

struct FlashAttentionGradientArgs {
  const void* q;
  const void* k;
  const void* v;
  const void* output;
  const void* d_output;
  const float* lse;
  float* delta;   // written by delta, read by the others
  void* dq;
  void* dk;
  void* dv;
  int batch;
  int heads;
  int kv_heads;
  int length;
  int head_dim;
  int v_stride;
  int output_stride;
  int d_output_stride;
  int dv_stride;
  int window;
  float scale;
};
SPECTRAL_LAYOUT(
    FlashAttentionGradientArgs, q, k, v, output, d_output, lse, delta, dq, dk, dv, batch, heads, kv_heads, length,
    head_dim, v_stride, output_stride, d_output_stride, dv_stride, window, scale)

namespace {
constexpr int kThreads = 128;
constexpr int kTilesN = 4;
constexpr int kBlock = 8 * kTilesN;   // accumulators come in blocks of 32 columns: what one mma_tile takes
constexpr float kLog2E = 0x1.715476p0f;

template <int kBlocks, int kTilesM>
using Accumulator = float[kBlocks][kTilesM][kTilesN][4];

// One head of a tensor as a matrix [length, head_dim]; head_dim is a multiple of 8, so rows start on 16-byte
// boundaries.
__device__ __forceinline__ TileSource<bf16> outer_head(const void* data, int64_t head, int length, int head_dim) {
  // data [.., head, length, head_dim]
  return {static_cast<const bf16*>(data) + head * length * head_dim, head_dim, length, head_dim, true};
}
__device__ __forceinline__ TileSource<bf16> inner_head(
    const void* data, int b, int head, unsigned stride, int length, int head_dim) {
  // data [b, length, stride]
  return {
      static_cast<const bf16*>(data) + int64_t(b) * length * stride + head * head_dim, stride, length, head_dim, true};
}

// d += A B^T over a depth of kHead: rows m ... of one tile with all rows of another.
template <int kHead, int kBlocks, int kTilesM>
__device__ __forceinline__ void multiply_rows(
    Accumulator<kBlocks, kTilesM>& d, const unsigned char* a_tile, int m, const unsigned char* b_tile) {
#pragma unroll
  for (int k = 0; k < kHead; k += 16) {
    uint32_t a[kTilesM][4];
    TileProduct<bf16>::left<2 * kHead, false>(a, a_tile, m, k);
#pragma unroll
    for (int c = 0; c < kBlocks; ++c) {
      uint32_t b[kTilesN][2];
      TileProduct<bf16>::right<2 * kHead, false>(b, b_tile, kBlock * c, k);
      mma_tile(d[c], a, b);
    }
  }
}
// d += P T: P in accumulators, rounded to bf16 on the way into the operand's registers, which hold it as the
// accumulators do.
template <int kHead, int kBlocks, int kTilesM>
__device__ __forceinline__ void multiply_columns(
    Accumulator<kHead / kBlock, kTilesM>& d, const Accumulator<kBlocks, kTilesM>& p, const unsigned char* tile) {
#pragma unroll
  for (int depth = 0; depth < kBlocks * kBlock; depth += 16) {
    const int c = depth / kBlock;
    const int j = depth % kBlock / 8;
    uint32_t a[kTilesM][4];
#pragma unroll
    for (int i = 0; i < kTilesM; ++i)
#pragma unroll
      for (int part = 0; part < 4; ++part)
        a[i][part] = bf16_pair(p[c][i][j + part / 2][part % 2 * 2], p[c][i][j + part / 2][part % 2 * 2 + 1]);
#pragma unroll
    for (int n = 0; n < kHead / kBlock; ++n) {
      uint32_t b[kTilesN][2];
      TileProduct<bf16>::right<2 * kHead, true>(b, tile, kBlock * n, depth);
      mma_tile(d[n], a, b);
    }
  }
}
// body(value, row in the warp, column, block) for each of this lane's elements, in whose array order loops are
// unrolled.
template <int kBlocks, int kTilesM, class Body>
__device__ __forceinline__ void each(Accumulator<kBlocks, kTilesM>& d, Body body) {
  const int g = lane_id() / 4;
  const int q = lane_id() % 4;
#pragma unroll
  for (int c = 0; c < kBlocks; ++c)
#pragma unroll
    for (int i = 0; i < kTilesM; ++i)
#pragma unroll
      for (int j = 0; j < kTilesN; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          body(d[c][i][j][e], 2 * i + e / 2, 16 * i + g + e / 2 * 8, kBlock * c + 8 * j + 2 * q + e % 2);
}
// Rows of a warp, through `tile` rows m ..., which only this warp uses, into rows of global memory in 16-byte pieces.
template <int kHead, int kTilesM>
__device__ __forceinline__ void store_rows(
    Accumulator<kHead / kBlock, kTilesM>& d, unsigned char* tile, int m, const TileSource<bf16>& to, int row0) {
  __syncwarp();   // other lanes may still read what the tile held
  const int g = lane_id() / 4;
  const int q = lane_id() % 4;
#pragma unroll
  for (int c = 0; c < kHead / kBlock; ++c)
#pragma unroll
    for (int i = 0; i < kTilesM; ++i)
#pragma unroll
      for (int j = 0; j < kTilesN; ++j)
#pragma unroll
        for (int h = 0; h < 2; ++h)
          *reinterpret_cast<uint32_t*>(tile + tile_offset<2 * kHead>(m + 16 * i + g + 8 * h, c * kTilesN + j) + 4 * q) =
              bf16_pair(d[c][i][j][2 * h], d[c][i][j][2 * h + 1]);
  __syncwarp();
  bf16* out = const_cast<bf16*>(to.data);
  for (int unit = lane_id(); unit < 16 * kTilesM * kHead / 8; unit += 32) {
    const int r = unit / (kHead / 8);
    const int u = unit % (kHead / 8);
    const int row = row0 + r;
    if (row < to.rows && u * 8 < to.columns)
      *reinterpret_cast<uint4*>(out + row * to.stride + u * 8) =
          *reinterpret_cast<const uint4*>(tile + tile_offset<2 * kHead>(m + r, u));
  }
}
// Does some query in [first, last] see some key in [key, key + keys)? Does every one see all of them?
__device__ __forceinline__ bool some_seen(int first, int last, int key, int keys, int window) {
  return key <= last && (window == 0 || key + keys - 1 > first - window);
}
__device__ __forceinline__ bool all_seen(int first, int last, int key, int keys, int window) {
  return key + keys - 1 <= first && (window == 0 || key > last - window);
}
__device__ __forceinline__ bool seen(int query, int key, int window) {
  return key <= query && (window == 0 || key > query - window);
}

// What a block of queries of one head has to do: the longest rows, which are the last, come first.
template <int kQueries>
struct QueryBlock {
  int b, h, group, first;   // group counts key/value heads over the batch
  int64_t row;              // of lse and delta: (b, h, first)
  __device__ __forceinline__ QueryBlock(int batch, int heads, int kv_heads, int length) {
    const int pairs = batch * heads;
    const int pair = int(blockIdx.x) % pairs;
    const int tiles = ceil_div(length, kQueries);
    b = pair / heads;
    h = pair % heads;
    group = b * kv_heads + int(int64_t(h) * kv_heads / heads);
    first = (tiles - 1 - int(blockIdx.x) / pairs) * kQueries;
    row = int64_t(pair) * length + first;
  }
};

template <int kHead, int kBlocks>
constexpr int kForwardShared = (128 + 3 * 2 * kBlocks * kBlock) * kHead * 2;   // q, three stages of keys and values

template <int kHead, int kBlocks>
__device__ __forceinline__ void flash_forward(const FlashAttentionArgs& args) {
  constexpr int kTilesM = 2;
  constexpr int kQueries = 128;
  constexpr int kKeys = kBlocks * kBlock;
  constexpr int kStages = 3;
  constexpr int kTile = kKeys * kHead * 2;
  static_assert(kQueries * kHead * 2 + kStages * 2 * kTile == kForwardShared<kHead, kBlocks>);
  DYNAMIC_SHARED(shared);
  unsigned char* const q_tile = shared;
  unsigned char* const stages = q_tile + kQueries * kHead * 2;
  const int length = args.length;
  const int window = args.window;
  const int m = threadIdx.x / 32 * 16 * kTilesM;
  const QueryBlock<kQueries> block(args.batch, args.heads, args.kv_heads, length);
  const TileSource<bf16> q = outer_head(args.q, int64_t(block.b) * args.heads + block.h, length, args.head_dim);
  const TileSource<bf16> k = outer_head(args.k, block.group, length, args.head_dim);
  const TileSource<bf16> v =
      inner_head(args.v, block.b, block.group % args.kv_heads, args.v_stride, length, args.head_dim);
  const int first = block.first + m;
  const int last = first + 16 * kTilesM - 1;
  const int begin = (window > 0 ? max(0, block.first - window + 1) : 0) / kKeys * kKeys;
  const int end = min(length, block.first + kQueries);
  const float factor = args.scale * kLog2E;

  Accumulator<kHead / kBlock, kTilesM> o = {};
  float most[2 * kTilesM];
  float sum[2 * kTilesM] = {};
#pragma unroll
  for (int r = 0; r < 2 * kTilesM; ++r)
    most[r] = -INFINITY;
  load_tile<bf16, kQueries, kHead, kThreads>(q_tile, q, block.first, 0);
  pipeline<kStages, 1>(
      ceil_div(end - begin, kKeys),
      [&](int step) {
        unsigned char* const stage = stages + step % kStages * 2 * kTile;
        load_tile<bf16, kKeys, kHead, kThreads>(stage, k, begin + step * kKeys, 0);
        load_tile<bf16, kKeys, kHead, kThreads>(stage + kTile, v, begin + step * kKeys, 0);
      },
      [&](int step, int) {
        const unsigned char* const stage = stages + step % kStages * 2 * kTile;
        const int key = begin + step * kKeys;
        if (!some_seen(first, last, key, kKeys, window))
          return;
        Accumulator<kBlocks, kTilesM> s = {};
        multiply_rows<kHead, kBlocks, kTilesM>(s, q_tile, m, stage);
        if (!all_seen(first, last, key, kKeys, window))
          each<kBlocks, kTilesM>(s, [&](float& value, int, int row, int column) {
            if (!seen(first + row, key + column, window))
              value = -INFINITY;
          });
        float top[2 * kTilesM], fade[2 * kTilesM], shift[2 * kTilesM];
#pragma unroll
        for (int r = 0; r < 2 * kTilesM; ++r)
          top[r] = most[r];
        each<kBlocks, kTilesM>(s, [&](float& value, int r, int, int) { top[r] = fmaxf(top[r], value); });
        bool fades = false;
#pragma unroll
        for (int r = 0; r < 2 * kTilesM; ++r) {
          top[r] = warp_max<4>(top[r]);
          shift[r] = top[r] == -INFINITY ? 0.0f : top[r] * factor;   // no key seen so far: the weights are 0, not NaN
          fade[r] = exp2_fast(most[r] * factor - shift[r]);
          sum[r] *= fade[r];
          most[r] = top[r];
          fades = fades || fade[r] != 1.0f;
        }
        each<kBlocks, kTilesM>(s, [&](float& value, int r, int, int) {
          value = exp2_fast(value * factor - shift[r]);
          sum[r] += value;
        });
        if (fades)   // rare after the first tiles
          each<kHead / kBlock, kTilesM>(o, [&](float& value, int r, int, int) { value *= fade[r]; });
        multiply_columns<kHead, kBlocks, kTilesM>(o, s, stage + kTile);
      });

  float inverse[2 * kTilesM];
#pragma unroll
  for (int r = 0; r < 2 * kTilesM; ++r) {
    sum[r] = warp_sum<4>(sum[r]);
    inverse[r] = 1.0f / sum[r];
    const int row = m + r / 2 * 16 + lane_id() / 4 + r % 2 * 8;
    if (lane_id() % 4 == 0 && block.first + row < length)
      args.lse[block.row + row] = most[r] * args.scale + logf(sum[r]);
  }
  each<kHead / kBlock, kTilesM>(o, [&](float& value, int r, int, int) { value *= inverse[r]; });
  store_rows<kHead, kTilesM>(
      o, q_tile, m, inner_head(args.output, block.b, block.h, args.output_stride, length, args.head_dim), first);
}

// q and dOutput, two stages of keys and values, (lse, delta) of the rows.
template <int kHead>
constexpr int kQueryShared = (2 * 128 + 2 * 2 * kBlock) * kHead * 2 + 128 * 8;

template <int kHead>
__device__ __forceinline__ void flash_query_gradient(const FlashAttentionGradientArgs& args) {
  constexpr int kTilesM = 2;
  constexpr int kQueries = 128;
  constexpr int kKeys = kBlock;
  constexpr int kStages = 2;
  constexpr int kTile = kKeys * kHead * 2;
  static_assert(2 * kQueries * kHead * 2 + kStages * 2 * kTile + kQueries * 8 == kQueryShared<kHead>);
  DYNAMIC_SHARED(shared);
  unsigned char* const q_tile = shared;
  unsigned char* const g_tile = q_tile + kQueries * kHead * 2;
  unsigned char* const stages = g_tile + kQueries * kHead * 2;
  const int length = args.length;
  const int window = args.window;
  const int m = threadIdx.x / 32 * 16 * kTilesM;
  const QueryBlock<kQueries> block(args.batch, args.heads, args.kv_heads, length);
  const int64_t head = int64_t(block.b) * args.heads + block.h;
  const TileSource<bf16> q = outer_head(args.q, head, length, args.head_dim);
  const TileSource<bf16> k = outer_head(args.k, block.group, length, args.head_dim);
  const TileSource<bf16> v =
      inner_head(args.v, block.b, block.group % args.kv_heads, args.v_stride, length, args.head_dim);
  const TileSource<bf16> gradient =
      inner_head(args.d_output, block.b, block.h, args.d_output_stride, length, args.head_dim);
  const int first = block.first + m;
  const int last = first + 16 * kTilesM - 1;
  const int begin = (window > 0 ? max(0, block.first - window + 1) : 0) / kKeys * kKeys;
  const int end = min(length, block.first + kQueries);
  const float factor = args.scale * kLog2E;

  // (lse, delta) of the block's rows wait in shared memory: registers are short.
  static_assert(kQueries == kThreads, "a thread fetches the numbers of one row");
  float2* const rows = reinterpret_cast<float2*>(stages + kStages * 2 * kTile);
  const bool inside = block.first + int(threadIdx.x) < length;   // rows outside: weights of 0
  rows[threadIdx.x] = make_float2(
      inside ? args.lse[block.row + threadIdx.x] * kLog2E : INFINITY,
      inside ? args.delta[block.row + threadIdx.x] : 0.0f);
  Accumulator<kHead / kBlock, kTilesM> dq = {};
  load_tile<bf16, kQueries, kHead, kThreads>(q_tile, q, block.first, 0);
  load_tile<bf16, kQueries, kHead, kThreads>(g_tile, gradient, block.first, 0);
  pipeline<kStages, 1>(
      ceil_div(end - begin, kKeys),
      [&](int step) {
        unsigned char* const stage = stages + step % kStages * 2 * kTile;
        load_tile<bf16, kKeys, kHead, kThreads>(stage, k, begin + step * kKeys, 0);
        load_tile<bf16, kKeys, kHead, kThreads>(stage + kTile, v, begin + step * kKeys, 0);
      },
      [&](int step, int) {
        const unsigned char* const stage = stages + step % kStages * 2 * kTile;
        const int key = begin + step * kKeys;
        if (!some_seen(first, last, key, kKeys, window))
          return;
        Accumulator<1, kTilesM> s = {};
        Accumulator<1, kTilesM> dp = {};
        multiply_rows<kHead, 1, kTilesM>(s, q_tile, m, stage);
        multiply_rows<kHead, 1, kTilesM>(dp, g_tile, m, stage + kTile);
        const bool all = all_seen(first, last, key, kKeys, window);
#pragma unroll
        for (int i = 0; i < kTilesM; ++i)
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            const int row = 16 * i + lane_id() / 4 + 8 * h;
            const float2 numbers = rows[m + row];
#pragma unroll
            for (int j = 0; j < kTilesN; ++j)
#pragma unroll
              for (int e = 2 * h; e < 2 * h + 2; ++e) {
                const bool sees = all || seen(first + row, key + 8 * j + lane_id() % 4 * 2 + e % 2, window);
                s[0][i][j][e] =
                    sees ? exp2_fast(s[0][i][j][e] * factor - numbers.x) * (dp[0][i][j][e] - numbers.y) : 0.0f;
              }
          }
        multiply_columns<kHead, 1, kTilesM>(dq, s, stage);
      });
  each<kHead / kBlock, kTilesM>(dq, [&](float& value, int, int, int) { value *= args.scale; });
  store_rows<kHead, kTilesM>(dq, q_tile, m, outer_head(args.dq, head, length, args.head_dim), first);
}

// k and v, two stages of q and dOutput with (lse, delta) of their rows.
template <int kHead, int kTilesM>
constexpr int kKeyShared = 2 * (kThreads / 32 * 16 * kTilesM) * kHead * 2 +
                           2 * (2 * kBlock * kHead * 2 + 2 * kBlock * 4);

// Everything is transposed: a warp owns 16 kTilesM keys and the columns are queries, so that p^T and ds^T are left
// operands as they stand.
template <int kHead, int kTilesM>
__device__ __forceinline__ void flash_key_gradient(const FlashAttentionGradientArgs& args) {
  constexpr int kKeys = kThreads / 32 * 16 * kTilesM;
  constexpr int kQueries = kBlock;
  constexpr int kStages = 2;
  constexpr int kTile = kQueries * kHead * 2;
  constexpr int kStage = 2 * kTile + 2 * kQueries * 4;
  static_assert(2 * kKeys * kHead * 2 + kStages * kStage == kKeyShared<kHead, kTilesM>);
  DYNAMIC_SHARED(shared);
  unsigned char* const k_tile = shared;
  unsigned char* const v_tile = k_tile + kKeys * kHead * 2;
  unsigned char* const stages = v_tile + kKeys * kHead * 2;
  const int length = args.length;
  const int window = args.window;
  const int m = threadIdx.x / 32 * 16 * kTilesM;
  const int groups = args.batch * args.kv_heads;
  const int group = int(blockIdx.x) % groups;
  const int ratio = args.heads / args.kv_heads;
  const int b = group / args.kv_heads;
  const int g = group % args.kv_heads;
  const int key0 = int(blockIdx.x) / groups * kKeys;
  const int key = key0 + m;
  const int begin = key0 / kQueries * kQueries;
  const int end = window > 0 ? min(length, key0 + kKeys - 1 + window) : length;
  const int tiles = ceil_div(end - begin, kQueries);
  const float factor = args.scale * kLog2E;

  // lse and delta of the next step's queries wait in registers, so that no thread waits for memory between two steps.
  float next_lse = 0;
  float next_delta = 0;
  auto fetch = [&](int step) {
    if (threadIdx.x >= kQueries || step >= tiles * ratio)
      return;
    const int query = begin + step % tiles * kQueries + int(threadIdx.x);
    const int64_t row = (int64_t(b) * args.heads + g * ratio + step / tiles) * length + query;
    next_lse = query < length ? args.lse[row] * kLog2E : INFINITY;
    next_delta = query < length ? args.delta[row] : 0.0f;
  };
  Accumulator<kHead / kBlock, kTilesM> dk = {};
  Accumulator<kHead / kBlock, kTilesM> dv = {};
  load_tile<bf16, kKeys, kHead, kThreads>(k_tile, outer_head(args.k, group, length, args.head_dim), key0, 0);
  load_tile<bf16, kKeys, kHead, kThreads>(
      v_tile, inner_head(args.v, b, g, args.v_stride, length, args.head_dim), key0, 0);
  fetch(0);
  pipeline<kStages, 1>(
      tiles * ratio,
      [&](int step) {
        unsigned char* const stage = stages + step % kStages * kStage;
        const int h = g * ratio + step / tiles;
        const int query = begin + step % tiles * kQueries;
        load_tile<bf16, kQueries, kHead, kThreads>(
            stage, outer_head(args.q, int64_t(b) * args.heads + h, length, args.head_dim), query, 0);
        load_tile<bf16, kQueries, kHead, kThreads>(
            stage + kTile, inner_head(args.d_output, b, h, args.d_output_stride, length, args.head_dim), query, 0);
        float* const rows = reinterpret_cast<float*>(stage + 2 * kTile);
        if (threadIdx.x < kQueries) {
          rows[2 * threadIdx.x] = next_lse;
          rows[2 * threadIdx.x + 1] = next_delta;
        }
        fetch(step + 1);
      },
      [&](int step, int) {
        const unsigned char* const stage = stages + step % kStages * kStage;
        const float* const rows = reinterpret_cast<const float*>(stage + 2 * kTile);
        const int query = begin + step % tiles * kQueries;
        const int last = query + kQueries - 1;
        if (!some_seen(query, last, key, 16 * kTilesM, window))
          return;
        const bool all = all_seen(query, last, key, 16 * kTilesM, window);
        Accumulator<1, kTilesM> p = {};
        Accumulator<1, kTilesM> ds = {};
        multiply_rows<kHead, 1, kTilesM>(p, k_tile, m, stage);
        each<1, kTilesM>(p, [&](float& value, int, int row, int column) {
          value = all || seen(query + column, key + row, window) ? exp2_fast(value * factor - rows[2 * column]) : 0.0f;
        });
        multiply_columns<kHead, 1, kTilesM>(dv, p, stage + kTile);
        multiply_rows<kHead, 1, kTilesM>(ds, v_tile, m, stage + kTile);
#pragma unroll
        for (int i = 0; i < kTilesM; ++i)
#pragma unroll
          for (int j = 0; j < kTilesN; ++j)
#pragma unroll
            for (int e = 0; e < 4; ++e)
              ds[0][i][j][e] = p[0][i][j][e] * (ds[0][i][j][e] - rows[2 * (8 * j + lane_id() % 4 * 2 + e % 2) + 1]);
        multiply_columns<kHead, 1, kTilesM>(dk, ds, stage);
      });
  each<kHead / kBlock, kTilesM>(dk, [&](float& value, int, int, int) { value *= args.scale; });
  store_rows<kHead, kTilesM>(dk, k_tile, m, outer_head(args.dk, group, length, args.head_dim), key);
  store_rows<kHead, kTilesM>(dv, v_tile, m, inner_head(args.dv, b, g, args.dv_stride, length, args.head_dim), key);
}
}   // namespace

SPECTRAL_KERNEL(flash_attention_forward_64, FlashAttentionArgs, kThreads) { flash_forward<64, 2>(args); }
SPECTRAL_KERNEL(flash_attention_forward_128, FlashAttentionArgs, kThreads) { flash_forward<128, 1>(args); }
SPECTRAL_KERNEL(flash_attention_query_gradient_64, FlashAttentionGradientArgs, kThreads) {
  flash_query_gradient<64>(args);
}
SPECTRAL_KERNEL(flash_attention_query_gradient_128, FlashAttentionGradientArgs, kThreads) {
  flash_query_gradient<128>(args);
}
SPECTRAL_KERNEL(flash_attention_key_gradient_64, FlashAttentionGradientArgs, kThreads) {
  flash_key_gradient<64, 2>(args);
}
SPECTRAL_KERNEL(flash_attention_key_gradient_128, FlashAttentionGradientArgs, kThreads) {
  flash_key_gradient<128, 1>(args);
}

SPECTRAL_SHARED(flash_attention_forward_64, (kForwardShared<64, 2>))
SPECTRAL_SHARED(flash_attention_forward_128, (kForwardShared<128, 1>))
SPECTRAL_SHARED(flash_attention_query_gradient_64, kQueryShared<64>)
SPECTRAL_SHARED(flash_attention_query_gradient_128, kQueryShared<128>)
SPECTRAL_SHARED(flash_attention_key_gradient_64, (kKeyShared<64, 2>))
SPECTRAL_SHARED(flash_attention_key_gradient_128, (kKeyShared<128, 1>))

SPECTRAL_KERNEL(flash_attention_delta, FlashAttentionGradientArgs, kRowThreads) {
  const GroupRow<8> group(int64_t(args.batch) * args.length * args.heads, args.head_dim);   // rows (b, s, h)
  const unsigned token = unsigned(group.row) / args.heads;
  const unsigned h = unsigned(group.row) % args.heads;   // fewer than 2^31 rows
  const bf16* output = static_cast<const bf16*>(args.output) + int64_t(token) * args.output_stride + h * args.head_dim;
  const bf16* gradient =
      static_cast<const bf16*>(args.d_output) + int64_t(token) * args.d_output_stride + h * args.head_dim;
  float products[8] = {};
#pragma unroll 1   // twice at most
  for (int c = group.lane * 8; c < group.columns; c += 64) {
    float o[8], g[8];
    load_piece(output + c, o);
    load_piece(gradient + c, g);
    for (int i = 0; i < 8; ++i)
      products[i] += o[i] * g[i];
  }
  float sum = 0;
  for (int i = 0; i < 8; ++i)
    sum += products[i];
  sum = warp_sum<8>(sum);
  if (group.lane != 0 || group.columns == 0)
    return;
  args.delta[(int64_t(token / args.length) * args.heads + h) * args.length + token % args.length] = sum;
}
