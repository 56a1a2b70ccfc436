namespace Spectral.Training.Spectra;

/// <summary>The results for several matrices: those of one module type, of one layer, or all.</summary>
public sealed record SpectraSummary
{
    /// <summary>The module type, such as q_proj; null for a layer or the whole model.</summary>
    public required string? Module { get; init; }

    /// <summary>The index of the layer; null for a module type or the whole model.</summary>
    public required int? Layer { get; init; }

    /// <summary>The number of matrices in the group.</summary>
    public required int Matrices { get; init; }

    /// <summary>The number of matrices that did not change at all.</summary>
    public required int Unchanged { get; init; }

    /// <summary>The number of matrices that changed well above rounding.</summary>
    public required int Measurable { get; init; }

    /// <summary>The relative size of the update, ‖Δ‖_F / ‖W0‖_F.</summary>
    public required SpectraSpread RelativeChange { get; init; }

    /// <summary>The share A_k of the growth of the first k values in all change, at top k.</summary>
    public required SpectraSpread Amplification { get; init; }

    /// <summary>The z value of A_k compared with random updates.</summary>
    public required SpectraSpread AmplificationZ { get; init; }

    /// <summary>The mean over the matrices of ρ in each of 20 equal parts of the spectrum, [20].</summary>
    public required double[] Profile { get; init; }

    /// <summary>The means over the matrices of their means over ranges of the spectrum.</summary>
    public required IReadOnlyList<BinAverage> Bins { get; init; }

    /// <summary>The mean squared cosine between the spans of the top k left vectors before and after.</summary>
    public required SpectraSpread SimilarityLeft { get; init; }

    /// <summary>The mean squared cosine between the spans of the top k right vectors before and after.</summary>
    public required SpectraSpread SimilarityRight { get; init; }

    /// <summary>The largest principal angle between the spans of the top k left vectors, in degrees.</summary>
    public required SpectraSpread LargestAngleLeft { get; init; }

    /// <summary>The largest principal angle between the spans of the top k right vectors, in degrees.</summary>
    public required SpectraSpread LargestAngleRight { get; init; }

    /// <summary>The share of the update's energy in the top k on both sides.</summary>
    public required SpectraSpread EnergyTopTop { get; init; }

    /// <summary>The share of the update's energy from the rest of the inputs into the top k outputs.</summary>
    public required SpectraSpread EnergyTopBottom { get; init; }

    /// <summary>The share of the update's energy from the top k inputs into the rest of the outputs.</summary>
    public required SpectraSpread EnergyBottomTop { get; init; }

    /// <summary>The share of the update's energy outside the top k on both sides.</summary>
    public required SpectraSpread EnergyBottomBottom { get; init; }

    /// <summary>The stable rank of the base weight.</summary>
    public required SpectraSpread StableRankBase { get; init; }

    /// <summary>The stable rank of the tuned weight.</summary>
    public required SpectraSpread StableRankTuned { get; init; }

    /// <summary>The stable rank of the update.</summary>
    public required SpectraSpread StableRankChange { get; init; }

    /// <summary>The effective rank of the base weight.</summary>
    public required SpectraSpread EffectiveRankBase { get; init; }

    /// <summary>The effective rank of the tuned weight.</summary>
    public required SpectraSpread EffectiveRankTuned { get; init; }

    /// <summary>The effective rank of the update.</summary>
    public required SpectraSpread EffectiveRankChange { get; init; }

    /// <summary>
    /// The number of intruders among the leading vectors, summed over the matrices, one entry for each threshold.
    /// </summary>
    public required IReadOnlyList<IntruderTotal> Intruders { get; init; }

    /// <summary>The excess kurtosis of the base's entries.</summary>
    public required SpectraSpread KurtosisBase { get; init; }

    /// <summary>The excess kurtosis of the tuned weight's entries.</summary>
    public required SpectraSpread KurtosisTuned { get; init; }

    /// <summary>The standard deviation of the base's entries.</summary>
    public required SpectraSpread DeviationBase { get; init; }

    /// <summary>The standard deviation of the update's entries.</summary>
    public required SpectraSpread DeviationChange { get; init; }

    /// <summary>
    /// The change of the standard deviation of the base's entries from one layer to the next (least squares); NaN for a
    /// single layer.
    /// </summary>
    public required double DeviationSlope { get; init; }

    /// <summary>
    /// The change of the standard deviation of the update's entries from one layer to the next (least squares); NaN for
    /// a single layer.
    /// </summary>
    public required double ChangeDeviationSlope { get; init; }

    /// <summary>The mean squared correlation of the base's rows, relative to independent entries.</summary>
    public required SpectraSpread RowCorrelationBase { get; init; }

    /// <summary>The mean squared correlation of the base's columns, relative to independent entries.</summary>
    public required SpectraSpread ColumnCorrelationBase { get; init; }

    /// <summary>The distance of the base's spectrum from the law of Marchenko and Pastur.</summary>
    public required SpectraSpread SpectrumDistanceBase { get; init; }

    /// <summary>The number of the base's singular values beyond those of independent entries.</summary>
    public required SpectraSpread BeyondBase { get; init; }

    /// <summary>The number of the tuned weight's singular values beyond those of independent entries.</summary>
    public required SpectraSpread BeyondTuned { get; init; }

    /// <summary>The number of the update's singular values beyond those of independent entries.</summary>
    public required SpectraSpread BeyondChange { get; init; }

    /// <summary>The number of matrices whose update amplifies the top values.</summary>
    public required VerdictCount AmplifiesTop { get; init; }

    /// <summary>The number of matrices whose update turns the top vectors more than chance.</summary>
    public required VerdictCount ReorientsTop { get; init; }

    /// <summary>The number of matrices whose update leaves the rest unchanged.</summary>
    public required VerdictCount RestStable { get; init; }

    internal static SpectraSummary Of(IReadOnlyList<MatrixSpectra> matrices, string? module = null, int? layer = null)
    {
        SpectraSpread Over(Func<MatrixSpectra, double> value) => SpectraSpread.Of(matrices.Select(value));
        SpectraSpread Energy(Func<UpdateEnergy, double> value) =>
            Over(matrix => value(matrix.Energy.First(energy => energy.K == matrix.TopK)));
        SpectraSpread Angle(Func<SubspaceAngles, double> value) =>
            Over(matrix => value(matrix.Subspaces.First(angles => angles.K == matrix.TopK && !angles.Bottom)));
        double Mean(Func<MatrixSpectra, double> value) => Over(value).Mean;
        return new SpectraSummary
        {
            Module = module,
            Layer = layer,
            Matrices = matrices.Count,
            Unchanged = matrices.Count(matrix => matrix.Verdict.Unchanged),
            Measurable = matrices.Count(matrix => matrix.Verdict.Measurable),
            RelativeChange = Over(matrix => matrix.Norms.Relative),
            Amplification = Over(matrix => matrix.Amplification.First(share => share.K == matrix.TopK).Share),
            AmplificationZ = Over(matrix => matrix.Verdict.AmplificationZ),
            Profile =
            [
                .. Enumerable.Range(0, SpectrumBin.ProfileSize).Select(i => Mean(matrix => matrix.Values.Profile[i])),
            ],
            Bins =
            [
                .. Enumerable
                    .Range(0, matrices[0].Bins.Count)
                    .Select(i => new BinAverage(
                        matrices[0].Bins[i].Bin,
                        Mean(matrix => matrix.Bins[i].Relative),
                        Mean(matrix => matrix.Bins[i].RelativeMagnitude),
                        Mean(matrix => matrix.Bins[i].MatchedLeft),
                        Mean(matrix => matrix.Bins[i].MatchedRight),
                        Mean(matrix => matrix.Bins[i].BestLeft),
                        Mean(matrix => matrix.Bins[i].BestRight),
                        Mean(matrix => matrix.Bins[i].StableLeft),
                        Mean(matrix => matrix.Bins[i].StableRight)
                    )),
            ],
            SimilarityLeft = Angle(angles => angles.Left.Similarity),
            SimilarityRight = Angle(angles => angles.Right.Similarity),
            LargestAngleLeft = Angle(angles => angles.Left.Largest),
            LargestAngleRight = Angle(angles => angles.Right.Largest),
            EnergyTopTop = Energy(energy => energy.TopTop),
            EnergyTopBottom = Energy(energy => energy.TopBottom),
            EnergyBottomTop = Energy(energy => energy.BottomTop),
            EnergyBottomBottom = Energy(energy => energy.BottomBottom),
            StableRankBase = Over(matrix => matrix.Ranks.Base.Stable),
            StableRankTuned = Over(matrix => matrix.Ranks.Tuned.Stable),
            StableRankChange = Over(matrix => matrix.Ranks.Change.Stable),
            EffectiveRankBase = Over(matrix => matrix.Ranks.Base.Effective),
            EffectiveRankTuned = Over(matrix => matrix.Ranks.Tuned.Effective),
            EffectiveRankChange = Over(matrix => matrix.Ranks.Change.Effective),
            Intruders =
            [
                .. Enumerable.Range(0, matrices[0].Intruders.Counts.Count).Select(i => IntruderTotal.Of(matrices, i)),
            ],
            KurtosisBase = Over(matrix => matrix.Entries.Base.ExcessKurtosis),
            KurtosisTuned = Over(matrix => matrix.Entries.Tuned.ExcessKurtosis),
            DeviationBase = Over(matrix => matrix.Entries.Base.StandardDeviation),
            DeviationChange = Over(matrix => matrix.Entries.Change.StandardDeviation),
            DeviationSlope = Slope(matrices, matrix => matrix.Entries.Base.StandardDeviation),
            ChangeDeviationSlope = Slope(matrices, matrix => matrix.Entries.Change.StandardDeviation),
            RowCorrelationBase = Over(matrix => matrix.Independence.Base.Rows.MeanSquare),
            ColumnCorrelationBase = Over(matrix => matrix.Independence.Base.Columns.MeanSquare),
            SpectrumDistanceBase = Over(matrix => matrix.Independence.Base.Spectrum.Distance),
            BeyondBase = Over(matrix => matrix.Independence.Base.Spectrum.Beyond),
            BeyondTuned = Over(matrix => matrix.Independence.Tuned.Spectrum.Beyond),
            BeyondChange = Over(matrix => matrix.Independence.Change.Spectrum.Beyond),
            AmplifiesTop = VerdictCount.Of(matrices.Select(matrix => matrix.Verdict.AmplifiesTop)),
            ReorientsTop = VerdictCount.Of(matrices.Select(matrix => matrix.Verdict.ReorientsTop)),
            RestStable = VerdictCount.Of(matrices.Select(matrix => matrix.Verdict.RestStable)),
        };
    }

    private static double Slope(IReadOnlyList<MatrixSpectra> matrices, Func<MatrixSpectra, double> value)
    {
        double meanLayer = matrices.Average(matrix => matrix.Layer);
        double meanValue = matrices.Average(value);
        return matrices.Sum(matrix => (matrix.Layer - meanLayer) * (value(matrix) - meanValue))
            / matrices.Sum(matrix => (matrix.Layer - meanLayer) * (matrix.Layer - meanLayer));
    }
}
