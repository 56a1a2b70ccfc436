// Causal attention of whole sequences, forward and backward, that never stores the scores
// (Dao: "FlashAttention-2", 2023).
//
// Formula        query i sees the keys j with first <= j <= i, first = window > 0 ? max(0, i - window + 1) : 0, with
//                spans at least spans[b,i,0]; g = h kv_heads / heads
//                forward:  s = scale q[b,h] k[b,g]^T, capped: c t with t = tanh(scale q k^T / c);
//                          lse[b,h,i] = log sum_j exp(s[i,j]);
//                          output = exp(s - lse) v[b,g]
//                delta:    delta[b,h,i] = sum_d dOutput output
//                backward: p = exp(s - lse);  ds = p (dOutput v^T - delta), capped: times 1 - t^2
//                          dq = scale ds k;  dk = scale sum over the group's heads of ds^T q;
//                            dv = the same sum of p^T dOutput
// Shapes         q, dq [batch, heads, length, head_dim]; k, dk [batch, kv_heads, length, head_dim];
//                v, dv [batch length, kv_heads head_dim]; output, dOutput [batch length, heads head_dim];
//                lse, delta [batch, heads, length]; spans [batch, length, 2]
// Layout         row-major: q and k as the rotary embedding writes them, v and output as the projections beside them
//                do; v, dv, output and dOutput may be columns of wider matrices (strides, multiples of 8, from 16-byte
//                addresses on), the others are contiguous; head_dim a multiple of 8 up to 128 (tiles are 64 or 128
//                wide; a narrower head pays for zeros)
// Types          BF16; lse, delta F32; spans I32 or null
// Accumulation   F32: online softmax over tiles of keys. p and ds are rounded to BF16 between two products, 2^-8 of
//                each term. 2^x is approximate (exp2_fast, 2^-22), so is tanh (tanh_fast, 2^-21).
// Grid/Block     128 threads. forward, query gradient: a block per head and 128 queries, 32 a warp, the longest rows
//                first.
//                key gradient: a block per key/value head and 64 (head_dim > 64) or 128 keys, its own by warps; it
//                walks the group's heads and their queries in order, so no two blocks add to one element. delta: 8
//                lanes a row. Dynamic shared memory: forward 66,048 bytes (82,432 above 64), query gradient 50,688
//                (99,840), key gradient 50,176 (66,304)
// Bytes          forward 4 batch length heads head_dim, and from L2 4 batch heads length^2 / 256 head_dim of keys and
//                values; backward 10 batch length heads head_dim, and from L2 three times forward's
// Flops          forward 2 batch heads length^2 head_dim (the seen half of two products), backward 3.5 times that
// Deterministic  yes
// Non-finite     a NaN in a seen score makes its row NaN
#include "attention_tile.cuh"
#include "pieces.cuh"

struct FlashAttentionArgs {
  const void* q;   // queries [batch, heads, length, head_dim] BF16; 16-byte aligned
  const void* k;   // keys [batch, kv_heads, length, head_dim] BF16; 16-byte aligned
  const void* v;   // values [batch length, kv_heads head_dim] BF16, rows v_stride apart; 16-byte aligned
  void* output;    // result [batch length, heads head_dim] BF16, rows output_stride apart; written; 16-byte aligned
  float* lse;      // logarithms of the softmax's sums [batch, heads, length]; written
  // of each position the first of its record and the one after its last [batch, length, 2]; null: a sequence is one
  // record
  const int* spans;
  int batch;           // sequences
  int heads;           // query heads, a multiple of kv_heads
  int kv_heads;        // key/value heads
  int length;          // positions of a sequence
  int head_dim;        // elements per head, a multiple of 8 up to 128
  int v_stride;        // elements from one row of v to the next, a multiple of 8
  int output_stride;   // elements from one row of the output to the next, a multiple of 8
  int window;          // keys that a query sees, its own included; 0: all before it
  float scale;         // factor of the scores before the softmax
  float cap;           // soft cap c of the scaled scores, read by the capped kernels
};
SPECTRAL_LAYOUT(
    FlashAttentionArgs, q, k, v, output, lse, spans, batch, heads, kv_heads, length, head_dim, v_stride, output_stride,
    window, scale, cap)

struct FlashAttentionGradientArgs {
  const void* q;   // queries [batch, heads, length, head_dim] BF16; 16-byte aligned
  const void* k;   // keys [batch, kv_heads, length, head_dim] BF16; 16-byte aligned
  const void* v;   // values [batch length, kv_heads head_dim] BF16, rows v_stride apart; 16-byte aligned
  // forward result [batch length, heads head_dim] BF16, rows output_stride apart; 16-byte aligned
  const void* output;
  // its gradient [batch length, heads head_dim] BF16, rows d_output_stride apart; 16-byte aligned
  const void* d_output;
  const float* lse;   // logarithms of the softmax's sums [batch, heads, length]
  // row sums of dOutput times output [batch, heads, length]; written by the delta kernel, read by the others
  float* delta;
  // gradient of q [batch, heads, length, head_dim] BF16; written by the query kernels; 16-byte aligned
  void* dq;
  // gradient of k [batch, kv_heads, length, head_dim] BF16; written by the key kernels; 16-byte aligned
  void* dk;
  // gradient of v [batch length, kv_heads head_dim] BF16, rows dv_stride apart; written by the key kernels; 16-byte
  // aligned
  void* dv;
  // of each position the first of its record and the one after its last [batch, length, 2]; null: a sequence is one
  // record
  const int* spans;
  int batch;             // sequences
  int heads;             // query heads, a multiple of kv_heads
  int kv_heads;          // key/value heads
  int length;            // positions of a sequence
  int head_dim;          // elements per head, a multiple of 8 up to 128
  int v_stride;          // elements from one row of v to the next, a multiple of 8
  int output_stride;     // elements from one row of the output to the next, a multiple of 8
  int d_output_stride;   // elements from one row of dOutput to the next, a multiple of 8
  int dv_stride;         // elements from one row of dv to the next, a multiple of 8
  int window;            // keys that a query sees, its own included; 0: all before it
  float scale;           // factor of the scores before the softmax
  float cap;             // soft cap c of the scaled scores, read by the capped kernels
};
SPECTRAL_LAYOUT(
    FlashAttentionGradientArgs, q, k, v, output, d_output, lse, delta, dq, dk, dv, spans, batch, heads, kv_heads,
    length, head_dim, v_stride, output_stride, d_output_stride, dv_stride, window, scale, cap)

namespace {
constexpr int kThreads = 128;
constexpr int kQueryTiles = 2;                               // a warp's tiles of 16 queries
constexpr int kQueries = kThreads / 32 * 16 * kQueryTiles;   // of a block: forward and query gradient
constexpr int kForwardStages = 3;
constexpr int kGradientStages = 2;
constexpr int kRowBytes = sizeof(float2);   // of a query's (lse, delta)
constexpr int kSeenBytes =
    sizeof(int);   // of the first key that a query sees, or the end of the queries that see a key
constexpr float kLog2E = 0x1.715476p0f;

// Dynamic shared memory. Forward: the queries, stages of keys and values.
template <int kHead, int kBlocks>
constexpr int kForwardShared = kTileBytes<kQueries, kHead> + kForwardStages * 2 * kTileBytes<kBlocks * kBlock, kHead> +
                               (kQueries * kSeenBytes);
// Query gradient: the queries and their dOutput, stages of keys and values, (lse, delta) of the rows.
template <int kHead>
constexpr int kQueryShared = 2 * kTileBytes<kQueries, kHead> + kGradientStages * 2 * kTileBytes<kBlock, kHead> +
                             (kQueries * (kRowBytes + kSeenBytes));
// Key gradient: keys and values, stages of queries and dOutput with (lse, delta) of their rows.
template <int kHead>
constexpr int kQueryStage = 2 * kTileBytes<kBlock, kHead> + (kBlock * kRowBytes);
template <int kHead, int kTilesM>
constexpr int kKeyShared = 2 * kTileBytes<kThreads / 32 * 16 * kTilesM, kHead> +
                           (kGradientStages * kQueryStage<kHead>)+(kThreads / 32 * 16 * kTilesM * kSeenBytes);

// What an element of q k^T is multiplied by, before and after the tanh of a soft cap.
template <bool kCapped>
struct Score {
  float inner, unit;   // unit: the largest score, or the scale without a cap, where there is no tanh
  float factor;        // from an element, or its tanh, to a power of 2

  template <class Args>
  explicit __device__ __forceinline__ Score(const Args& args)
      : inner(kCapped ? args.scale / args.cap : 0.0f), unit(kCapped ? args.cap : args.scale), factor(unit * kLog2E) {}
};

template <class Args>
__device__ __forceinline__ SeenKeys seen_keys(const Args& args, int b) {
  return {args.spans ? args.spans + int64_t(b) * args.length * 2 : nullptr, args.length, args.window};
}

// A block of queries of one head and the keys that they see. Blocks with the longest rows, which are the last, come
// first.
template <int kHead, int kKeys>
struct QueryBlock {
  int b, h;         // sequence and query head
  int group;        // key/value head, counted over the batch
  int query0;       // the block's first query
  int begin, end;   // keys, from a multiple of kKeys on
  int64_t head;     // query head, counted over the batch
  int64_t row;      // of lse and delta: (b, h, query0)
  TileSource<bf16> q, k, v;

  template <class Args>
  explicit __device__ __forceinline__ QueryBlock(const Args& args) {
    const int pairs = args.batch * args.heads;
    const int pair = int(blockIdx.x) % pairs;
    b = pair / args.heads;
    h = pair % args.heads;
    group = b * args.kv_heads + int(int64_t(h) * args.kv_heads / args.heads);
    query0 = (ceil_div(args.length, kQueries) - 1 - int(blockIdx.x) / pairs) * kQueries;
    begin = seen_keys(args, b).first(query0) / kKeys * kKeys;
    end = min(args.length, query0 + kQueries);
    head = pair;
    row = head * args.length + query0;
    q = outer_head(args.q, head, args.length, args.head_dim);
    k = outer_head(args.k, group, args.length, args.head_dim);
    v = inner_head(args.v, b, group % args.kv_heads, args.v_stride, args.length, args.head_dim);
  }
  __device__ __forceinline__ int steps() const { return ceil_div(end - begin, kKeys); }
  __device__ __forceinline__ int key(int step) const { return begin + step * kKeys; }
  // Starts the copies of a step's keys and values.
  __device__ __forceinline__ void load(unsigned char* stage, int step) const {
    load_pair<kKeys, kHead, kThreads>(stage, k, v, key(step));
  }
};

template <int kHead, int kBlocks, bool kCapped>
__device__ __forceinline__ void flash_forward(const FlashAttentionArgs& args) {
  constexpr int kTilesM = kQueryTiles;
  constexpr int kKeys = kBlocks * kBlock;
  constexpr int kTile = kTileBytes<kKeys, kHead>;
  DYNAMIC_SHARED(shared);
  unsigned char* const q_tile = shared;
  unsigned char* const stages = q_tile + kTileBytes<kQueries, kHead>;
  const int length = args.length;
  const int m = threadIdx.x / 32 * 16 * kTilesM;
  const QueryBlock<kHead, kKeys> block(args);
  const int first = block.query0 + m;
  const int last = first + 16 * kTilesM - 1;
  const Score<kCapped> score(args);
  const float factor = score.factor;

  Accumulator<kHead / kBlock, kTilesM> o = {};
  float most[2 * kTilesM];
  float sum[2 * kTilesM] = {};
#pragma unroll
  for (int r = 0; r < 2 * kTilesM; ++r)
    most[r] = -INFINITY;
  static_assert(kQueries == kThreads, "a thread finds the first key of one row");
  int* const firsts = reinterpret_cast<int*>(stages + kForwardStages * 2 * kTile);   // registers are short
  firsts[threadIdx.x] = seen_keys(args, block.b).first(block.query0 + int(threadIdx.x));
  load_tile<bf16, kQueries, kHead, kThreads>(q_tile, block.q, block.query0, 0);
  pipeline<kForwardStages, 1>(
      block.steps(),
      [&](int step) { block.load(stages + step % kForwardStages * 2 * kTile, step); },
      [&](int step, int) {
        const unsigned char* const stage = stages + step % kForwardStages * 2 * kTile;
        const int key = block.key(step);
        if (key > last || key + kKeys <= firsts[m])   // seen by no row
          return;
        Accumulator<kBlocks, kTilesM> s = {};
        multiply_rows<kHead, kBlocks, kTilesM>(s, q_tile, m, stage);
        const bool all = key + kKeys - 1 <= first && key >= firsts[m + 16 * kTilesM - 1];
        if (kCapped)   // in one pass with the mask, or a register spills
          each<kBlocks, kTilesM>(s, [&](float& value, int, int row, int column) {
            const bool sees = all || (key + column <= first + row && key + column >= firsts[m + row]);
            value = sees ? tanh_fast(value * score.inner) : -INFINITY;
          });
        else if (!all)
          each<kBlocks, kTilesM>(s, [&](float& value, int, int row, int column) {
            if (key + column > first + row || key + column < firsts[m + row])
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
    if (lane_id() % 4 == 0 && block.query0 + row < length)
      args.lse[block.row + row] = most[r] * score.unit + logf(sum[r]);
  }
  each<kHead / kBlock, kTilesM>(o, [&](float& value, int r, int, int) { value *= inverse[r]; });
  store_rows<kHead, kTilesM>(
      o, q_tile, m, inner_head(args.output, block.b, block.h, args.output_stride, length, args.head_dim), first);
}

template <int kHead, bool kCapped>
__device__ __forceinline__ void flash_query_gradient(const FlashAttentionGradientArgs& args) {
  constexpr int kTilesM = kQueryTiles;
  constexpr int kKeys = kBlock;
  constexpr int kTile = kTileBytes<kKeys, kHead>;
  DYNAMIC_SHARED(shared);
  unsigned char* const q_tile = shared;
  unsigned char* const g_tile = q_tile + kTileBytes<kQueries, kHead>;
  unsigned char* const stages = g_tile + kTileBytes<kQueries, kHead>;
  const int length = args.length;
  const int m = threadIdx.x / 32 * 16 * kTilesM;
  const QueryBlock<kHead, kKeys> block(args);
  const int first = block.query0 + m;
  const int last = first + 16 * kTilesM - 1;
  const Score<kCapped> score(args);
  const float factor = score.factor;

  // (lse, delta) of the block's rows wait in shared memory: registers are short.
  static_assert(kQueries == kThreads, "a thread fetches the numbers of one row");
  float2* const rows = reinterpret_cast<float2*>(stages + kGradientStages * 2 * kTile);
  const bool inside = block.query0 + int(threadIdx.x) < length;   // rows outside: weights of 0
  rows[threadIdx.x] = make_float2(
      inside ? args.lse[block.row + threadIdx.x] * kLog2E : INFINITY,
      inside ? args.delta[block.row + threadIdx.x] : 0.0f);
  int* const firsts = reinterpret_cast<int*>(rows + kQueries);
  firsts[threadIdx.x] = seen_keys(args, block.b).first(block.query0 + int(threadIdx.x));
  Accumulator<kHead / kBlock, kTilesM> dq = {};
  load_pair<kQueries, kHead, kThreads>(
      q_tile,
      block.q,
      inner_head(args.d_output, block.b, block.h, args.d_output_stride, length, args.head_dim),
      block.query0);
  pipeline<kGradientStages, 1>(
      block.steps(),
      [&](int step) { block.load(stages + step % kGradientStages * 2 * kTile, step); },
      [&](int step, int) {
        const unsigned char* const stage = stages + step % kGradientStages * 2 * kTile;
        const int key = block.key(step);
        if (key > last || key + kKeys <= firsts[m])   // seen by no row
          return;
        Accumulator<1, kTilesM> s = {};
        Accumulator<1, kTilesM> dp = {};
        multiply_rows<kHead, 1, kTilesM>(s, q_tile, m, stage);
        multiply_rows<kHead, 1, kTilesM>(dp, g_tile, m, stage + kTile);
        const bool all = key + kKeys - 1 <= first && key >= firsts[m + 16 * kTilesM - 1];
#pragma unroll
        for (int i = 0; i < kTilesM; ++i)
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            const int row = 16 * i + lane_id() / 4 + 8 * h;
            const float2 held = kCapped ? float2{} : rows[m + row];
            auto numbers = [&]() -> float2 { return kCapped ? rows[m + row] : held; };   // a tanh takes the registers
#pragma unroll
            for (int j = 0; j < kBlockTiles; ++j)
#pragma unroll
              for (int e = 2 * h; e < 2 * h + 2; ++e) {
                const int column = key + 8 * j + lane_id() % 4 * 2 + e % 2;
                const bool sees = all || (column <= first + row && column >= firsts[m + row]);
                const float t = kCapped ? tanh_fast(s[0][i][j][e] * score.inner) : s[0][i][j][e];
                const float slope = kCapped ? 1.0f - t * t : 1.0f;
                s[0][i][j][e] =
                    sees ? exp2_fast(t * factor - numbers().x) * (dp[0][i][j][e] - numbers().y) * slope : 0.0f;
              }
          }
        multiply_columns<kHead, 1, kTilesM>(dq, s, stage);
      });
  each<kHead / kBlock, kTilesM>(dq, [&](float& value, int, int, int) { value *= args.scale; });
  store_rows<kHead, kTilesM>(dq, q_tile, m, outer_head(args.dq, block.head, length, args.head_dim), first);
}

// Everything is transposed: a warp owns 16 kTilesM keys and the columns are queries, so that p^T and ds^T are left
// operands as they stand.
template <int kHead, int kTilesM, bool kCapped>
__device__ __forceinline__ void flash_key_gradient(const FlashAttentionGradientArgs& args) {
  constexpr int kKeys = kThreads / 32 * 16 * kTilesM;
  constexpr int kStepQueries = kBlock;
  constexpr int kTile = kTileBytes<kStepQueries, kHead>;
  constexpr int kStage = kQueryStage<kHead>;
  static_assert(kKeys <= kThreads, "a thread finds the end of one key");
  DYNAMIC_SHARED(shared);
  unsigned char* const k_tile = shared;
  unsigned char* const v_tile = k_tile + kTileBytes<kKeys, kHead>;
  unsigned char* const stages = v_tile + kTileBytes<kKeys, kHead>;
  const int length = args.length;
  const int m = threadIdx.x / 32 * 16 * kTilesM;
  const int groups = args.batch * args.kv_heads;
  const int group = int(blockIdx.x) % groups;
  const int ratio = args.heads / args.kv_heads;
  const int b = group / args.kv_heads;
  const int g = group % args.kv_heads;
  const int key0 = int(blockIdx.x) / groups * kKeys;
  const int key = key0 + m;
  const int begin = key0 / kStepQueries * kStepQueries;
  const SeenKeys seen = seen_keys(args, b);
  const int end = seen.end(key0 + kKeys - 1);
  int* const ends = reinterpret_cast<int*>(stages + kGradientStages * kStage);   // registers are short
  if (threadIdx.x < kKeys)
    ends[threadIdx.x] = seen.end(key0 + int(threadIdx.x));
  const int tiles = ceil_div(end - begin, kStepQueries);
  const Score<kCapped> score(args);
  const float factor = score.factor;

  // lse and delta of the next step's queries wait in registers, so that no thread waits for memory between two steps.
  float next_lse = 0;
  float next_delta = 0;
  auto fetch = [&](int step) {
    if (threadIdx.x >= kStepQueries || step >= tiles * ratio)
      return;
    const int query = begin + step % tiles * kStepQueries + int(threadIdx.x);
    const int64_t row = (int64_t(b) * args.heads + g * ratio + step / tiles) * length + query;
    next_lse = query < length ? args.lse[row] * kLog2E : INFINITY;
    next_delta = query < length ? args.delta[row] : 0.0f;
  };
  Accumulator<kHead / kBlock, kTilesM> dk = {};
  Accumulator<kHead / kBlock, kTilesM> dv = {};
  load_pair<kKeys, kHead, kThreads>(
      k_tile,
      outer_head(args.k, group, length, args.head_dim),
      inner_head(args.v, b, g, args.v_stride, length, args.head_dim),
      key0);
  fetch(0);
  pipeline<kGradientStages, 1>(
      tiles * ratio,
      [&](int step) {
        unsigned char* const stage = stages + step % kGradientStages * kStage;
        const int h = g * ratio + step / tiles;
        const int query = begin + step % tiles * kStepQueries;
        load_pair<kStepQueries, kHead, kThreads>(
            stage,
            outer_head(args.q, int64_t(b) * args.heads + h, length, args.head_dim),
            inner_head(args.d_output, b, h, args.d_output_stride, length, args.head_dim),
            query);
        float* const rows = reinterpret_cast<float*>(stage + 2 * kTile);
        if (threadIdx.x < kStepQueries) {
          rows[2 * threadIdx.x] = next_lse;
          rows[2 * threadIdx.x + 1] = next_delta;
        }
        fetch(step + 1);
      },
      [&](int step, int) {
        const unsigned char* const stage = stages + step % kGradientStages * kStage;
        const float* const rows = reinterpret_cast<const float*>(stage + 2 * kTile);
        const int query = begin + step % tiles * kStepQueries;
        const int last = query + kStepQueries - 1;
        if (key > last || query >= ends[m + 16 * kTilesM - 1])   // seen by no query
          return;
        const bool all = key + 16 * kTilesM - 1 <= query && last < ends[m];
        Accumulator<1, kTilesM> p = {};
        Accumulator<1, kTilesM> ds = {};
        multiply_rows<kHead, 1, kTilesM>(p, k_tile, m, stage);
        if (kCapped) {   // p and ds come from one tanh, so v dOutput^T is needed before p^T dOutput
          multiply_rows<kHead, 1, kTilesM>(ds, v_tile, m, stage + kTile);
#pragma unroll
          for (int i = 0; i < kTilesM; ++i)
#pragma unroll
            for (int j = 0; j < kBlockTiles; ++j)
#pragma unroll
              for (int e = 0; e < 4; ++e) {
                const int row = 16 * i + lane_id() / 4 + e / 2 * 8;
                const int column = 8 * j + lane_id() % 4 * 2 + e % 2;
                const float t = tanh_fast(p[0][i][j][e] * score.inner);
                const bool sees = all || (key + row <= query + column && query + column < ends[m + row]);
                p[0][i][j][e] = sees ? exp2_fast(t * factor - rows[2 * column]) : 0.0f;
                ds[0][i][j][e] = p[0][i][j][e] * (ds[0][i][j][e] - rows[2 * column + 1]) * (1.0f - t * t);
              }
          multiply_columns<kHead, 1, kTilesM>(dv, p, stage + kTile);
        } else {
          each<1, kTilesM>(p, [&](float& value, int, int row, int column) {
            value = all || (key + row <= query + column && query + column < ends[m + row])
                        ? exp2_fast(value * factor - rows[2 * column])
                        : 0.0f;
          });
          multiply_columns<kHead, 1, kTilesM>(dv, p, stage + kTile);
          multiply_rows<kHead, 1, kTilesM>(ds, v_tile, m, stage + kTile);
#pragma unroll
          for (int i = 0; i < kTilesM; ++i)
#pragma unroll
            for (int j = 0; j < kBlockTiles; ++j)
#pragma unroll
              for (int e = 0; e < 4; ++e)
                ds[0][i][j][e] = p[0][i][j][e] * (ds[0][i][j][e] - rows[2 * (8 * j + lane_id() % 4 * 2 + e % 2) + 1]);
        }
        multiply_columns<kHead, 1, kTilesM>(dk, ds, stage);
      });
  each<kHead / kBlock, kTilesM>(dk, [&](float& value, int, int, int) { value *= args.scale; });
  store_rows<kHead, kTilesM>(dk, k_tile, m, outer_head(args.dk, group, length, args.head_dim), key);
  store_rows<kHead, kTilesM>(dv, v_tile, m, inner_head(args.dv, b, g, args.dv_stride, length, args.head_dim), key);
}
}   // namespace

SPECTRAL_KERNEL(flash_attention_forward_64, FlashAttentionArgs, kThreads) { flash_forward<64, 2, false>(args); }
SPECTRAL_KERNEL(flash_attention_forward_128, FlashAttentionArgs, kThreads) { flash_forward<128, 1, false>(args); }
SPECTRAL_KERNEL(flash_attention_query_gradient_64, FlashAttentionGradientArgs, kThreads) {
  flash_query_gradient<64, false>(args);
}
SPECTRAL_KERNEL(flash_attention_query_gradient_128, FlashAttentionGradientArgs, kThreads) {
  flash_query_gradient<128, false>(args);
}
SPECTRAL_KERNEL(flash_attention_key_gradient_64, FlashAttentionGradientArgs, kThreads) {
  flash_key_gradient<64, 2, false>(args);
}
SPECTRAL_KERNEL(flash_attention_key_gradient_128, FlashAttentionGradientArgs, kThreads) {
  flash_key_gradient<128, 1, false>(args);
}
SPECTRAL_KERNEL(flash_attention_capped_forward_64, FlashAttentionArgs, kThreads) { flash_forward<64, 2, true>(args); }
SPECTRAL_KERNEL(flash_attention_capped_forward_128, FlashAttentionArgs, kThreads) { flash_forward<128, 1, true>(args); }
SPECTRAL_KERNEL(flash_attention_capped_query_gradient_64, FlashAttentionGradientArgs, kThreads) {
  flash_query_gradient<64, true>(args);
}
SPECTRAL_KERNEL(flash_attention_capped_query_gradient_128, FlashAttentionGradientArgs, kThreads) {
  flash_query_gradient<128, true>(args);
}
SPECTRAL_KERNEL(flash_attention_capped_key_gradient_64, FlashAttentionGradientArgs, kThreads) {
  flash_key_gradient<64, 2, true>(args);
}
SPECTRAL_KERNEL(flash_attention_capped_key_gradient_128, FlashAttentionGradientArgs, kThreads) {
  flash_key_gradient<128, 1, true>(args);
}

SPECTRAL_SHARED(flash_attention_forward_64, (kForwardShared<64, 2>))
SPECTRAL_SHARED(flash_attention_forward_128, (kForwardShared<128, 1>))
SPECTRAL_SHARED(flash_attention_query_gradient_64, kQueryShared<64>)
SPECTRAL_SHARED(flash_attention_query_gradient_128, kQueryShared<128>)
SPECTRAL_SHARED(flash_attention_key_gradient_64, (kKeyShared<64, 2>))
SPECTRAL_SHARED(flash_attention_key_gradient_128, (kKeyShared<128, 1>))
SPECTRAL_SHARED(flash_attention_capped_forward_64, (kForwardShared<64, 2>))
SPECTRAL_SHARED(flash_attention_capped_forward_128, (kForwardShared<128, 1>))
SPECTRAL_SHARED(flash_attention_capped_query_gradient_64, kQueryShared<64>)
SPECTRAL_SHARED(flash_attention_capped_query_gradient_128, kQueryShared<128>)
SPECTRAL_SHARED(flash_attention_capped_key_gradient_64, (kKeyShared<64, 2>))
SPECTRAL_SHARED(flash_attention_capped_key_gradient_128, (kKeyShared<128, 1>))

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
