namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>embedding.cu</c>: rows of a gradient summed by token id.</summary>
public struct EmbeddingBackwardArgs
{
    /// <summary>Describes <c>embedding_backward_f32</c> and <c>embedding_backward_bf16</c>.</summary>
    public static readonly KernelEntry<EmbeddingBackwardArgs> Kernel = new(
        "embedding",
        Launch.RowThreads,
        "embedding_backward_f32",
        "embedding_backward_bf16"
    );

    /// <summary>
    /// Device address of the gradient of the looked-up rows, [Positions, Columns], element type of the entry. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Dy;

    /// <summary>Device address of the positions sorted by id, ties in order, [Positions] I32.</summary>
    public ulong Order;

    /// <summary>Device address of where each id begins in <see cref="Order"/>, [Unique + 1] I32.</summary>
    public ulong Segments;

    /// <summary>Device address of the ids that occur, each once, [Unique] I32.</summary>
    public ulong Ids;

    /// <summary>
    /// Device address of the gradient of the table, [Vocabulary, Columns] F32; rows of other ids are left as they are.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong DTable;

    /// <summary>Rows of dy.</summary>
    public int Positions;

    /// <summary>Different ids.</summary>
    public int Unique;

    /// <summary>Elements of a row.</summary>
    public int Columns;

    /// <summary>Rows of the table.</summary>
    public int Vocabulary;

    /// <summary>1: add to what the gradient holds; 0: overwrite.</summary>
    public int Accumulate;
}
