namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of the passes in <c>sketch_pass.cu</c>: BF16 matrices times a few vectors at F32 accuracy.
/// </summary>
public struct SketchPassArgs
{
    /// <summary>Describes <c>sketch_apply_32</c>.</summary>
    public static readonly KernelEntry<SketchPassArgs> Apply32 = new("sketch_pass", 256, "sketch_apply_32")
    {
        SharedBytes = 43_008,
    };

    /// <summary>Describes <c>sketch_apply_96</c>.</summary>
    public static readonly KernelEntry<SketchPassArgs> Apply96 = new("sketch_pass", 256, "sketch_apply_96")
    {
        SharedBytes = 79_872,
    };

    /// <summary>Describes <c>sketch_apply_160</c>.</summary>
    public static readonly KernelEntry<SketchPassArgs> Apply160 = new("sketch_pass", 256, "sketch_apply_160")
    {
        SharedBytes = 77_824,
    };

    /// <summary>Describes <c>sketch_apply_transposed_32</c>.</summary>
    public static readonly KernelEntry<SketchPassArgs> ApplyTransposed32 = new(
        "sketch_pass",
        256,
        "sketch_apply_transposed_32"
    )
    {
        SharedBytes = 43_008,
    };

    /// <summary>Describes <c>sketch_apply_transposed_96</c>.</summary>
    public static readonly KernelEntry<SketchPassArgs> ApplyTransposed96 = new(
        "sketch_pass",
        256,
        "sketch_apply_transposed_96"
    )
    {
        SharedBytes = 79_872,
    };

    /// <summary>Describes <c>sketch_apply_transposed_160</c>.</summary>
    public static readonly KernelEntry<SketchPassArgs> ApplyTransposed160 = new(
        "sketch_pass",
        256,
        "sketch_apply_transposed_160"
    )
    {
        SharedBytes = 77_824,
    };

    /// <summary>
    /// Device address of the addresses of the matrices, [batch] U64; each [Rows, Columns] BF16. 16-byte alignment
    /// allows vector accesses.
    /// </summary>
    public ulong Matrices;

    /// <summary>
    /// Device address of the vectors split into three BF16 parts, [batch, 3, Vectors, summed dimension]. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Parts;

    /// <summary>
    /// Device address of the result, or with more than one share the partial sums, [Shares, batch, Vectors, other
    /// dimension] F32; written.
    /// </summary>
    public ulong Y;

    /// <summary>Elements of y from one matrix to the next.</summary>
    public long YStride;

    /// <summary>Elements of y from one share to the next.</summary>
    public long ShareStride;

    /// <summary>Rows of a matrix.</summary>
    public int Rows;

    /// <summary>Columns of a matrix.</summary>
    public int Columns;

    /// <summary>Vectors per matrix.</summary>
    public int Vectors;

    /// <summary>
    /// Parts that the summed dimension is divided into; grid y counts them times the groups of vectors.
    /// </summary>
    public int Shares;
}

/// <summary>Arguments of <c>sketch_reduce</c>: the shares' partial sums added up.</summary>
public struct SketchReduceArgs
{
    /// <summary>Describes <c>sketch_reduce</c>.</summary>
    public static readonly KernelEntry<SketchReduceArgs> Kernel = new("sketch_pass", 256, "sketch_reduce");

    /// <summary>Device address of the partial sums, F32.</summary>
    public ulong Partial;

    /// <summary>Device address of the sums, [batch][Count] F32; written.</summary>
    public ulong Y;

    /// <summary>
    /// Device address of the largest magnitude of each matrix, as the bits of an F32, <see cref="StatusStride"/> apart;
    /// raised, never lowered; 0: not wanted.
    /// </summary>
    public ulong Status;

    /// <summary>Elements of the partial sums from one matrix to the next.</summary>
    public long PartialStride;

    /// <summary>Elements of the partial sums from one share to the next.</summary>
    public long ShareStride;

    /// <summary>Elements of y from one matrix to the next.</summary>
    public long YStride;

    /// <summary>Elements of one result.</summary>
    public int Count;

    /// <summary>Partial sums per element.</summary>
    public int Shares;

    /// <summary>Words (4 bytes) from one matrix's status to the next.</summary>
    public int StatusStride;
}
