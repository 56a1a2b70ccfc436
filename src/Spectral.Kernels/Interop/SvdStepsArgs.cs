namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>svd_widen</c>: F32 converted to F64.</summary>
public struct SvdWidenArgs
{
    /// <summary>The kernel <c>svd_widen</c>; one thread per element.</summary>
    public static readonly KernelEntry<SvdWidenArgs> Kernel = new("svd_steps", 256, "svd_widen");

    /// <summary>Device address of x, [Count] F32.</summary>
    public ulong X;

    /// <summary>Device address of y, [Count] F64; written.</summary>
    public ulong Y;

    /// <summary>Number of elements of x.</summary>
    public int Count;
}

/// <summary>Arguments of <c>svd_narrow</c>: F64 rounded to F32.</summary>
public struct SvdNarrowArgs
{
    /// <summary>The kernel <c>svd_narrow</c>; one thread per element.</summary>
    public static readonly KernelEntry<SvdNarrowArgs> Kernel = new("svd_steps", 256, "svd_narrow");

    /// <summary>Device address of x, [Count] F64.</summary>
    public ulong X;

    /// <summary>Device address of y, [Count] F32; written.</summary>
    public ulong Y;

    /// <summary>Number of elements of x.</summary>
    public int Count;
}

/// <summary>
/// Arguments of <c>svd_truncate</c>: negligible singular values set to 0, and probes multiplied by the values that
/// remain.
/// </summary>
public struct SvdTruncateArgs : IBatchArgs
{
    /// <summary>The kernel <c>svd_truncate</c>; one thread per row of probes (grid x) and matrix (grid y).</summary>
    public static readonly KernelEntry<SvdTruncateArgs> Kernel = new("svd_steps", 64, "svd_truncate");

    /// <summary>
    /// Device address of the singular values, descending, at least Rank F32 per matrix, <see cref="Stride"/> apart.
    /// </summary>
    public ulong Values;

    /// <summary>Device address of the values kept, Rank F32 per matrix, <see cref="Stride"/> apart; written.</summary>
    public ulong S;

    /// <summary>
    /// Device address of the probes, [batch, Rank, Columns] F32; each row is multiplied by its singular value.
    /// </summary>
    public ulong Probes;

    /// <summary>Number of values kept per matrix.</summary>
    public int Rank;

    /// <summary>Number of columns of the probes.</summary>
    public int Columns;

    /// <summary>Stride between the values of two matrices, in elements.</summary>
    public int Stride;

    /// <summary>Fraction of the largest value: values at or below it become 0.</summary>
    public float Tolerance;

    void IBatchArgs.Skip(int matrices)
    {
        Values = Launch.Skip(Values, (long)matrices * Stride);
        S = Launch.Skip(S, (long)matrices * Stride);
        Probes = Launch.Skip(Probes, (long)matrices * Rank * Columns);
    }
}

/// <summary>Arguments of <c>svd_norms</c>: Euclidean norms of rows.</summary>
public struct SvdNormsArgs : IBatchArgs
{
    /// <summary>The kernel <c>svd_norms</c>; one block per row (grid x) and matrix (grid y).</summary>
    public static readonly KernelEntry<SvdNormsArgs> Kernel = new("svd_steps", 256, "svd_norms")
    {
        StaticSharedBytes = 256,
    };

    /// <summary>Device address of the rows, [batch][rows, Length] F32, matrices <see cref="XStride"/> apart.</summary>
    public ulong X;

    /// <summary>
    /// Device address of the norms, one F32 per row, those of two matrices <see cref="NormStride"/> apart; written.
    /// </summary>
    public ulong Norm;

    /// <summary>Stride between the rows of two matrices, in elements.</summary>
    public long XStride;

    /// <summary>Number of elements of a row.</summary>
    public int Length;

    /// <summary>Stride between the norms of two matrices, in elements.</summary>
    public int NormStride;

    void IBatchArgs.Skip(int matrices)
    {
        X = Launch.Skip(X, matrices * XStride);
        Norm = Launch.Skip(Norm, (long)matrices * NormStride);
    }
}

/// <summary>
/// Arguments of <c>svd_signs</c>: the signs of pairs of singular vectors chosen so that they are unique.
/// </summary>
public struct SvdSignsArgs
{
    /// <summary>The kernel <c>svd_signs</c>; one warp per pair.</summary>
    public static readonly KernelEntry<SvdSignsArgs> Kernel = new("svd_steps", 32, "svd_signs");

    /// <summary>
    /// Device address of the left vectors, [pairs, LeftLength] F32; updated with the signs of the right ones.
    /// </summary>
    public ulong Left;

    /// <summary>
    /// Device address of the right vectors, [pairs, RightLength] F32; updated: the entry of largest magnitude becomes
    /// positive.
    /// </summary>
    public ulong Right;

    /// <summary>Number of elements of a left vector.</summary>
    public int LeftLength;

    /// <summary>Number of elements of a right vector.</summary>
    public int RightLength;
}
