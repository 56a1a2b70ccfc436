namespace Spectral.Training.Spectra;

/// <summary>Means over one range of the spectrum.</summary>
/// <param name="Bin">Name of the range.</param>
/// <param name="From">First index, counted from 0.</param>
/// <param name="To">Index after the last.</param>
/// <param name="Relative">Mean ρ.</param>
/// <param name="RelativeMagnitude">Mean |ρ|.</param>
/// <param name="MatchedLeft">Mean |cos| of matched left vectors.</param>
/// <param name="MatchedRight">Of matched right vectors.</param>
/// <param name="BestLeft">Mean best |cos| of left vectors.</param>
/// <param name="BestRight">Of right vectors.</param>
/// <param name="StableLeft">Mean |cos| of left vectors, clusters by their spans.</param>
/// <param name="StableRight">Of right vectors.</param>
/// <param name="Clustered">Share of the vectors that are in clusters.</param>
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
