namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of the first stage in <c>broadcast_dot.cu</c>: sums of products along rows or columns, in chunks.
/// </summary>
public struct BroadcastDotArgs
{
    /// <summary>Describes <c>broadcast_dot_rows</c>.</summary>
    public static readonly KernelEntry<BroadcastDotArgs> PerRow = new(
        "broadcast_dot",
        Launch.RowThreads,
        "broadcast_dot_rows"
    );

    /// <summary>Describes <c>broadcast_dot_columns</c>.</summary>
    public static readonly KernelEntry<BroadcastDotArgs> PerColumn = new(
        "broadcast_dot",
        Launch.FlatThreads,
        "broadcast_dot_columns"
    );

    /// <summary>Device address of x, [Rows, Columns] F32. 16-byte alignment allows vector accesses.</summary>
    public ulong X;

    /// <summary>Device address of y, [Rows, Columns] F32; may be x. 16-byte alignment allows vector accesses.</summary>
    public ulong Y;

    /// <summary>
    /// Device address of the partial sums, [sums, Chunks] F64; 0 when one chunk covers a sum and the result is written
    /// directly.
    /// </summary>
    public ulong Partials;

    /// <summary>
    /// Device address of the result, one F32 per row or column; used when <see cref="Partials"/> is 0.
    /// </summary>
    public ulong Result;

    /// <summary>Rows of x; 1 when everything is summed.</summary>
    public long Rows;

    /// <summary>Columns of x, or all elements when everything is summed.</summary>
    public long Columns;

    /// <summary>Elements of a sum that one partial covers; along rows a multiple of 4.</summary>
    public long Chunk;

    /// <summary>Partials per sum.</summary>
    public int Chunks;

    /// <summary>Factor of the finished sums.</summary>
    public float Scale;

    /// <summary>1: add to what the result holds; 0: overwrite.</summary>
    public int Accumulate;
}

/// <summary>Arguments of the second stage in <c>broadcast_dot.cu</c>: the partial sums added up.</summary>
public struct BroadcastDotFinishArgs
{
    /// <summary>Describes <c>broadcast_dot_finish</c>.</summary>
    public static readonly KernelEntry<BroadcastDotFinishArgs> Kernel = new(
        "broadcast_dot",
        Launch.RowThreads,
        "broadcast_dot_finish"
    );

    /// <summary>Device address of the partial sums, [Results, Chunks] F64.</summary>
    public ulong Partials;

    /// <summary>Device address of the result, [Results] F32.</summary>
    public ulong Result;

    /// <summary>Number of sums.</summary>
    public int Results;

    /// <summary>Partials per sum.</summary>
    public int Chunks;

    /// <summary>Factor of the sums.</summary>
    public float Scale;

    /// <summary>1: add to what the result holds; 0: overwrite.</summary>
    public int Accumulate;
}
