namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of the copying kernels in <c>copy_block.cu</c>: a rectangle of a matrix copied, and cast where the types
/// differ.
/// </summary>
public struct CopyBlockArgs
{
    /// <summary>
    /// The kernels that read F32, by the type that they write: <c>copy_block_f32</c> and <c>copy_block_bf16</c>; one
    /// thread per 16 bytes of a destination row.
    /// </summary>
    public static readonly KernelEntry<CopyBlockArgs> FromF32 = new(
        "copy_block",
        Launch.FlatThreads,
        "copy_block_f32",
        "copy_block_bf16"
    );

    /// <summary>
    /// The kernel that reads and writes BF16, <c>copy_block_within_bf16</c>; one thread per 16 bytes of a destination
    /// row.
    /// </summary>
    public static readonly KernelEntry<CopyBlockArgs> WithinBf16 = new(
        "copy_block",
        Launch.FlatThreads,
        "copy_block_within_bf16"
    );

    /// <summary>
    /// Device address of the first element to copy, F32 or BF16 as the entry reads, rows <see cref="SourceStride"/>
    /// apart. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Source;

    /// <summary>
    /// Device address of the first element to write, F32 or BF16 as the entry writes, rows <see cref="Stride"/> apart.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Destination;

    /// <summary>Number of rows of the rectangle.</summary>
    public int Rows;

    /// <summary>Number of columns of the rectangle.</summary>
    public int Columns;

    /// <summary>Stride between rows of the source, in elements.</summary>
    public int SourceStride;

    /// <summary>Stride between rows of the destination, in elements.</summary>
    public int Stride;
}

/// <summary>
/// Arguments of <c>copy_block_add</c>: a rectangle of one matrix, times a factor, added to or written over one of
/// another matrix.
/// </summary>
public struct CopyBlockAddArgs
{
    /// <summary>The kernel <c>copy_block_add</c>; one thread per element of the rectangle.</summary>
    public static readonly KernelEntry<CopyBlockAddArgs> Kernel = new("copy_block", 256, "copy_block_add");

    /// <summary>Device address of the matrix to read from, F32.</summary>
    public ulong Source;

    /// <summary>Device address of the matrix to write to, F32.</summary>
    public ulong Destination;

    /// <summary>Offset of the rectangle's first element in the source, in elements.</summary>
    public long SourceOffset;

    /// <summary>Offset of the rectangle's first element in the destination, in elements.</summary>
    public long DestinationOffset;

    /// <summary>Number of rows of the rectangle.</summary>
    public int Rows;

    /// <summary>Number of columns of the rectangle.</summary>
    public int Columns;

    /// <summary>Stride between rows of the source, in elements.</summary>
    public int SourceStride;

    /// <summary>Stride between rows of the destination, in elements.</summary>
    public int DestinationStride;

    /// <summary>Factor that the source is multiplied by.</summary>
    public float Scale;

    /// <summary>1 to add to the destination, 0 to overwrite.</summary>
    public int Accumulate;
}
