namespace Spectral.Kernels.Ops;

/// <summary>How the skinny passes of <see cref="LowRank"/> run.</summary>
public enum LowRankPassKind
{
    /// <summary>As matrix products of cuBLAS, or OpenBLAS on the CPU device.</summary>
    Blas,

    /// <summary>As this library's own kernels, which read the wide operand once; BF16 only.</summary>
    Kernels,
}
