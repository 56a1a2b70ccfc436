namespace Spectral.Training.Spectra;

/// <summary>
/// The number of directions that a matrix uses, by several measures. NaN if a measure needs values that were not
/// computed, or the matrix is zero.
/// </summary>
/// <param name="Stable">The stable rank ‖A‖_F² / ‖A‖₂².</param>
/// <param name="Effective">The effective rank: exp of the entropy of p_i = σ_i / Σσ (Roy and Vetterli 2007).</param>
/// <param name="EffectiveEnergy">The effective rank with p_i = σ_i² / Σσ².</param>
/// <param name="Energy90">
/// The smallest k for which σ_1² + … + σ_k² is at least 90 % of the total; null if the computed values do not reach it.
/// </param>
public sealed record SpectrumRank(double Stable, double Effective, double EffectiveEnergy, int? Energy90)
{
    private const double Whole = 1 - 1e-9; // share of the energy above which the other values change no printed digit

    internal static SpectrumRank Of(ReadOnlySpan<double> values, double squaredNorm, bool truncated)
    {
        double energy = 0;
        double sum = 0;
        int? rank = null;
        for (int i = 0; i < values.Length; i++)
        {
            energy += values[i] * values[i];
            sum += values[i];
            if (rank is null && energy >= 0.9 * squaredNorm)
                rank = i + 1;
        }
        if (squaredNorm == 0)
            return new SpectrumRank(double.NaN, double.NaN, double.NaN, null);
        double stable = squaredNorm / (values[0] * values[0]);
        if (truncated && energy < Whole * squaredNorm)
            return new SpectrumRank(stable, double.NaN, double.NaN, rank);
        double entropy = 0;
        double energyEntropy = 0;
        foreach (double value in values)
        {
            entropy -= Weighted(value / sum);
            energyEntropy -= Weighted(value * value / energy);
        }
        return new SpectrumRank(stable, Math.Exp(entropy), Math.Exp(energyEntropy), rank);
    }

    private static double Weighted(double share) => share > 0 ? share * Math.Log(share) : 0;
}
