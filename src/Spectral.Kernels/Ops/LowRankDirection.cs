namespace Spectral.Kernels.Ops;

/// <summary>Names the two products of a low-rank layer.</summary>
internal enum LowRankDirection
{
    /// <summary>Output of the layer: y = x Wᵀ + s Lᵀ + bias.</summary>
    Forward,

    /// <summary>Gradient of its input: dx = dy W + s R.</summary>
    InputGradient,
}
