using Spectral.Kernels;

namespace Spectral.Training.Models;

/// <summary>The cosines and sines by which the pairs of a head's features turn at each position.</summary>
/// <param name="Cosine">The cosines, [P, hd/2] F32.</param>
/// <param name="Sine">The sines, [P, hd/2] F32.</param>
public readonly record struct RotaryTable(Tensor Cosine, Tensor Sine);
