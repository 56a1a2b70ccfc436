namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>svd_widen</c>: F32 to F64.</summary>
public struct SvdWidenArgs
{
    /// <summary>Describes <c>svd_widen</c>.</summary>
    public static readonly KernelEntry<SvdWidenArgs> Kernel = new("svd_steps", 256, "svd_widen");

    /// <summary>Device address of x, [Count] F32.</summary>
    public ulong X;

    /// <summary>Device address of y, [Count] F64; written.</summary>
    public ulong Y;

    /// <summary>Elements of x.</summary>
    public int Count;
}

/// <summary>Arguments of <c>svd_narrow</c>: F64 rounded to F32.</summary>
public struct SvdNarrowArgs
{
    /// <summary>Describes <c>svd_narrow</c>.</summary>
    public static readonly KernelEntry<SvdNarrowArgs> Kernel = new("svd_steps", 256, "svd_narrow");

    /// <summary>Device address of x, [Count] F64.</summary>
    public ulong X;

    /// <summary>Device address of y, [Count] F32; written.</summary>
    public ulong Y;

    /// <summary>Elements of x.</summary>
    public int Count;
}

/// <summary>
/// Arguments of <c>svd_truncate</c>: negligible values become 0, and probes are scaled by what is left.
/// </summary>
public struct SvdTruncateArgs
{
    /// <summary>Describes <c>svd_truncate</c>.</summary>
    public static readonly KernelEntry<SvdTruncateArgs> Kernel = new("svd_steps", 64, "svd_truncate");

    /// <summary>
    /// Device address of the singular values, descending, [at least Rank] F32 per matrix, <see cref="Stride"/> apart.
    /// </summary>
    public ulong Values;

    /// <summary>
    /// Device address of the values kept, [Rank] F32 per matrix, <see cref="Stride"/> apart; written.
    /// </summary>
    public ulong S;

    /// <summary>
    /// Device address of the probes, [batch, Rank, Columns] F32; each row is multiplied by its value.
    /// </summary>
    public ulong Probes;

    /// <summary>Values kept per matrix.</summary>
    public int Rank;

    /// <summary>Columns of the probes.</summary>
    public int Columns;

    /// <summary>Elements from the values of one matrix to those of the next.</summary>
    public int Stride;

    /// <summary>Values at or below this part of the first become 0.</summary>
    public float Tolerance;
}

/// <summary>Arguments of <c>svd_norms</c>: Euclidean norms of rows.</summary>
public struct SvdNormsArgs
{
    /// <summary>Describes <c>svd_norms</c>.</summary>
    public static readonly KernelEntry<SvdNormsArgs> Kernel = new("svd_steps", 256, "svd_norms");

    /// <summary>Device address of the rows, [batch][rows, Length] F32, matrices <see cref="XStride"/> apart.</summary>
    public ulong X;

    /// <summary>Device address of the norms, [rows] F32 per matrix, <see cref="NormStride"/> apart; written.</summary>
    public ulong Norm;

    /// <summary>Elements from the rows of one matrix to those of the next.</summary>
    public long XStride;

    /// <summary>Elements of a row.</summary>
    public int Length;

    /// <summary>Elements from the norms of one matrix to those of the next.</summary>
    public int NormStride;
}

/// <summary>Arguments of <c>svd_signs</c>: signs of pairs of singular vectors made unique.</summary>
public struct SvdSignsArgs
{
    /// <summary>Describes <c>svd_signs</c>.</summary>
    public static readonly KernelEntry<SvdSignsArgs> Kernel = new("svd_steps", 32, "svd_signs");

    /// <summary>Device address of the left vectors, [pairs, LeftLength] F32; updated.</summary>
    public ulong Left;

    /// <summary>
    /// Device address of the right vectors, [pairs, RightLength] F32; updated; their largest entries become positive.
    /// </summary>
    public ulong Right;

    /// <summary>Elements of a left vector.</summary>
    public int LeftLength;

    /// <summary>Elements of a right vector.</summary>
    public int RightLength;
}
