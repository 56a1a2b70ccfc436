namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>gram_partial</c>: products of a few long rows, over chunks of columns.</summary>
public struct GramPartialArgs
{
    /// <summary>Describes <c>gram_partial</c>.</summary>
    public static readonly KernelEntry<GramPartialArgs> Kernel = new("gram", 64, "gram_partial");

    /// <summary>
    /// Device address of the matrices, [Rows, Columns] F32 each, <see cref="XStride"/> apart. 16-byte alignment allows
    /// vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of the partial products, [batch, chunks, Rows, Rows] F64, lower triangle; written.
    /// </summary>
    public ulong Partial;

    /// <summary>Elements from one matrix to the next.</summary>
    public long XStride;

    /// <summary>Rows of a matrix, the order of its Gram matrix.</summary>
    public int Rows;

    /// <summary>Columns of a matrix.</summary>
    public int Columns;

    /// <summary>Columns that one partial covers; grid y counts the chunks.</summary>
    public int Chunk;
}

/// <summary>Arguments of <c>gram_reduce</c>: the partial products added up.</summary>
public struct GramReduceArgs
{
    /// <summary>Describes <c>gram_reduce</c>.</summary>
    public static readonly KernelEntry<GramReduceArgs> Kernel = new("gram", 128, "gram_reduce");

    /// <summary>Device address of the partial products, [batch, Chunks, Rows, Rows] F64, lower triangle.</summary>
    public ulong Partial;

    /// <summary>Device address of the Gram matrices, [batch, Rows, Rows] F64; written.</summary>
    public ulong Gram;

    /// <summary>
    /// Device address of the largest |G − I| of each matrix, as the bits of an F32, <see cref="DeviationStride"/>
    /// apart; raised, never lowered; 0: not wanted.
    /// </summary>
    public ulong Deviation;

    /// <summary>Order of a Gram matrix.</summary>
    public int Rows;

    /// <summary>Partials per matrix.</summary>
    public int Chunks;

    /// <summary>Words (4 bytes) from one matrix's deviation to the next.</summary>
    public int DeviationStride;
}
