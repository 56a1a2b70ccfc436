namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>rope.cu</c>: rotary position embedding together with the move of heads to the outside, and its
/// inverse.
/// </summary>
public struct RopeArgs
{
    /// <summary>Describes <c>rope_forward_f32</c> and <c>rope_forward_bf16</c>.</summary>
    public static readonly KernelEntry<RopeArgs> Forward = new(
        "rope",
        Launch.RowThreads,
        "rope_forward_f32",
        "rope_forward_bf16"
    );

    /// <summary>Describes <c>rope_backward_f32</c> and <c>rope_backward_bf16</c>.</summary>
    public static readonly KernelEntry<RopeArgs> Backward = new(
        "rope",
        Launch.RowThreads,
        "rope_backward_f32",
        "rope_backward_bf16"
    );

    /// <summary>
    /// Device address of what is read, element type of the entry: x [Batch · Length, Heads · 2 · Half] forward, dy
    /// [Batch, Heads, Length, 2 · Half] backward. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Source;

    /// <summary>
    /// Device address of the cosines, [Positions, Half] F32. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Cosine;

    /// <summary>Device address of the sines, [Positions, Half] F32. 16-byte alignment allows vector accesses.</summary>
    public ulong Sine;

    /// <summary>Device address of the position of each sequence's first row, [Batch] I32; 0: all start at 0.</summary>
    public ulong Offsets;

    /// <summary>
    /// Device address of what is written, element type of the entry: y forward, dx backward, in the other shape.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Destination;

    /// <summary>Sequences.</summary>
    public int Batch;

    /// <summary>Positions of a sequence.</summary>
    public int Length;

    /// <summary>Heads.</summary>
    public int Heads;

    /// <summary>Half the elements per head.</summary>
    public int Half;

    /// <summary>Positions that the tables have; others give NaN.</summary>
    public int Positions;

    /// <summary>Elements from one row of x, or dx, to the next.</summary>
    public int MergedStride;
}
