namespace Spectral.Kernels.Ops;

/// <summary>How <see cref="LowRankLinear"/> adds the low-rank product to the frozen one.</summary>
public enum LowRankVariant
{
    /// <summary>Frozen product, then the low-rank one added to it: y = x Wᵀ; y += z Lᵀ.</summary>
    ComposedA,

    /// <summary>Low-rank product, then the frozen one added to it: y = z Lᵀ; y += x Wᵀ.</summary>
    ComposedB,

    /// <summary>One tensor-core kernel (mma.sync, sm_80 and later) whose sums run over both; BF16 only.</summary>
    Portable,

    /// <summary>
    /// The same on wgmma and TMA: compute capability 9.0 only, BF16, in, out and rank multiples of 8.
    /// </summary>
    Hopper,

    /// <summary>
    /// One library product over operands that are laid out side by side (<see cref="AugmentedLinear"/>); where they are
    /// not, composed as in B.
    /// </summary>
    Augmented,
}
