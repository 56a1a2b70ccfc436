namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>embedding.cu</c>: the gradient of the embedding table, rows of dy summed by token id.
/// </summary>
public struct EmbeddingBackwardArgs
{
    /// <summary>
    /// The kernels by the type of dy, <c>embedding_backward_f32</c> and <c>embedding_backward_bf16</c>; one warp per
    /// id.
    /// </summary>
    public static readonly KernelEntry<EmbeddingBackwardArgs> Kernel = new(
        "embedding",
        Launch.RowThreads,
        "embedding_backward_f32",
        "embedding_backward_bf16"
    );

    /// <summary>
    /// Device address of dy, the gradient of the looked-up rows, [Positions, Columns], element type of the entry.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Dy;

    /// <summary>Device address of the positions sorted by id, ties in order, [Positions] I32.</summary>
    public ulong Order;

    /// <summary>Device address of the index in <see cref="Order"/> at which each id begins, [Unique + 1] I32.</summary>
    public ulong Segments;

    /// <summary>Device address of the ids that occur, each once, [Unique] I32.</summary>
    public ulong Ids;

    /// <summary>
    /// Device address of the gradient of the table, [Vocabulary, Columns] F32; rows of ids that do not occur are left
    /// unchanged. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong DTable;

    /// <summary>Number of rows of dy.</summary>
    public int Positions;

    /// <summary>Number of different ids.</summary>
    public int Unique;

    /// <summary>Number of elements of a row.</summary>
    public int Columns;

    /// <summary>Number of rows of the table.</summary>
    public int Vocabulary;

    /// <summary>1 to add to the gradient, 0 to overwrite.</summary>
    public int Accumulate;
}
