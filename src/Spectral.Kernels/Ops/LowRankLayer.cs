namespace Spectral.Kernels.Ops;

/// <summary>Names the frozen part of a linear layer: its weight and its bias.</summary>
/// <param name="Weight">W [out, in]: columns of a wider matrix or all, or a quantised matrix.</param>
/// <param name="Bias">Bias [out] of the layer, or null.</param>
public readonly record struct LowRankLayer(FrozenWeight Weight, Tensor? Bias);
