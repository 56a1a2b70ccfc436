namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>broadcast_multiply.cu</c>: <c>z[i, j] = scale · x[i, j] · v[i · RowStride + j · ColumnStride] (+
/// z)</c>.
/// </summary>
public struct BroadcastMultiplyArgs
{
    /// <summary>Describes <c>broadcast_multiply</c>.</summary>
    public static readonly KernelEntry<BroadcastMultiplyArgs> Kernel = new(
        "broadcast_multiply",
        Launch.FlatThreads,
        "broadcast_multiply"
    );

    /// <summary>
    /// Device address of x, [Count / Columns, Columns] F32. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of v, F32: one element per row, per column, per element, or one in all, as the strides say.
    /// </summary>
    public ulong V;

    /// <summary>Device address of z, F32, the shape of x; may be x. 16-byte alignment allows vector accesses.</summary>
    public ulong Z;

    /// <summary>Elements of x.</summary>
    public long Count;

    /// <summary>Elements of v from one row of x to the next.</summary>
    public long RowStride;

    /// <summary>Elements of v from one column of x to the next.</summary>
    public int ColumnStride;

    /// <summary>Columns of x.</summary>
    public int Columns;

    /// <summary>Factor of the products.</summary>
    public float Scale;

    /// <summary>1: add to what z holds; 0: overwrite.</summary>
    public int Accumulate;
}
