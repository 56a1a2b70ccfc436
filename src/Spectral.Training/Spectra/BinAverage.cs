namespace Spectral.Training.Spectra;

/// <summary>
/// The means over several matrices of the values of <see cref="BinSummary"/> for one range of the spectrum.
/// </summary>
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
