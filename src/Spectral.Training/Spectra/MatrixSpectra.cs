using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// Everything measured on one weight matrix. Positions in a spectrum are by descending value; NaN stands for what is
/// not defined or not computed.
/// </summary>
public sealed record MatrixSpectra
{
    /// <summary>The tensor's name.</summary>
    public required string Name { get; init; }

    /// <summary>The last part of the layer's name, such as q_proj.</summary>
    public required string Module { get; init; }

    /// <summary>Number of the decoder layer, from 0.</summary>
    public required int Layer { get; init; }

    /// <summary>Rows.</summary>
    public required int Out { get; init; }

    /// <summary>Columns.</summary>
    public required int In { get; init; }

    /// <summary>Type that the base weight was rounded to.</summary>
    public required string BaseType { get; init; }

    /// <summary>Type that the tuned weight was rounded to.</summary>
    public required string TunedType { get; init; }

    /// <summary>How the singular values were computed, and how well.</summary>
    public required SvdAccuracy Svd { get; init; }

    /// <summary>Sizes.</summary>
    public required MatrixNorms Norms { get; init; }

    /// <summary>The rounding floor.</summary>
    public required NoiseFloor Noise { get; init; }

    /// <summary>k of verdicts and summaries: that of the options, or half the smaller dimension.</summary>
    public required int TopK { get; init; }

    /// <summary>Singular values.</summary>
    public required ValueChange Values { get; init; }

    /// <summary>By k.</summary>
    public required IReadOnlyList<Amplification> Amplification { get; init; }

    /// <summary>Means over ranges of the spectrum.</summary>
    public required IReadOnlyList<BinSummary> Bins { get; init; }

    /// <summary>Singular vectors, one by one.</summary>
    public required VectorAlignment Vectors { get; init; }

    /// <summary>Spans of leading vectors, by k, and last the bottom quarter where it was computed.</summary>
    public required IReadOnlyList<SubspaceAngles> Subspaces { get; init; }

    /// <summary>Where the update's energy lies, by k.</summary>
    public required IReadOnlyList<UpdateEnergy> Energy { get; init; }

    /// <summary>Ranks of W0, W1 and Δ.</summary>
    public required MatrixRanks Ranks { get; init; }

    /// <summary>The update's own singular values.</summary>
    public required UpdateSpectrum Update { get; init; }

    /// <summary>Vectors without a counterpart in the base.</summary>
    public required Intruders Intruders { get; init; }

    /// <summary>Distributions of the entries of W0, W1 and Δ.</summary>
    public required MatrixEntries Entries { get; init; }

    /// <summary>Random updates.</summary>
    public required NullModel Null { get; init; }

    /// <summary>What a SpecLoRA adapter does to the values themselves; null for other tuning.</summary>
    public required SpectralMask? Mask { get; init; }

    /// <summary>Conclusions.</summary>
    public required Verdict Verdict { get; init; }

    internal static MatrixSpectra Of(
        WeightPair weights,
        Decomposer decomposer,
        SpectraOptions options,
        CancellationToken cancellation
    )
    {
        HostMatrix update = weights.Tuned.Plus(weights.Base, -1);
        Triplets[] triplets = decomposer.Decompose(weights.Base, weights.Tuned, update);
        var pair = new MatrixPair(triplets[0], triplets[1], update);
        Triplets change = triplets[2];
        int topK = Math.Min(Math.Min(options.TopK, Math.Max(1, pair.N / 2)), pair.Count);
        int[] ranks = RanksOf(pair, topK, options);
        int quarter = pair.N / 4;
        var vectors = VectorAlignment.Of(pair, change.Values[0]);
        var noise = NoiseFloor.Of(weights, pair.Base.FrobeniusNorm, change.FrobeniusNorm, options);
        var chance = NullModel.Of(weights, pair, change.Values, ranks, decomposer, options, cancellation);
        var values = ValueChange.Of(pair, change);
        var matrixRanks = new MatrixRanks(RankOf(pair.Base, pair), RankOf(pair.Tuned, pair), RankOf(change, pair));
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
            Entries = new MatrixEntries(
                EntryStatistics.Of(weights.Base),
                EntryStatistics.Of(weights.Tuned),
                EntryStatistics.Of(update)
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
