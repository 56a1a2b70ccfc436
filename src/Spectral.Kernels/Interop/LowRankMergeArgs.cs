namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>low_rank_merge.cu</c>: <c>destination = weight + scale · left · diag(middle) · right</c>.
/// </summary>
public struct LowRankMergeArgs
{
    /// <summary>
    /// The kernels by element type: <c>low_rank_merge_f32</c>, one thread per 16 bytes (grid y) of 4 rows (grid x), and
    /// <c>low_rank_merge_bf16</c>, a block for each 128 rows (grid x) of 64 columns (grid y).
    /// </summary>
    public static readonly KernelEntry<LowRankMergeArgs> Kernel = new(
        "low_rank_merge",
        128,
        "low_rank_merge_f32",
        "low_rank_merge_bf16"
    );

    /// <summary>
    /// The kernel for F32 factors and a BF16 weight, <c>low_rank_merge_f32_into_bf16</c>; the grid of
    /// <c>low_rank_merge_bf16</c>.
    /// </summary>
    public static readonly KernelEntry<LowRankMergeArgs> F32IntoBf16 = new(
        "low_rank_merge",
        128,
        "low_rank_merge_f32_into_bf16"
    );

    /// <summary>
    /// Device address of the weight, [Rows, Columns], element type of the entry. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Weight;

    /// <summary>Device address of the left factor, [Rows, Rank], F32 or the element type of the entry.</summary>
    public ulong Left;

    /// <summary>Device address of the middle diagonal, [Rank] F32; 0 for ones.</summary>
    public ulong Middle;

    /// <summary>
    /// Device address of the right factor, [Rank, Columns], the type of the left factor. 16-byte alignment allows
    /// vector accesses.
    /// </summary>
    public ulong Right;

    /// <summary>
    /// Device address of the result, [Rows, Columns], the type of the weight; written; may be the weight. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Destination;

    /// <summary>Number of rows of the weight.</summary>
    public int Rows;

    /// <summary>Number of columns of the weight.</summary>
    public int Columns;

    /// <summary>Rank of the update, the columns of the left factor.</summary>
    public int Rank;

    /// <summary>Factor that the update is multiplied by.</summary>
    public float Scale;
}
