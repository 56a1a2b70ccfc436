namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of the first stage in <c>broadcast_dot.cu</c>: sums of the products x ∘ y along rows or along columns, in
/// chunks.
/// </summary>
public struct BroadcastDotArgs
{
    /// <summary>The kernel <c>broadcast_dot_rows</c>, one sum per row; one warp per row and chunk.</summary>
    public static readonly KernelEntry<BroadcastDotArgs> PerRow = new(
        "broadcast_dot",
        Launch.RowThreads,
        "broadcast_dot_rows"
    );

    /// <summary>The kernel <c>broadcast_dot_columns</c>, one sum per column; one thread per column and chunk.</summary>
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

    /// <summary>Number of rows of x; 1 when everything is summed.</summary>
    public long Rows;

    /// <summary>Number of columns of x, or all elements when everything is summed.</summary>
    public long Columns;

    /// <summary>Number of elements of a sum that one partial covers; along rows a multiple of 4.</summary>
    public long Chunk;

    /// <summary>Number of partial sums of each result.</summary>
    public int Chunks;

    /// <summary>Factor that the finished sums are multiplied by.</summary>
    public float Scale;

    /// <summary>1 to add to the result, 0 to overwrite.</summary>
    public int Accumulate;
}

/// <summary>Arguments of the second stage in <c>broadcast_dot.cu</c>: partial sums added up to results.</summary>
public struct BroadcastDotFinishArgs
{
    /// <summary>The kernel <c>broadcast_dot_finish</c>; one warp per result.</summary>
    public static readonly KernelEntry<BroadcastDotFinishArgs> Kernel = new(
        "broadcast_dot",
        Launch.RowThreads,
        "broadcast_dot_finish"
    );

    /// <summary>Device address of the partial sums, [Results, Chunks] F64.</summary>
    public ulong Partials;

    /// <summary>Device address of the result, [Results] F32; written or added to.</summary>
    public ulong Result;

    /// <summary>Number of results, one per row or column.</summary>
    public int Results;

    /// <summary>Number of partial sums of each result.</summary>
    public int Chunks;

    /// <summary>Factor that the sums are multiplied by.</summary>
    public float Scale;

    /// <summary>1 to add to the result, 0 to overwrite.</summary>
    public int Accumulate;
}
