// Rows mixed from a bank of vectors, each from the k with the largest logits: VB-LoRA (Li, Han, Ji, NeurIPS 2024, arXiv
// 2405.15179).
//
// Formula        select    index[p, 0..k) = the k largest of logits[p, :], the largest first;
//                          weight[p, :] = softmax of those
//                forward   y[p, c] = sum over t of weight[p, t] bank[index[p, t], c]
//                backward  q_t = bank[index[p, t], :] . dy[p, :];
//                          dlogits[p, j] = weight_t (q_t - sum over s of weight_s q_s) where
//                          j = index[p, t], 0 elsewhere (+ dlogits[p, j])
//                          dbank[j, c] = sum over p, t with index[p, t] = j of weight[p, t] dy[p, c] (+ dbank[j, c])
// Shapes         logits, dlogits [pieces, n]; bank, dbank [n, length]; y, dy [pieces, length]; index, weight
//                [pieces, k], k <= 8
// Layout         row-major, contiguous
// Types          F32, index I32
// Accumulation   F32; q in F64
// Grid/Block     select, backward of logits: one warp per piece, 8 a block. forward: one thread per element of y.
//                backward of the bank: one thread per element of it, which walks the list of all choices: neighbours
//                read the same entry
// Bytes          select 4 pieces n; forward 4 (k + 1) pieces length; backward twice that and 4 n length
// Flops          2 k pieces length forward, twice that backward; n length k pieces comparisons for the bank
// Deterministic  yes: the bank's sums go by p, then t. Of equal logits the first is taken
// NaN            a NaN among a piece's logits makes its weights NaN; so do logits that are all -inf, or +inf
#include "pieces.cuh"

struct TopKSelectArgs {
  const float* logits;   // logits [pieces, n]
  int* index;            // chosen vectors [pieces, k], the largest logit first; written
  float* weight;         // their weights [pieces, k]; written
  int pieces;            // rows of the logits
  int n;                 // vectors of the bank
  int k;                 // vectors chosen per piece, at most 8
};
SPECTRAL_LAYOUT(TopKSelectArgs, logits, index, weight, pieces, n, k)

struct TopKMixtureArgs {
  const float* bank;     // bank of vectors [n, length]
  const int* index;      // chosen vectors [pieces, k]
  const float* weight;   // their weights [pieces, k]
  const float* dy;       // dy [pieces, length]; null in the forward pass
  float* result;         // result: y [pieces, length], the logits' gradient [pieces, n] or the bank's [n, length]
  int pieces;            // mixtures
  int n;                 // vectors of the bank
  int length;            // elements of a vector
  int k;                 // vectors chosen per piece, at most 8
  int accumulate;        // 1: add to what a gradient holds; 0: overwrite
};
SPECTRAL_LAYOUT(TopKMixtureArgs, bank, index, weight, dy, result, pieces, n, length, k, accumulate)

constexpr int kMostChosen = 8;

SPECTRAL_KERNEL(top_k_select, TopKSelectArgs, kRowThreads) {
  const int64_t piece = warp_row();
  if (piece >= args.pieces)
    return;
  const float* logits = args.logits + piece * args.n;
  int* index = args.index + piece * args.k;
  float* weight = args.weight + piece * args.k;
  float before = INFINITY;
  float first = 0;
  float sum = 0;
  float poison = 0;
  int last = -1;
  for (int t = 0; t < args.k; ++t) {
    // The largest of those that come after the one before, in descending order and equal ones by index.
    float best = -INFINITY;
    int at = args.n;
    for (int j = lane_id(); j < args.n; j += 32) {
      const float v = logits[j];
      if (v != v)
        poison = v;
      const bool left = t == 0 || v < before || (v == before && j > last);
      if (left && (v > best || (v == best && at == args.n))) {
        best = v;
        at = j;
      }
    }
    const float most = warp_max(best);
    const int winner =
        min(int(-warp_max(best == most ? -float(at) : -float(args.n))), args.n - 1);   // indices are exact in F32
    if (t == 0)
      first = most;
    const float e = exp_f32(most - first);
    sum += e;
    before = most;
    last = winner;
    if (lane_id() == 0) {
      index[t] = winner;
      weight[t] = e;
    }
  }
  sum += warp_sum(poison);
  if (lane_id() == 0)
    for (int t = 0; t < args.k; ++t)
      weight[t] /= sum;
}

SPECTRAL_KERNEL_PLAIN(top_k_mixture_forward, TopKMixtureArgs, kFlatThreads) {
  const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t piece = at / args.length;
  const int64_t c = at - piece * args.length;
  if (piece >= args.pieces)
    return;
  float sum = 0;
  for (int t = 0; t < args.k; ++t)
    sum = fmaf(
        args.weight[piece * args.k + t], args.bank[int64_t(args.index[piece * args.k + t]) * args.length + c], sum);
  args.result[at] = sum;
}

SPECTRAL_KERNEL(top_k_mixture_backward_logits, TopKMixtureArgs, kRowThreads) {
  const int64_t piece = warp_row();
  if (piece >= args.pieces)
    return;
  const float* dy = args.dy + piece * args.length;
  const float* weight = args.weight + piece * args.k;
  const int* index = args.index + piece * args.k;
  double q[kMostChosen] = {};
  double mean = 0;
#pragma unroll
  for (int t = 0; t < kMostChosen; ++t) {
    if (t >= args.k)
      break;
    const float* vector = args.bank + int64_t(index[t]) * args.length;
    for (int c = lane_id(); c < args.length; c += 32)
      q[t] += double(vector[c]) * dy[c];
    q[t] = warp_sum(q[t]);
    mean += weight[t] * q[t];
  }
  float* result = args.result + piece * args.n;
  for (int j = lane_id(); j < args.n; j += 32) {
    double value = args.accumulate ? result[j] : 0.0;
#pragma unroll
    for (int t = 0; t < kMostChosen; ++t)
      if (t < args.k && index[t] == j)
        value += weight[t] * (q[t] - mean);
    result[j] = float(value);
  }
}

SPECTRAL_KERNEL_PLAIN(top_k_mixture_backward_bank, TopKMixtureArgs, kFlatThreads) {
  const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t j = at / args.length;
  const int64_t c = at - j * args.length;
  if (j >= args.n)
    return;
  float sum = args.accumulate ? args.result[at] : 0.0f;
  int64_t choice = 0;
  for (int piece = 0; piece < args.pieces; ++piece)
    for (int t = 0; t < args.k; ++t, ++choice)
      if (args.index[choice] == j)
        sum = fmaf(args.weight[choice], args.dy[int64_t(piece) * args.length + c], sum);
  args.result[at] = sum;
}
