namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>broadcast_multiply.cu</c>: <c>z[i, j] = scale · x[i, j] · v[i · RowStride + j · ColumnStride] (+
/// z)</c>.
/// </summary>
public struct BroadcastMultiplyArgs
{
    /// <summary>The kernel <c>broadcast_multiply</c>; one thread per 4 elements of x.</summary>
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
    /// Device address of v, F32: one element per row, one per column, one per element, or a single one, depending on
    /// the strides.
    /// </summary>
    public ulong V;

    /// <summary>Device address of z, F32, the shape of x; may be x. 16-byte alignment allows vector accesses.</summary>
    public ulong Z;

    /// <summary>Number of elements of x.</summary>
    public long Count;

    /// <summary>Stride of v, in elements, between two rows of x; 0 where all rows share an element.</summary>
    public long RowStride;

    /// <summary>Stride of v, in elements, between two columns of x; 0 where all columns share an element.</summary>
    public int ColumnStride;

    /// <summary>Number of columns of x.</summary>
    public int Columns;

    /// <summary>Factor that the products are multiplied by.</summary>
    public float Scale;

    /// <summary>1 to add to z, 0 to overwrite.</summary>
    public int Accumulate;
}
