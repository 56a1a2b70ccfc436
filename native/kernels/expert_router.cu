// The router of a mixture of experts: which k experts a token goes to, and with what weights (Shazeer et al.,
// "Outrageously Large Neural Networks", 2017; the softmax over all experts before the choice as in Fedus et al.,
// "Switch Transformers", 2021).
//
// Formula        forward   p[n, :] = softmax(logits[n, :]); index[n, 0..k) = the k largest of them, the largest first;
//                          weight[n, t] = p[n, index[n, t]], divided by the sum of the k where they are normalised
//                backward  c = sum over t of weight[n, t] dweight[n, t], S = sum over t of p[n, index[n, t]];
//                          a_t = normalised ? (dweight[n, t] - c) / S : dweight[n, t];
//                          dp_j = (a_t where j = index[n, t], else 0) + mask[n] slope[j];
//                          dlogits[n, j] = p_j (dp_j - sum over i of p_i dp_i)
// Shapes         logits, p, dlogits [tokens, experts]; index, weight, dweight [tokens, k], k <= experts; slope
//                [experts]; mask [tokens]
// Layout         row-major, contiguous; any size
// Types          logits, dlogits F32 or BF16; p, weight, dweight, slope, mask F32; index I32
// Accumulation   F32
// Grid/Block     one warp per token, 8 a block
// Bytes          forward (size(T) (k + 1) + 4) tokens experts + 8 tokens k; backward (size(T) + 8) tokens experts +
//                12 tokens k, and the slope once per token
// Flops          forward 5 tokens experts, one of them an exponential, and k tokens experts comparisons;
//                backward (4 + k) tokens experts
// Deterministic  yes. Of equal logits the first is taken
// NaN            a NaN among a token's logits makes its p and weights NaN; so do logits that are all -inf, or +inf. Its
//                indices stay in range
#include "exponential.cuh"
#include "pieces.cuh"

struct ExpertRouterForwardArgs {
  const void* logits;     // logits [tokens, experts], type of the entry
  float* probabilities;   // softmax of each token's logits [tokens, experts]; written
  int* index;             // chosen experts [tokens, k], the most probable first; written
  float* weight;          // their weights [tokens, k]; written
  int tokens;             // rows of the logits
  int experts;            // columns of the logits
  int k;                  // experts per token
  int normalised;         // 1: the weights of a token sum to 1; 0: they are its probabilities
};
SPECTRAL_LAYOUT(ExpertRouterForwardArgs, logits, probabilities, index, weight, tokens, experts, k, normalised)

struct ExpertRouterBackwardArgs {
  const float* probabilities;   // softmax of each token's logits [tokens, experts], from forward
  const int* index;             // chosen experts [tokens, k], from forward
  const float* weight;          // their weights [tokens, k], from forward
  const float* d_weight;        // gradient of the weights [tokens, k]; null: zero
  const float* slope;           // gradient of every probability of an expert [experts]; null: zero
  const float* mask;            // factor of the slope for each token [tokens]; null: 1
  void* d_logits;               // gradient of the logits [tokens, experts], type of the entry; written
  int tokens;                   // rows of the logits
  int experts;                  // columns of the logits
  int k;                        // experts per token
  int normalised;               // as in forward
};
SPECTRAL_LAYOUT(
    ExpertRouterBackwardArgs, probabilities, index, weight, d_weight, slope, mask, d_logits, tokens, experts, k,
    normalised)

namespace {
template <class T>
__device__ __forceinline__ void expert_router_forward(const ExpertRouterForwardArgs& args) {
  const int64_t token = warp_row();
  if (token >= args.tokens || !WarpRow::takes_part())
    return;
  const int experts = args.experts;
  const T* logits = static_cast<const T*>(args.logits) + token * experts;
  float* probabilities = args.probabilities + token * experts;
  int* index = args.index + token * args.k;
  float* weight = args.weight + token * args.k;
  float most = -INFINITY;
  for (int j = WarpRow::lane(); j < experts; j += WarpRow::kSharing)
    most = fmaxf(most, to_float(logits[j]));
  most = WarpRow::max(most);
  float sum = 0;
  for (int j = WarpRow::lane(); j < experts; j += WarpRow::kSharing) {
    const float e = exp_f32(to_float(logits[j]) - most);
    probabilities[j] = e;
    sum += e;
  }
  sum = WarpRow::sum(sum);
  for (int j = WarpRow::lane(); j < experts; j += WarpRow::kSharing)
    probabilities[j] /= sum;
  float before = INFINITY;
  float chosen = 0;
  int last = -1;
  for (int t = 0; t < args.k; ++t) {
    // The largest of those that come after the one before, in descending order and equal ones by index.
    float best = -INFINITY;
    int at = experts;
    for (int j = WarpRow::lane(); j < experts; j += WarpRow::kSharing) {
      const float v = to_float(logits[j]);
      const bool left = t == 0 || v < before || (v == before && j > last);
      if (left && (v > best || (v == best && at == experts))) {
        best = v;
        at = j;
      }
    }
    before = WarpRow::max(best);
    const float first = WarpRow::max(best == before ? -float(at) : -float(experts));   // indices are exact in F32
    last = min(int(-first), experts - 1);
    const float p = exp_f32(before - most) / sum;
    chosen += p;
    if (WarpRow::lane() == 0) {
      index[t] = last;
      weight[t] = p;
    }
  }
  if (args.normalised && WarpRow::lane() == 0)
    for (int t = 0; t < args.k; ++t)
      weight[t] /= chosen;
}

template <class T>
__device__ __forceinline__ void expert_router_backward(const ExpertRouterBackwardArgs& args) {
  const int64_t token = warp_row();
  if (token >= args.tokens || !WarpRow::takes_part())
    return;
  const int experts = args.experts;
  const float* probabilities = args.probabilities + token * experts;
  const int* index = args.index + token * args.k;
  const float* weight = args.weight + token * args.k;
  const float* d_weight = args.d_weight + (args.d_weight ? token * args.k : 0);
  T* d_logits = static_cast<T*>(args.d_logits) + token * experts;
  const float factor = args.mask ? args.mask[token] : 1.0f;
  float mean = 0;
  float inverse = 1;
  if (args.normalised && args.d_weight) {
    float chosen = 0;
    for (int t = 0; t < args.k; ++t) {
      chosen += probabilities[index[t]];
      mean = fmaf(weight[t], d_weight[t], mean);
    }
    inverse = 1 / chosen;
  }
  const auto gradient = [&](int j) {
    float value = args.slope ? factor * args.slope[j] : 0.0f;
    if (args.d_weight)
      for (int t = 0; t < args.k; ++t)
        value += index[t] == j ? (d_weight[t] - mean) * inverse : 0.0f;
    return value;
  };
  float dot = 0;
  for (int j = WarpRow::lane(); j < experts; j += WarpRow::kSharing)
    dot = fmaf(probabilities[j], gradient(j), dot);
  dot = WarpRow::sum(dot);
  for (int j = WarpRow::lane(); j < experts; j += WarpRow::kSharing)
    d_logits[j] = from_float<T>(probabilities[j] * (gradient(j) - dot));
}
}   // namespace

SPECTRAL_KERNEL_ROWS(expert_router_forward_f32, ExpertRouterForwardArgs, kRowThreads) {
  expert_router_forward<float>(args);
}
SPECTRAL_KERNEL_ROWS(expert_router_forward_bf16, ExpertRouterForwardArgs, kRowThreads) {
  expert_router_forward<bf16>(args);
}
SPECTRAL_KERNEL_ROWS(expert_router_backward_f32, ExpertRouterBackwardArgs, kRowThreads) {
  expert_router_backward<float>(args);
}
SPECTRAL_KERNEL_ROWS(expert_router_backward_bf16, ExpertRouterBackwardArgs, kRowThreads) {
  expert_router_backward<bf16>(args);
}
