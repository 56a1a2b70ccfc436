namespace Spectral.Training.Spectra;

/// <summary>Means over matrices of what <see cref="BinSummary"/> has for one range.</summary>
public sealed record BinAverage(
    string Bin,
    double Relative,
    double RelativeMagnitude,
    double MatchedLeft,
    double MatchedRight,
    double BestLeft,
    double BestRight,
    double StableLeft,
    double StableRight
);
