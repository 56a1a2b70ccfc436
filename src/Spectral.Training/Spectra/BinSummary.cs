namespace Spectral.Training.Spectra;

/// <summary>The means over one range of a spectrum.</summary>
/// <param name="Bin">The name of the range.</param>
/// <param name="From">The first index, counted from 0.</param>
/// <param name="To">The index after the last.</param>
/// <param name="Relative">The mean of the relative changes ρ.</param>
/// <param name="RelativeMagnitude">The mean of |ρ|.</param>
/// <param name="MatchedLeft">The mean |cos| between left vectors of the same index.</param>
/// <param name="MatchedRight">The mean |cos| between right vectors of the same index.</param>
/// <param name="BestLeft">The mean over left vectors of the |cos| to the most similar base vector.</param>
/// <param name="BestRight">The mean over right vectors of the |cos| to the most similar base vector.</param>
/// <param name="StableLeft">
/// The mean |cos| of left vectors, where vectors in a cluster are compared by the spans of the cluster.
/// </param>
/// <param name="StableRight">
/// The mean |cos| of right vectors, where vectors in a cluster are compared by the spans of the cluster.
/// </param>
/// <param name="Clustered">The share of vectors that are in clusters.</param>
public sealed record BinSummary(
    string Bin,
    int From,
    int To,
    double Relative,
    double RelativeMagnitude,
    double MatchedLeft,
    double MatchedRight,
    double BestLeft,
    double BestRight,
    double StableLeft,
    double StableRight,
    double Clustered
)
{
    internal static BinSummary[] Of(int n, ValueChange values, VectorAlignment vectors) =>
        [
            .. SpectrumBin
                .Of(n, values.Base.Length)
                .Select(bin => new BinSummary(
                    bin.Name,
                    bin.From,
                    bin.To,
                    bin.Mean(values.Relative),
                    bin.Mean([.. values.Relative.Select(Math.Abs)]),
                    bin.Mean(vectors.MatchedLeft),
                    bin.Mean(vectors.MatchedRight),
                    bin.Mean(vectors.BestLeft),
                    bin.Mean(vectors.BestRight),
                    bin.Mean(vectors.StableLeft),
                    bin.Mean(vectors.StableRight),
                    bin.Mean([.. vectors.Clustered.Select(flag => flag ? 1.0 : 0)])
                )),
        ];
}
