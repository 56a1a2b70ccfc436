namespace Spectral.Training.Spectra;

/// <summary>The distributions of the entries of the base weight, the tuned weight and their difference.</summary>
public sealed record MatrixEntries(EntryStatistics Base, EntryStatistics Tuned, EntryStatistics Change);
