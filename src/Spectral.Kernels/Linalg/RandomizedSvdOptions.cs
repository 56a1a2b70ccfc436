namespace Spectral.Kernels.Linalg;

/// <summary>Settings of <see cref="RandomizedSvd"/>: size of the sketch, iterations and random numbers.</summary>
public sealed record RandomizedSvdOptions
{
    /// <summary>Number of random vectors in the sketch beyond the rank.</summary>
    public int Oversample { get; init; } = 16;

    /// <summary>
    /// Number of times that A Aᵀ is applied to the sketch; each costs two passes over the matrix. 0 to 3 give a
    /// preview. From 4 on the values of the last two iterations are compared, and iterations continue, up to <see
    /// cref="RandomizedSvd.MostIterations"/>, for matrices whose values have not settled to about a hundredth of the
    /// largest: those with a nearly flat spectrum, such as a Gaussian matrix, where the error falls only like 1 /
    /// iterations. <see cref="UntilSettled"/> switches that off.
    /// </summary>
    public int PowerIterations { get; init; } = 4;

    /// <summary>
    /// Whether 4 or more power iterations may continue until the values have settled; if false, exactly as many run as
    /// were asked for.
    /// </summary>
    public bool UntilSettled { get; init; } = true;

    /// <summary>Seed of the random test matrix.</summary>
    public ulong Seed { get; init; }

    /// <summary>Number of the test matrix under that seed, e.g. the number of a layer.</summary>
    public ulong Stream { get; init; }

    internal SmallProblems Where { get; init; }

    internal void Validate()
    {
        if (Oversample < 0)
            throw new ArgumentException($"oversample is {Oversample}, expected 0 or more", nameof(Oversample));
        if (PowerIterations < 0)
        {
            throw new ArgumentException(
                $"power iterations are {PowerIterations}, expected 0 or more",
                nameof(PowerIterations)
            );
        }
    }
}
