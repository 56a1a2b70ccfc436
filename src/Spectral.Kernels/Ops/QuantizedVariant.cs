namespace Spectral.Kernels.Ops;

/// <summary>Names the ways in which <see cref="FrozenProduct"/> multiplies with a quantised weight.</summary>
public enum QuantizedVariant
{
    /// <summary>
    /// Makes some rows or columns of the weight plain numbers at a time, in scratch that stays in a cache, for a
    /// library product.
    /// </summary>
    Panel,

    /// <summary>One kernel for at most eight rows of x, which reads the codes once; forward only.</summary>
    Matvec,

    /// <summary>
    /// One tensor-core kernel (mma.sync, sm_80 and later) that makes tiles of codes plain numbers in shared memory;
    /// BF16 activations.
    /// </summary>
    Fused,

    /// <summary>
    /// One persistent kernel on wgmma and TMA (compute capability 9.0) that makes stages of 4-bit codes plain numbers
    /// in shared memory; BF16 activations.
    /// </summary>
    Hopper,
}
