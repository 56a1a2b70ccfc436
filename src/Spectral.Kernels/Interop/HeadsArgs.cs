namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>heads.cu</c>, which reorders [batch, position, head] to [batch, head, position] and back.
/// </summary>
public struct HeadsArgs
{
    /// <summary>
    /// The kernels that move heads outside positions, by element type, <c>heads_split_f32</c> and
    /// <c>heads_split_bf16</c>; one warp per position of a sequence.
    /// </summary>
    public static readonly KernelEntry<HeadsArgs> Split = new(
        "heads",
        Launch.RowThreads,
        "heads_split_f32",
        "heads_split_bf16"
    );

    /// <summary>
    /// The kernels that move heads back, by element type, <c>heads_merge_f32</c> and <c>heads_merge_bf16</c>; one warp
    /// per position of a sequence.
    /// </summary>
    public static readonly KernelEntry<HeadsArgs> Merge = new(
        "heads",
        Launch.RowThreads,
        "heads_merge_f32",
        "heads_merge_bf16"
    );

    /// <summary>
    /// Device address of the source, element type of the entry: [Batch · Length, Heads · HeadDim] to split, [Batch,
    /// Heads, Length, HeadDim] to merge. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Source;

    /// <summary>
    /// Device address of the destination, element type of the entry, in the other of the two shapes; written. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Destination;

    /// <summary>Number of sequences in the batch.</summary>
    public int Batch;

    /// <summary>Number of positions of a sequence.</summary>
    public int Length;

    /// <summary>Number of heads in a row.</summary>
    public int Heads;

    /// <summary>Number of elements of one head.</summary>
    public int HeadDim;

    /// <summary>Stride between rows of the two-dimensional side, which has a row per position, in elements.</summary>
    public int MergedStride;
}
