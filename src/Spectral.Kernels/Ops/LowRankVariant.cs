namespace Spectral.Kernels.Ops;

/// <summary>Names the ways in which <see cref="LowRankLinear"/> adds the low-rank product to the frozen one.</summary>
public enum LowRankVariant
{
    /// <summary>Computes the frozen product, then adds the low-rank one: y = x Wᵀ; y += z Lᵀ.</summary>
    ComposedA,

    /// <summary>Computes the low-rank product, then adds the frozen one: y = z Lᵀ; y += x Wᵀ.</summary>
    ComposedB,

    /// <summary>One tensor-core kernel (mma.sync, sm_80 and later) whose sums run over both; BF16 only.</summary>
    Portable,

    /// <summary>
    /// One kernel like <see cref="Portable"/>, on wgmma and TMA: compute capability 9.0 only, BF16, in, out and rank
    /// multiples of 8.
    /// </summary>
    Hopper,

    /// <summary>
    /// One library product over operands that are laid out side by side (<see cref="AugmentedLinear"/>); where they are
    /// not, the layer is computed as in <see cref="ComposedB"/>.
    /// </summary>
    Augmented,
}
