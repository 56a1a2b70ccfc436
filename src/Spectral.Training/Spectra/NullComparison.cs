namespace Spectral.Training.Spectra;

/// <summary>One quantity of the update, compared with the same quantity of random updates.</summary>
/// <param name="Quantity">The name of the quantity.</param>
/// <param name="K">The size k of the top part; null for a quantity without one.</param>
/// <param name="Bin">The range of the spectrum; null for all of it.</param>
/// <param name="Observed">The value for the update.</param>
/// <param name="Gaussian">The values for Gaussian updates of the same Frobenius norm.</param>
/// <param name="Permuted">The values for updates with the same entries in random places.</param>
/// <param name="Floor">The mean for updates that consist of rounding errors only; NaN if it is undefined.</param>
public sealed record NullComparison(
    string Quantity,
    int? K,
    string? Bin,
    double Observed,
    NullStatistic Gaussian,
    NullStatistic Permuted,
    double Floor
);
