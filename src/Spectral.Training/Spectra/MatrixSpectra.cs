using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// Everything that is measured on one weight matrix. Positions in a spectrum are by descending value. NaN stands for
/// values that are undefined or not computed.
/// </summary>
public sealed record MatrixSpectra
{
    /// <summary>The name of the weight's tensor in the model.</summary>
    public required string Name { get; init; }

    /// <summary>The last component of the layer's name, such as q_proj.</summary>
    public required string Module { get; init; }

    /// <summary>The index of the decoder layer, from 0.</summary>
    public required int Layer { get; init; }

    /// <summary>The number of rows of the weight, its outputs.</summary>
    public required int Out { get; init; }

    /// <summary>The number of columns of the weight, its inputs.</summary>
    public required int In { get; init; }

    /// <summary>The name of the type to which the base weight was rounded.</summary>
    public required string BaseType { get; init; }

    /// <summary>The name of the type to which the tuned weight was rounded.</summary>
    public required string TunedType { get; init; }

    /// <summary>The method by which singular values were computed, and its accuracy.</summary>
    public required SvdAccuracy Svd { get; init; }

    /// <summary>The Frobenius norms of base, tuned weight and update.</summary>
    public required MatrixNorms Norms { get; init; }

    /// <summary>The size of the update compared with rounding alone.</summary>
    public required NoiseFloor Noise { get; init; }

    /// <summary>
    /// The k of verdicts and summaries: that of the options, or half the smaller dimension if that is less.
    /// </summary>
    public required int TopK { get; init; }

    /// <summary>The singular values of base and tuned weight and their changes.</summary>
    public required ValueChange Values { get; init; }

    /// <summary>The share of growth of the first k values in all change, one entry for each k.</summary>
    public required IReadOnlyList<Amplification> Amplification { get; init; }

    /// <summary>The means over ranges of the spectrum.</summary>
    public required IReadOnlyList<BinSummary> Bins { get; init; }

    /// <summary>The comparison of singular vectors, one by one.</summary>
    public required VectorAlignment Vectors { get; init; }

    /// <summary>
    /// The angles between spans of leading vectors, one entry for each k, and last those of the bottom quarter if it
    /// was computed.
    /// </summary>
    public required IReadOnlyList<SubspaceAngles> Subspaces { get; init; }

    /// <summary>
    /// The distribution of the update's energy over the base's singular vectors, one entry for each k.
    /// </summary>
    public required IReadOnlyList<UpdateEnergy> Energy { get; init; }

    /// <summary>The ranks of base, tuned weight and update.</summary>
    public required MatrixRanks Ranks { get; init; }

    /// <summary>The singular values of the update itself.</summary>
    public required UpdateSpectrum Update { get; init; }

    /// <summary>The singular vectors of the tuned weight without a counterpart in the base.</summary>
    public required Intruders Intruders { get; init; }

    /// <summary>The distributions of the entries of base, tuned weight and update.</summary>
    public required MatrixEntries Entries { get; init; }

    /// <summary>
    /// The independence of the entries of base, tuned weight and update: correlations of lines, and spectra.
    /// </summary>
    public required MatrixIndependence Independence { get; init; }

    /// <summary>The comparison with random updates of the same size.</summary>
    public required NullModel Null { get; init; }

    /// <summary>
    /// The factors by which a SpecLoRA adapter scales the singular values; null for other kinds of tuning.
    /// </summary>
    public required SpectralMask? Mask { get; init; }

    /// <summary>The conclusions that the options' thresholds allow.</summary>
    public required Verdict Verdict { get; init; }

    internal static MatrixSpectra Of(
        WeightPair weights,
        DecomposedPair decomposed,
        Decomposer decomposer,
        SpectraOptions options,
        CancellationToken cancellation
    )
    {
        (MatrixPair pair, Triplets change) = decomposed;
        HostMatrix update = pair.Update;
        int topK = Math.Min(Math.Min(options.TopK, Math.Max(1, pair.N / 2)), pair.Count);
        int[] ranks = RanksOf(pair, topK, options);
        int quarter = pair.N / 4;
        var vectors = VectorAlignment.Of(pair, change.Values[0]);
        var noise = NoiseFloor.Of(weights, pair.Base.FrobeniusNorm, change.FrobeniusNorm, options);
        var chance = NullModel.Of(weights, pair, change.Values, ranks, decomposer, options, cancellation);
        var values = ValueChange.Of(pair, change);
        var matrixRanks = new MatrixRanks(RankOf(pair.Base, pair), RankOf(pair.Tuned, pair), RankOf(change, pair));
        var entries = new MatrixEntries(
            EntryStatistics.Of(weights.Base),
            EntryStatistics.Of(weights.Tuned),
            EntryStatistics.Of(update)
        );
        string[] path = weights.Name.Split('.');
        return new MatrixSpectra
        {
            Name = weights.Name,
            Module = path.Length > 1 ? path[^2] : weights.Name,
            Layer =
                Array.IndexOf(path, "layers") is >= 0 and var at && int.TryParse(path[at + 1], out int layer)
                    ? layer
                    : 0,
            Out = pair.Out,
            In = pair.In,
            BaseType = weights.BaseType.HeaderName(),
            TunedType = weights.TunedType.HeaderName(),
            Svd = SvdAccuracy.Of(pair, change),
            Norms = new MatrixNorms(
                pair.Base.FrobeniusNorm,
                pair.Tuned.FrobeniusNorm,
                change.FrobeniusNorm,
                change.FrobeniusNorm / pair.Base.FrobeniusNorm
            ),
            Noise = noise,
            TopK = topK,
            Values = values,
            Amplification = [.. ranks.Select(k => Training.Spectra.Amplification.Of(values.Change, k, pair.N))],
            Bins = BinSummary.Of(pair.N, values, vectors),
            Vectors = vectors,
            Subspaces =
            [
                .. ranks.Select(k => SubspaceAngles.Of(pair, k, bottom: false, decomposer.Device)),
                .. quarter > 0 && !pair.Truncated
                    ? [SubspaceAngles.Of(pair, quarter, bottom: true, decomposer.Device)]
                    : Array.Empty<SubspaceAngles>(),
            ],
            Energy = UpdateEnergy.Of(pair, ranks),
            Ranks = matrixRanks,
            Update = UpdateSpectrum.Of(pair, change, matrixRanks.Change, ranks),
            Intruders = Intruders.Of(vectors, pair.Truncated, options),
            Entries = entries,
            Independence = new MatrixIndependence(
                EntryIndependence.Of(weights.Base, entries.Base, pair.Base),
                EntryIndependence.Of(weights.Tuned, entries.Tuned, pair.Tuned),
                EntryIndependence.Of(update, entries.Change, change)
            ),
            Null = chance,
            Mask = weights.Mask,
            Verdict = Verdict.Of(pair, chance, noise, topK, options),
        };
    }

    private static SpectrumRank RankOf(Triplets triplets, MatrixPair pair) =>
        SpectrumRank.Of(triplets.Values, triplets.FrobeniusNorm * triplets.FrobeniusNorm, pair.Truncated);

    private static int[] RanksOf(MatrixPair pair, int topK, SpectraOptions options) =>
        [
            .. options
                .Ranks.Concat(options.IncludesQuarter ? [pair.N / 4] : [])
                .Where(k => k >= 1 && k < pair.N && k <= pair.Count)
                .Append(topK)
                .Distinct()
                .Order(),
        ];
}
