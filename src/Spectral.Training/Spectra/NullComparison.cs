namespace Spectral.Training.Spectra;

/// <summary>One quantity of the update beside what random updates have.</summary>
/// <param name="Quantity">Which.</param>
/// <param name="K">Size of the top part; null where there is none.</param>
/// <param name="Bin">Range of the spectrum; null for all of it.</param>
/// <param name="Observed">Of the update.</param>
/// <param name="Gaussian">Of Gaussian updates of the same Frobenius norm.</param>
/// <param name="Permuted">Of updates with the same entries in random places.</param>
/// <param name="Floor">Its mean when rounding alone is the update; NaN where that is undefined.</param>
public sealed record NullComparison(
    string Quantity,
    int? K,
    string? Bin,
    double Observed,
    NullStatistic Gaussian,
    NullStatistic Permuted,
    double Floor
);
