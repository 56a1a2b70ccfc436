namespace Spectral.Kernels.Linalg;

/// <summary>Sets the accuracy and the random numbers of <see cref="RandomizedSvd"/>.</summary>
public sealed record RandomizedSvdOptions
{
    /// <summary>Number of random vectors in addition to the rank.</summary>
    public int Oversample { get; init; } = 16;

    /// <summary>
    /// Times that A Aᵀ is applied to the sketch; each costs two passes over the matrix. 0 to 3 are a preview. From 4 on
    /// the values of the last two iterations are compared, and iterations continue, up to <see
    /// cref="RandomizedSvd.MostIterations"/>, for matrices whose values have not settled to about a hundredth of the
    /// largest: those with a nearly flat spectrum, a Gaussian matrix for instance, where the error falls only like 1 /
    /// iterations. <see cref="UntilSettled"/> switches that off.
    /// </summary>
    public int PowerIterations { get; init; } = 4;

    /// <summary>
    /// Whether 4 power iterations or more may continue until the values have settled; false: exactly as many as asked
    /// for.
    /// </summary>
    public bool UntilSettled { get; init; } = true;

    /// <summary>Seed of the test matrix.</summary>
    public ulong Seed { get; init; }

    /// <summary>Number of the test matrix under that seed, a layer's number for instance.</summary>
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
