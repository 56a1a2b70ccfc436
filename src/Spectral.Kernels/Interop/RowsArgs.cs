namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>rows.cu</c>: rows of a matrix gathered by index, or scattered back.</summary>
public struct RowsArgs
{
    /// <summary>
    /// The kernels that gather, by element type, <c>rows_gather_f32</c> and <c>rows_gather_bf16</c>; one warp per row
    /// moved.
    /// </summary>
    public static readonly KernelEntry<RowsArgs> Gather = new(
        "rows",
        Launch.RowThreads,
        "rows_gather_f32",
        "rows_gather_bf16"
    );

    /// <summary>
    /// The kernels that scatter, by element type, <c>rows_scatter_f32</c> and <c>rows_scatter_bf16</c>; one warp per
    /// row moved.
    /// </summary>
    public static readonly KernelEntry<RowsArgs> Scatter = new(
        "rows",
        Launch.RowThreads,
        "rows_scatter_f32",
        "rows_scatter_bf16"
    );

    /// <summary>
    /// Device address of the source, element type of the entry: [Rows, Columns] to gather, [Count, Columns] to scatter.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Source;

    /// <summary>
    /// Device address of the row of the large matrix that each of the moved rows belongs to, [Count] I32; all different
    /// to scatter.
    /// </summary>
    public ulong Index;

    /// <summary>
    /// Device address of the destination, element type of the entry: [Count, Columns] to gather, [Rows, Columns] to
    /// scatter; written. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Destination;

    /// <summary>Number of rows of the large matrix.</summary>
    public int Rows;

    /// <summary>Number of rows that are moved.</summary>
    public int Count;

    /// <summary>Number of elements of a row.</summary>
    public int Columns;
}
