namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>heads.cu</c>: heads moved outside the sequence, and back.</summary>
public struct HeadsArgs
{
    /// <summary>Describes <c>heads_split_f32</c> and <c>heads_split_bf16</c>.</summary>
    public static readonly KernelEntry<HeadsArgs> Split = new(
        "heads",
        Launch.RowThreads,
        "heads_split_f32",
        "heads_split_bf16"
    );

    /// <summary>Describes <c>heads_merge_f32</c> and <c>heads_merge_bf16</c>.</summary>
    public static readonly KernelEntry<HeadsArgs> Merge = new(
        "heads",
        Launch.RowThreads,
        "heads_merge_f32",
        "heads_merge_bf16"
    );

    /// <summary>
    /// Device address of what is read, element type of the entry: [Batch · Length, Heads · HeadDim] to split, [Batch,
    /// Heads, Length, HeadDim] to merge. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Source;

    /// <summary>
    /// Device address of what is written, element type of the entry, in the other shape. 16-byte alignment allows
    /// vector accesses.
    /// </summary>
    public ulong Destination;

    /// <summary>Sequences.</summary>
    public int Batch;

    /// <summary>Positions of a sequence.</summary>
    public int Length;

    /// <summary>Heads.</summary>
    public int Heads;

    /// <summary>Elements per head.</summary>
    public int HeadDim;

    /// <summary>Elements from one row to the next of the side that has a row per position.</summary>
    public int MergedStride;
}
