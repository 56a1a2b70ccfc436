using System.Globalization;

namespace Spectral.Training.Spectra;

/// <summary>
/// The conclusions from the numbers of one matrix about three claims, by the thresholds of
/// <see cref="SpectraOptions"/>. Null: undecided, because nothing changed, the change is close to the rounding floor,
/// there were no draws, or the matrix is too small.
/// </summary>
public sealed record Verdict
{
    /// <summary>Whether no entry changed.</summary>
    public required bool Unchanged { get; init; }

    /// <summary>Whether the update is well above the rounding of the stored types.</summary>
    public required bool Measurable { get; init; }

    /// <summary>
    /// Whether A_k is significantly above that of random updates of either kind, and the relative growth of the top 1 %
    /// of the values is a multiple of the change of the lower half.
    /// </summary>
    public required bool? AmplifiesTop { get; init; }

    /// <summary>
    /// Whether the spans of the top k vectors turned significantly more than with random updates of either kind, and a
    /// multiple of what rounding causes. No such claim is possible about the middle of the spectrum: where values are
    /// close together, any update turns single vectors.
    /// </summary>
    public required bool? ReorientsTop { get; init; }

    /// <summary>
    /// Whether the update has less energy outside the top k on both sides than random ones, and the lower half of the
    /// values hardly changed.
    /// </summary>
    public required bool? RestStable { get; init; }

    /// <summary>The z value of A_k, the smaller one of the two kinds of random updates.</summary>
    public required double AmplificationZ { get; init; }

    /// <summary>The mean ρ of the top 1 % of the values.</summary>
    public required double TopRelative { get; init; }

    /// <summary>The mean ρ of the lower half, or of the lowest range that was computed.</summary>
    public required double RestRelative { get; init; }

    /// <summary>The mean |ρ| of the same range as <see cref="RestRelative"/>.</summary>
    public required double RestMagnitude { get; init; }

    /// <summary>
    /// The z value of <see cref="RestMagnitude"/>, the one closer to 0 of the two kinds of random updates.
    /// </summary>
    public required double RestMagnitudeZ { get; init; }

    /// <summary>
    /// The turning of the top: 1 − mean squared cosine between the spans of the top k vectors, averaged over both
    /// sides.
    /// </summary>
    public required double TopTurned { get; init; }

    /// <summary>The z value of <see cref="TopTurned"/>, the smaller one of the two kinds of random updates.</summary>
    public required double TopTurnedZ { get; init; }

    /// <summary>
    /// The z value of the energy outside the top k on both sides, the larger one of the two kinds of random updates.
    /// </summary>
    public required double BottomEnergyZ { get; init; }

    /// <summary>The conclusions in words, one line each.</summary>
    public required IReadOnlyList<string> Lines { get; init; }

    internal static Verdict Of(MatrixPair pair, NullModel chance, NoiseFloor noise, int topK, SpectraOptions options)
    {
        bool unchanged = Array.TrueForAll(pair.Update.Values, value => value == 0);
        SpectrumBin[] bins = SpectrumBin.Of(pair.N, pair.Count);
        SpectrumBin? rest = bins.LastOrDefault(bin => bin.To > bin.From && bin.To <= pair.Count && bin.From > 0);
        var undecided = new Verdict
        {
            Unchanged = unchanged,
            Measurable = !unchanged && noise.Measurable,
            AmplifiesTop = null,
            ReorientsTop = null,
            RestStable = null,
            AmplificationZ = double.NaN,
            TopRelative = double.NaN,
            RestRelative = double.NaN,
            RestMagnitude = double.NaN,
            RestMagnitudeZ = double.NaN,
            TopTurned = double.NaN,
            TopTurnedZ = double.NaN,
            BottomEnergyZ = double.NaN,
            Lines =
            [
                (unchanged, noise.Measurable) switch
                {
                    (true, _) => "unchanged",
                    (_, false) => "not measurable: the change is near the rounding of the stored weights",
                    _ => "not compared with random updates",
                },
            ],
        };
        if (unchanged || chance.Draws == 0 || rest is null)
            return undecided;
        NullComparison amplification = chance[SpectraQuantity.Amplification, topK];
        NullComparison turned = chance[SpectraQuantity.TopTurned, topK];
        NullComparison bottom = chance[SpectraQuantity.BottomBottom, topK];
        NullComparison magnitude = chance[SpectraQuantity.Magnitude, bin: rest.Name];
        Verdict verdict = undecided with
        {
            AmplificationZ = Math.Min(amplification.Gaussian.Z, amplification.Permuted.Z),
            TopRelative = chance[SpectraQuantity.Relative, bin: bins[0].Name].Observed,
            RestRelative = chance[SpectraQuantity.Relative, bin: rest.Name].Observed,
            RestMagnitude = magnitude.Observed,
            RestMagnitudeZ =
                Math.Abs(magnitude.Gaussian.Z) < Math.Abs(magnitude.Permuted.Z)
                    ? magnitude.Gaussian.Z
                    : magnitude.Permuted.Z,
            TopTurned = turned.Observed,
            TopTurnedZ = Math.Min(turned.Gaussian.Z, turned.Permuted.Z),
            BottomEnergyZ = Math.Max(bottom.Gaussian.Z, bottom.Permuted.Z),
        };
        if (!noise.Measurable)
            return verdict;
        verdict = verdict with
        {
            AmplifiesTop =
                verdict.AmplificationZ > options.SignificantZ
                && verdict.TopRelative > options.TopRatio * Math.Abs(verdict.RestRelative),
            ReorientsTop =
                verdict.TopTurnedZ > options.SignificantZ && verdict.TopTurned > options.FloorRatio * turned.Floor,
            RestStable =
                verdict.BottomEnergyZ < 0
                && verdict.RestMagnitude < Math.Max(options.FloorRatio * magnitude.Floor, options.StableChange),
        };
        return verdict with { Lines = verdict.InWords(topK, amplification.Observed) };
    }

    private string[] InWords(int k, double share) =>
        [
            string.Create(
                CultureInfo.InvariantCulture,
                $"{(AmplifiesTop == true ? "amplifies" : "does not amplify")} the top: {100 * share:0.0} "
                    + $"% of the change of values is growth of the top {k} (z {AmplificationZ:0.0}); the top 1 "
                    + $"% grew by {100 * TopRelative:0.00} %, the rest by {100 * RestRelative:0.00} %"
            ),
            string.Create(
                CultureInfo.InvariantCulture,
                $"{(ReorientsTop == true ? "turns" : "does not turn")} the top more than chance: the "
                    + $"spans of the top {k} vectors turned by {TopTurned:0.0000} (z {TopTurnedZ:0.0})"
            ),
            string.Create(
                CultureInfo.InvariantCulture,
                $"{(RestStable == true ? "leaves" : "does not leave")} the rest as it was: its values "
                    + $"changed by {100 * RestMagnitude:0.00} % on average (z {RestMagnitudeZ:0.0}); the energy "
                    + $"outside the top {k} has z {BottomEnergyZ:0.0}"
            ),
        ];
}
