namespace Spectral.Kernels.Ops;

/// <summary>How the attention of whole sequences is computed.</summary>
public enum AttentionVariant
{
    /// <summary>
    /// <see cref="Attention"/>: batched products by the BLAS library around a softmax; stores S × S probabilities.
    /// </summary>
    Composed,

    /// <summary>
    /// <see cref="FlashAttention"/>: one tensor-core kernel (mma.sync, sm_80 and later) that never stores them; BF16
    /// only.
    /// </summary>
    Fused,
}
