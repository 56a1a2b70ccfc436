namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of the copying kernels in <c>copy_block.cu</c>: a rectangle copied, with a cast from F32 where types
/// differ.
/// </summary>
public struct CopyBlockArgs
{
    /// <summary>
    /// Describes the kernels that read F32, by the type of the destination: <c>copy_block_f32</c> and
    /// <c>copy_block_bf16</c>.
    /// </summary>
    public static readonly KernelEntry<CopyBlockArgs> FromF32 = new(
        "copy_block",
        Launch.FlatThreads,
        "copy_block_f32",
        "copy_block_bf16"
    );

    /// <summary>Describes <c>copy_block_within_bf16</c>.</summary>
    public static readonly KernelEntry<CopyBlockArgs> WithinBf16 = new(
        "copy_block",
        Launch.FlatThreads,
        "copy_block_within_bf16"
    );

    /// <summary>
    /// Device address of the first element that is copied; its row starts are <see cref="SourceStride"/> apart. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Source;

    /// <summary>
    /// Device address of the first element that is written, in the entry's destination type. 16-byte alignment allows
    /// vector accesses.
    /// </summary>
    public ulong Destination;

    /// <summary>Rows of the rectangle.</summary>
    public int Rows;

    /// <summary>Columns of the rectangle.</summary>
    public int Columns;

    /// <summary>Elements from one row of the source to the next.</summary>
    public int SourceStride;

    /// <summary>Elements from one row of the destination to the next.</summary>
    public int Stride;
}

/// <summary>Arguments of <c>copy_block_add</c>: a rectangle, scaled, added to or written over another.</summary>
public struct CopyBlockAddArgs
{
    /// <summary>Describes <c>copy_block_add</c>.</summary>
    public static readonly KernelEntry<CopyBlockAddArgs> Kernel = new("copy_block", 256, "copy_block_add");

    /// <summary>Device address of the matrix that the rectangle is read from, F32.</summary>
    public ulong Source;

    /// <summary>Device address of the matrix that it is written to, F32.</summary>
    public ulong Destination;

    /// <summary>Element of the source at which the rectangle begins.</summary>
    public long SourceOffset;

    /// <summary>Element of the destination at which the rectangle begins.</summary>
    public long DestinationOffset;

    /// <summary>Rows of the rectangle.</summary>
    public int Rows;

    /// <summary>Columns of the rectangle.</summary>
    public int Columns;

    /// <summary>Elements from one row of the source to the next.</summary>
    public int SourceStride;

    /// <summary>Elements from one row of the destination to the next.</summary>
    public int DestinationStride;

    /// <summary>Factor of the source.</summary>
    public float Scale;

    /// <summary>1: add to what the destination holds; 0: overwrite.</summary>
    public int Accumulate;
}
