using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>Names a number that is computed in the same way for the update and for random updates.</summary>
/// <param name="Name">The name of the quantity.</param>
/// <param name="K">The size k of the top part; null for a quantity without one.</param>
/// <param name="Bin">The range of the spectrum; null for all of it.</param>
internal sealed record SpectraQuantity(string Name, int? K = null, string? Bin = null)
{
    public const string Amplification = "amplification";
    public const string Relative = "relative";
    public const string Magnitude = "relative_magnitude";
    public const string TurnedLeft = "turned_left";
    public const string TurnedRight = "turned_right";
    public const string TopTurned = "top_turned";
    public const string SharePositive = "share_positive";
    public const string SimilarityLeft = "similarity_left";
    public const string SimilarityRight = "similarity_right";
    public const string TopTop = "energy_top_top";
    public const string TopBottom = "energy_top_bottom";
    public const string BottomTop = "energy_bottom_top";
    public const string BottomBottom = "energy_bottom_bottom";
    public const string Diagonal = "diagonal";
    public const string StableRank = "change_stable_rank";
    public const string EffectiveRank = "change_effective_rank";
    public const string FirstRatio = "first_ratio";

    /// <summary>Computes all quantities of one update, always in the same order.</summary>
    /// <param name="pair">The base and the updated weight.</param>
    /// <param name="changeValues">The singular values of the update.</param>
    /// <param name="ranks">The sizes of the top part, ascending.</param>
    public static List<(SpectraQuantity Quantity, double Value)> Of(
        MatrixPair pair,
        double[] changeValues,
        IReadOnlyList<int> ranks
    )
    {
        double[] change = [.. pair.Tuned.Values.Zip(pair.Base.Values, (one, zero) => one - zero)];
        double[] relative =
        [
            .. change.Select(
                (value, i) => pair.Base.Values[i] > pair.Base.NumericalZero ? value / pair.Base.Values[i] : double.NaN
            ),
        ];
        double[] turnedLeft = Turned(pair.Base.Left, pair.Tuned.Left);
        double[] turnedRight = Turned(pair.Base.Right, pair.Tuned.Right);
        var all = new List<(SpectraQuantity, double)>();
        foreach (int k in ranks)
            all.Add((new(Amplification, k), Training.Spectra.Amplification.Of(change, k, pair.N).Share));
        foreach (SpectrumBin bin in SpectrumBin.Of(pair.N, pair.Count))
        {
            all.Add((new(Relative, Bin: bin.Name), bin.Mean(relative)));
            all.Add((new(Magnitude, Bin: bin.Name), bin.Mean([.. relative.Select(Math.Abs)])));
            all.Add((new(TurnedLeft, Bin: bin.Name), bin.Mean(turnedLeft)));
            all.Add((new(TurnedRight, Bin: bin.Name), bin.Mean(turnedRight)));
        }
        all.Add(
            (
                new(SharePositive),
                relative.Count(value => value > 0) / (double)Math.Max(1, relative.Count(double.IsFinite))
            )
        );
        foreach (int k in ranks)
        {
            double left = SubspaceAngles.Similarity(pair.Base.Left, pair.Tuned.Left, k);
            double right = SubspaceAngles.Similarity(pair.Base.Right, pair.Tuned.Right, k);
            all.AddRange([
                (new(SimilarityLeft, k), left),
                (new(SimilarityRight, k), right),
                (new(TopTurned, k), 1 - ((left + right) / 2)),
            ]);
        }
        foreach (UpdateEnergy energy in UpdateEnergy.Of(pair, ranks))
        {
            all.AddRange([
                (new(TopTop, energy.K), energy.TopTop),
                (new(TopBottom, energy.K), energy.TopBottom),
                (new(BottomTop, energy.K), energy.BottomTop),
                (new(BottomBottom, energy.K), energy.BottomBottom),
                (new(Diagonal, energy.K), energy.Diagonal),
            ]);
        }

        var rank = SpectrumRank.Of(changeValues, pair.Update.SquaredNorm(), pair.Truncated);
        all.Add((new(StableRank), rank.Stable));
        all.Add((new(EffectiveRank), rank.Effective));
        all.Add((new(FirstRatio), change[0] / changeValues[0]));
        return all;
    }

    private static double[] Turned(HostMatrix before, HostMatrix after) =>
        [.. VectorAlignment.Matched(before, after).Select(cosine => 1 - cosine)];
}
