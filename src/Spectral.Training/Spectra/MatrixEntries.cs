namespace Spectral.Training.Spectra;

/// <summary>Entry statistics of the three matrices.</summary>
public sealed record MatrixEntries(EntryStatistics Base, EntryStatistics Tuned, EntryStatistics Change);
