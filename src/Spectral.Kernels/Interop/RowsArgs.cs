namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>rows.cu</c>: rows taken from a matrix by index, or put back.</summary>
public struct RowsArgs
{
    /// <summary>Describes <c>rows_gather_f32</c> and <c>rows_gather_bf16</c>.</summary>
    public static readonly KernelEntry<RowsArgs> Gather = new(
        "rows",
        Launch.RowThreads,
        "rows_gather_f32",
        "rows_gather_bf16"
    );

    /// <summary>Describes <c>rows_scatter_f32</c> and <c>rows_scatter_bf16</c>.</summary>
    public static readonly KernelEntry<RowsArgs> Scatter = new(
        "rows",
        Launch.RowThreads,
        "rows_scatter_f32",
        "rows_scatter_bf16"
    );

    /// <summary>
    /// Device address of what is read, element type of the entry: [Rows, Columns] to gather, [Count, Columns] to
    /// scatter. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Source;

    /// <summary>
    /// Device address of the row of each of <see cref="Count"/> rows, [Count] I32; distinct to scatter.
    /// </summary>
    public ulong Index;

    /// <summary>
    /// Device address of what is written, element type of the entry: [Count, Columns] to gather, [Rows, Columns] to
    /// scatter. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Destination;

    /// <summary>Rows of the large matrix.</summary>
    public int Rows;

    /// <summary>Rows that are moved.</summary>
    public int Count;

    /// <summary>Elements of a row.</summary>
    public int Columns;
}
