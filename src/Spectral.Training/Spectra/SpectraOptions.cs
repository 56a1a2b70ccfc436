using Spectral.Kernels.Linalg;
using Spectral.Training.IO;

namespace Spectral.Training.Spectra;

/// <summary>The settings of an analysis of weight spectra, and the thresholds of its verdicts.</summary>
public sealed record SpectraOptions
{
    /// <summary>
    /// The number of leading triplets that count as the top in verdicts and summaries. In small matrices it is at most
    /// half the smaller dimension.
    /// </summary>
    public int TopK { get; init; } = 16;

    /// <summary>
    /// The sizes of the leading subspaces that are compared. A matrix omits those that were not computed or reach its
    /// smaller dimension.
    /// </summary>
    public IReadOnlyList<int> Ranks { get; init; } = [1, 4, 16, 64];

    /// <summary>
    /// Whether a quarter of the smaller dimension is used as another size of subspace, and as the size of the bottom
    /// one.
    /// </summary>
    public bool IncludesQuarter { get; init; } = true;

    /// <summary>The algorithm that computes singular values.</summary>
    public SvdMethod Svd { get; init; } = SvdMethod.Auto;

    /// <summary>The number of leading triplets that the randomized method computes.</summary>
    public int RandomizedRank { get; init; } = 64;

    /// <summary>The number of random updates of each kind in the null model; 0: none.</summary>
    public int Draws { get; init; } = 20;

    /// <summary>The seed of the random updates and of the randomized SVD.</summary>
    public ulong Seed { get; init; }

    /// <summary>The number of leading tuned vectors among which intruders are counted.</summary>
    public int IntruderSearch { get; init; } = 10;

    /// <summary>
    /// The thresholds below which the |cos| of a tuned vector to every base vector makes it an intruder.
    /// </summary>
    public IReadOnlyList<double> IntruderThresholds { get; init; } = [0.3, 0.4, 0.5, 0.6];

    /// <summary>
    /// The number of standard deviations from the mean of the null model at which an effect counts as significant.
    /// </summary>
    public double SignificantZ { get; init; } = 3;

    /// <summary>The ratio to the rest of the spectrum at which an effect at the top counts as larger.</summary>
    public double TopRatio { get; init; } = 3;

    /// <summary>The ratio to the rounding floor at which a change counts as measured.</summary>
    public double FloorRatio { get; init; } = 3;

    /// <summary>The mean relative change of the lower half of the values up to which it counts as unchanged.</summary>
    public double StableChange { get; init; } = 0.01;

    /// <summary>Returns whether all triplets of matrices of this shape are computed.</summary>
    internal bool IsExact(int rows, int columns) =>
        Svd switch
        {
            SvdMethod.Exact => true,
            SvdMethod.Randomized => RandomizedRank >= Math.Min(rows, columns),
            _ => Math.Min(rows, columns) <= Kernels.Linalg.Svd.LargestExact,
        };

    /// <exception cref="InputException">A setting is out of range.</exception>
    internal void Validate()
    {
        Require(TopK >= 1, "top k", TopK, "at least 1");
        Require(RandomizedRank >= 2, "rank", RandomizedRank, "at least 2");
        Require(Draws is 0 or >= 2, "draws", Draws, "0, or at least 2, which have a spread");
        foreach (int rank in Ranks)
            Require(rank >= 1, "ranks", rank, "at least 1");
    }

    private static void Require(bool holds, string name, int value, string expected)
    {
        if (!holds)
            throw new InputException($"{name} is {value}; expected {expected}");
    }
}
