namespace Spectral.Kernels.Ops;

/// <summary>Which of its two products a low-rank layer computes.</summary>
internal enum LowRankDirection
{
    /// <summary>y = x Wᵀ + s Lᵀ + bias.</summary>
    Forward,

    /// <summary>dx = dy W + s R.</summary>
    InputGradient,
}
