namespace Spectral.Kernels;

/// <summary>Ways to compute a truncated SVD.</summary>
public enum SvdMethod
{
    /// <summary>Exact where the smaller dimension is at most <see cref="Svd.LargestExact"/>, else randomized.</summary>
    Auto,
    /// <summary>All singular values, then the first k.</summary>
    Exact,
    /// <summary>Power iterations from a random sketch.</summary>
    Randomized,
}

/// <summary>Truncated singular value decompositions, by the method that suits the size.</summary>
public static class Svd
{
    /// <summary>The largest smaller dimension that <see cref="SvdMethod.Auto"/> decomposes exactly.</summary>
    public const int LargestExact = 512;

    /// <summary>The first <paramref name="rank"/> singular values and vectors of a matrix.</summary>
    /// <param name="a">[m, n], F32 or BF16.</param>
    /// <param name="rank">1 to the smaller of m and n.</param>
    /// <param name="method">How.</param>
    /// <param name="options">Settings of the randomized method.</param>
    /// <exception cref="ArgumentException">The rank or an option is out of range, or a holds NaN or infinite values.</exception>
    public static SvdResult Compute(Tensor a, int rank, SvdMethod method = SvdMethod.Auto, RandomizedSvdOptions? options = null)
    {
        Check.Shape(a, nameof(a), -1, -1);
        bool exact = method == SvdMethod.Exact || (method == SvdMethod.Auto && Math.Min(a.Dim(0), a.Dim(1)) <= LargestExact);
        return exact ? ExactSvd.Compute(a, rank) : RandomizedSvd.Compute(a, rank, options);
    }
}
