namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of the passes in <c>sketch_pass.cu</c>: BF16 matrices W multiplied by a few vectors at F32 accuracy.
/// </summary>
public struct SketchPassArgs
{
    /// <summary>
    /// The kernel <c>sketch_apply_32</c>: W times up to 32 vectors at a time; one block per 128 rows of W (grid x),
    /// share and group of 32 vectors (grid y), and matrix (grid z).
    /// </summary>
    public static readonly KernelEntry<SketchPassArgs> Apply32 = new("sketch_pass", 256, "sketch_apply_32")
    {
        SharedBytes = 43_008,
    };

    /// <summary>The kernel <c>sketch_apply_96</c>: as <see cref="Apply32"/>, for 96 vectors at a time.</summary>
    public static readonly KernelEntry<SketchPassArgs> Apply96 = new("sketch_pass", 256, "sketch_apply_96")
    {
        SharedBytes = 79_872,
    };

    /// <summary>The kernel <c>sketch_apply_160</c>: as <see cref="Apply32"/>, for 160 vectors at a time.</summary>
    public static readonly KernelEntry<SketchPassArgs> Apply160 = new("sketch_pass", 256, "sketch_apply_160")
    {
        SharedBytes = 77_824,
    };

    /// <summary>
    /// The kernel <c>sketch_apply_transposed_32</c>: Wᵀ times up to 32 vectors at a time; one block per 128 columns of
    /// W (grid x), share and group of 32 vectors (grid y), and matrix (grid z).
    /// </summary>
    public static readonly KernelEntry<SketchPassArgs> ApplyTransposed32 = new(
        "sketch_pass",
        256,
        "sketch_apply_transposed_32"
    )
    {
        SharedBytes = 43_008,
    };

    /// <summary>
    /// The kernel <c>sketch_apply_transposed_96</c>: as <see cref="ApplyTransposed32"/>, for 96 vectors at a time.
    /// </summary>
    public static readonly KernelEntry<SketchPassArgs> ApplyTransposed96 = new(
        "sketch_pass",
        256,
        "sketch_apply_transposed_96"
    )
    {
        SharedBytes = 79_872,
    };

    /// <summary>
    /// The kernel <c>sketch_apply_transposed_160</c>: as <see cref="ApplyTransposed32"/>, for 160 vectors at a time.
    /// </summary>
    public static readonly KernelEntry<SketchPassArgs> ApplyTransposed160 = new(
        "sketch_pass",
        256,
        "sketch_apply_transposed_160"
    )
    {
        SharedBytes = 77_824,
    };

    /// <summary>
    /// Device address of the device addresses of the matrices, [batch] U64; each matrix is [Rows, Columns] BF16.
    /// 16-byte alignment allows vector accesses.
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

    /// <summary>Stride of y, in elements, between two matrices.</summary>
    public long YStride;

    /// <summary>Stride of y, in elements, between two shares.</summary>
    public long ShareStride;

    /// <summary>Number of rows of a matrix.</summary>
    public int Rows;

    /// <summary>Number of columns of a matrix.</summary>
    public int Columns;

    /// <summary>Number of vectors per matrix.</summary>
    public int Vectors;

    /// <summary>
    /// Number of parts that the summed dimension is divided into; grid y counts them times the groups of vectors.
    /// </summary>
    public int Shares;
}

/// <summary>Arguments of <c>sketch_reduce</c>: the partial sums of all shares added up.</summary>
public struct SketchReduceArgs : IBatchArgs
{
    /// <summary>The kernel <c>sketch_reduce</c>; one block per 1024 elements (grid x) and matrix (grid y).</summary>
    public static readonly KernelEntry<SketchReduceArgs> Kernel = new("sketch_pass", 256, "sketch_reduce")
    {
        StaticSharedBytes = 1024,
    };

    /// <summary>Device address of the partial sums, [Shares][batch][Count] F32, with the strides below.</summary>
    public ulong Partial;

    /// <summary>Device address of the sums, [batch][Count] F32; written.</summary>
    public ulong Y;

    /// <summary>
    /// Device address of the largest magnitude of each matrix, as the bits of an F32, <see cref="StatusStride"/> apart;
    /// raised, never lowered; 0 if it is not wanted.
    /// </summary>
    public ulong Status;

    /// <summary>Stride of the partial sums, in elements, between two matrices.</summary>
    public long PartialStride;

    /// <summary>Stride of the partial sums, in elements, between two shares.</summary>
    public long ShareStride;

    /// <summary>Stride of y, in elements, between two matrices.</summary>
    public long YStride;

    /// <summary>Number of elements of one result.</summary>
    public int Count;

    /// <summary>Number of partial sums per element.</summary>
    public int Shares;

    /// <summary>Stride between the status words of two matrices, in words of 4 bytes.</summary>
    public int StatusStride;

    void IBatchArgs.Skip(int matrices)
    {
        Partial = Launch.Skip(Partial, matrices * PartialStride);
        Y = Launch.Skip(Y, matrices * YStride);
        Status = Launch.Skip(Status, (long)matrices * StatusStride, sizeof(int));
    }
}
