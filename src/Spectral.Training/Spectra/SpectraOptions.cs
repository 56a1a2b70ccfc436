using Spectral.Kernels.Linalg;
using Spectral.Training.IO;

namespace Spectral.Training.Spectra;

/// <summary>What an analysis of weight spectra computes, and the thresholds of its verdicts.</summary>
public sealed record SpectraOptions
{
    /// <summary>
    /// The number of leading triplets that "top" means in verdicts and summaries; half the smaller dimension where a
    /// matrix is too small.
    /// </summary>
    public int TopK { get; init; } = 16;

    /// <summary>
    /// Sizes of the leading subspaces that are compared; those of at least the smaller dimension of a matrix, or not
    /// computed, are left out of it.
    /// </summary>
    public IReadOnlyList<int> Ranks { get; init; } = [1, 4, 16, 64];

    /// <summary>
    /// A quarter of the smaller dimension is one more size of subspace, and the size of the bottom one.
    /// </summary>
    public bool IncludesQuarter { get; init; } = true;

    /// <summary>How singular values are computed.</summary>
    public SvdMethod Svd { get; init; } = SvdMethod.Auto;

    /// <summary>Leading triplets that the randomized method computes.</summary>
    public int RandomizedRank { get; init; } = 64;

    /// <summary>Random updates of each kind that the null model averages over; 0: none.</summary>
    public int Draws { get; init; } = 20;

    /// <summary>Seed of the random updates and of the randomized SVD.</summary>
    public ulong Seed { get; init; }

    /// <summary>Leading tuned vectors among which intruders are counted.</summary>
    public int IntruderSearch { get; init; } = 10;

    /// <summary>A tuned vector is an intruder when its |cos| to every base vector is below this.</summary>
    public IReadOnlyList<double> IntruderThresholds { get; init; } = [0.3, 0.4, 0.5, 0.6];

    /// <summary>An effect counts when it is so many standard deviations of the null model away from its mean.</summary>
    public double SignificantZ { get; init; } = 3;

    /// <summary>How many times larger an effect must be at the top than elsewhere.</summary>
    public double TopRatio { get; init; } = 3;

    /// <summary>How many times the rounding floor a change must be to count as measured.</summary>
    public double FloorRatio { get; init; } = 3;

    /// <summary>Mean relative change of the lower half of the values up to which it counts as unchanged.</summary>
    public double StableChange { get; init; } = 0.01;

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
