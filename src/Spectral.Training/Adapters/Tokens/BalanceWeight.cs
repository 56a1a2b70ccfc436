using Spectral.Kernels;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>The factor with which the loss of routers counts in the gradients of a batch.</summary>
/// <param name="Factor">The factor that the host knows: the batch's share of the step.</param>
/// <param name="Scale">A further factor, [1] F32 on the device; null: 1.</param>
internal readonly record struct BalanceWeight(float Factor, Tensor? Scale);
