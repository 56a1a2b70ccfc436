namespace Spectral.Kernels.Ops;

/// <summary>The frozen part of a linear layer.</summary>
/// <param name="Weight">W [out, in], columns of a wider matrix or all.</param>
/// <param name="Bias">[out], or null.</param>
public readonly record struct LowRankLayer(ColumnRange Weight, Tensor? Bias);
