namespace Spectral.Training.Spectra;

/// <summary>The ranks of the base weight, the tuned weight and their difference.</summary>
public sealed record MatrixRanks(SpectrumRank Base, SpectrumRank Tuned, SpectrumRank Change);
