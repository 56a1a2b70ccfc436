namespace Spectral.Kernels.Ops;

/// <summary>Names the ways to run the skinny passes of <see cref="LowRank"/>.</summary>
public enum LowRankPassKind
{
    /// <summary>Matrix products of cuBLAS, or of OpenBLAS on the CPU device.</summary>
    Blas,

    /// <summary>Kernels of this library, which read the wide operand once; BF16 only.</summary>
    Kernels,
}
