namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of the kernels in <c>clip_quantile.cu</c>, which clip values at a quantile of their magnitudes.
/// </summary>
public struct ClipQuantileArgs : IBatchArgs
{
    /// <summary>Counters of a matrix: two times as many as a digit of 11 bits has values.</summary>
    internal const int BinsPerMatrix = 2 << 11;

    /// <summary>The kernel <c>clip_quantile_count</c>; a block per 65,536 values of a matrix.</summary>
    public static readonly KernelEntry<ClipQuantileArgs> Counting = new(
        "clip_quantile",
        Launch.FlatThreads,
        "clip_quantile_count"
    )
    {
        StaticSharedBytes = 16384,
    };

    /// <summary>The kernel <c>clip_quantile_choose</c>; a block per matrix.</summary>
    public static readonly KernelEntry<ClipQuantileArgs> Choosing = new(
        "clip_quantile",
        Launch.FlatThreads,
        "clip_quantile_choose"
    )
    {
        StaticSharedBytes = 512,
    };

    /// <summary>The kernel <c>clip_quantile_clip</c>; one thread per 4 values.</summary>
    public static readonly KernelEntry<ClipQuantileArgs> Clipping = new(
        "clip_quantile",
        Launch.FlatThreads,
        "clip_quantile_clip"
    );

    /// <summary>
    /// Device address of the values, [batch, Count] F32; updated by <see cref="Clipping"/> alone. 16-byte alignment
    /// allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of the bins, [batch, 2, 2048] I32; zero before <see cref="Counting"/>, read and cleared by <see
    /// cref="Choosing"/>.
    /// </summary>
    public ulong Bins;

    /// <summary>
    /// Device address of the digits known of both magnitudes and what is left of their ranks, [batch, 4] I32; written
    /// by <see cref="Choosing"/>.
    /// </summary>
    public ulong Chosen;

    /// <summary>Number of values of a matrix.</summary>
    public int Count;

    /// <summary>Lowest bit of the digit of this round.</summary>
    public int Shift;

    /// <summary>Bits of the digit, at most 11. In the first round, they end at bit 31.</summary>
    public int Bits;

    /// <summary>Rank, from 0, of the magnitude below the quantile.</summary>
    public int Lower;

    /// <summary>Rank of the magnitude above the quantile, at most one more.</summary>
    public int Upper;

    /// <summary>How far the quantile is from the lower magnitude to the upper, from 0 to 1.</summary>
    public float Fraction;

    void IBatchArgs.Skip(int matrices)
    {
        X = Launch.Skip(X, (long)matrices * Count);
        Bins = Launch.Skip(Bins, (long)matrices * BinsPerMatrix, sizeof(int));
        Chosen = Launch.Skip(Chosen, 4L * matrices, sizeof(int));
    }
}
