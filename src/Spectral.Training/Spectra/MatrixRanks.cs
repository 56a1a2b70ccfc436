namespace Spectral.Training.Spectra;

/// <summary>Ranks of the three matrices.</summary>
public sealed record MatrixRanks(SpectrumRank Base, SpectrumRank Tuned, SpectrumRank Change);
