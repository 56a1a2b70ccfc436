namespace Spectral.Kernels.Ops;

/// <summary>Names the ways to compute the attention of whole sequences.</summary>
public enum AttentionVariant
{
    /// <summary>
    /// Batched products by the BLAS library around a softmax (<see cref="Attention"/>); stores S × S probabilities.
    /// </summary>
    Composed,

    /// <summary>
    /// One tensor-core kernel (mma.sync, sm_80 and later) that never stores the probabilities (<see
    /// cref="FlashAttention"/>); BF16 only.
    /// </summary>
    Fused,
}
