using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>Computes truncated singular value decompositions by the method that suits the size.</summary>
public static class Svd
{
    /// <summary>Largest smaller dimension that <see cref="SvdMethod.Auto"/> decomposes exactly.</summary>
    public const int LargestExact = 512;

    /// <summary>Computes the first <paramref name="rank"/> singular values and vectors of a matrix.</summary>
    /// <param name="a">
    /// [m, n], F32, BF16 or quantised. Of a quantised one the randomized method makes no tensor of its size.
    /// </param>
    /// <param name="rank">1 to the smaller of m and n.</param>
    /// <param name="method">Method to use; by default it follows from the size.</param>
    /// <param name="options">Settings of the randomized method.</param>
    /// <exception cref="ArgumentException">The rank or an option is out of range, or a holds NaN or infinite
    /// values.</exception>
    public static SvdResult Compute(
        FrozenWeight a,
        int rank,
        SvdMethod method = SvdMethod.Auto,
        RandomizedSvdOptions? options = null
    )
    {
        a.Whole(nameof(a));
        return IsExact(a, method) ? ExactSvd.Compute(a, rank) : RandomizedSvd.Compute(a, rank, options);
    }

    /// <summary>Decomposes many matrices; those that the randomized method takes are processed in batches.</summary>
    /// <param name="matrices">
    /// Each [m, n], F32, BF16 or quantised, all on one device; shapes and types may differ.
    /// </param>
    /// <param name="rank">1 to the smallest dimension.</param>
    /// <param name="method">Method to use; by default it follows from the size.</param>
    /// <param name="options">Settings of the randomized method; null for the defaults.</param>
    /// <param name="streams">A stream of random numbers for each matrix; null: that of the options for all.</param>
    /// <returns>In the order of the matrices.</returns>
    /// <exception cref="ArgumentException">The rank or an option is out of range, a matrix is on another device, or one
    /// holds NaN or infinite values.</exception>
    public static SvdResult[] Compute(
        IReadOnlyList<FrozenWeight> matrices,
        int rank,
        SvdMethod method = SvdMethod.Auto,
        RandomizedSvdOptions? options = null,
        IReadOnlyList<ulong>? streams = null
    )
    {
        SvdMatrix.CheckStreams(streams, matrices.Count);
        for (int i = 0; i < matrices.Count; i++)
            matrices[i].Whole($"matrices[{i}]");
        int[] sketched = [.. Enumerable.Range(0, matrices.Count).Where(i => !IsExact(matrices[i], method))];
        return SvdResult.All(
            matrices.Count,
            results =>
            {
                SvdResult[] some = RandomizedSvd.Compute(
                    [.. sketched.Select(i => matrices[i])],
                    rank,
                    options,
                    streams is null ? null : [.. sketched.Select(i => streams[i])]
                );
                for (int i = 0; i < some.Length; i++)
                    results[sketched[i]] = some[i];
                for (int i = 0; i < results.Length; i++)
                    results[i] ??= ExactSvd.Compute(matrices[i], rank);
            }
        );
    }

    private static bool IsExact(FrozenWeight a, SvdMethod method) =>
        method == SvdMethod.Exact || (method == SvdMethod.Auto && Math.Min(a.Rows, a.Columns) <= LargestExact);
}
