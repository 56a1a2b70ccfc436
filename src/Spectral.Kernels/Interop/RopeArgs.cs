namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>rope.cu</c>: rotary position embedding, which also moves heads outside positions, and its inverse.
/// </summary>
public struct RopeArgs
{
    /// <summary>
    /// The kernels of the forward pass by element type, <c>rope_forward_f32</c> and <c>rope_forward_bf16</c>; one warp
    /// per position of a sequence.
    /// </summary>
    public static readonly KernelEntry<RopeArgs> Forward = new(
        "rope",
        Launch.RowThreads,
        "rope_forward_f32",
        "rope_forward_bf16"
    );

    /// <summary>
    /// The kernels of the backward pass by element type, <c>rope_backward_f32</c> and <c>rope_backward_bf16</c>; one
    /// warp per position of a sequence.
    /// </summary>
    public static readonly KernelEntry<RopeArgs> Backward = new(
        "rope",
        Launch.RowThreads,
        "rope_backward_f32",
        "rope_backward_bf16"
    );

    /// <summary>
    /// Device address of the source, element type of the entry: x [Batch · Length, Heads · HeadDim] forward, dy
    /// [Batch, Heads, Length, HeadDim] backward. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Source;

    /// <summary>
    /// Device address of the cosines, [Positions, Pairs] F32. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Cosine;

    /// <summary>
    /// Device address of the sines, [Positions, Pairs] F32. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Sine;

    /// <summary>
    /// Device address of the position of each sequence's first row, [Batch] I32; 0 if all start at position 0.
    /// </summary>
    public ulong Offsets;

    /// <summary>
    /// Device address of the first position of the record of each position, where positions start again, and of the
    /// one after its last, [Batch, Length, 2] I32; 0 if a sequence is one record.
    /// </summary>
    public ulong Spans;

    /// <summary>
    /// Device address of the destination, element type of the entry: y forward, dx backward, in the other of the two
    /// shapes; written. 16-byte alignment allows vector accesses.
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

    /// <summary>Number of pairs of a head that turn, its first 2 · Pairs elements.</summary>
    public int Pairs;

    /// <summary>1 if the elements of a pair are neighbours; 0 if they are Pairs elements apart.</summary>
    public int Interleaved;

    /// <summary>Number of positions in the tables; a position beyond them gives NaN.</summary>
    public int Positions;

    /// <summary>Stride between rows of x, or dx, in elements.</summary>
    public int MergedStride;

    /// <summary>Factor on the elements of a head that do not turn.</summary>
    public float Rest;
}
