namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>gram_partial</c>: products X Xᵀ of matrices with few long rows, over chunks of columns.
/// </summary>
public struct GramPartialArgs : IBatchArgs
{
    /// <summary>
    /// The kernel <c>gram_partial</c>; one thread per 2 × 2 tile of the lower triangle (grid x), chunk (grid y) and
    /// matrix (grid z).
    /// </summary>
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

    /// <summary>Stride between two matrices, in elements.</summary>
    public long XStride;

    /// <summary>Number of rows of a matrix, the order of its Gram matrix.</summary>
    public int Rows;

    /// <summary>Number of columns of a matrix.</summary>
    public int Columns;

    /// <summary>Number of columns that one partial covers; grid y counts the chunks.</summary>
    public int Chunk;

    void IBatchArgs.Skip(int matrices)
    {
        int chunks = Chunk == 0 ? 1 : Launch.Blocks(Columns, Chunk);
        X = Launch.Skip(X, matrices * XStride);
        Partial = Launch.Skip(Partial, (long)matrices * chunks * Rows * Rows, sizeof(double));
    }
}

/// <summary>Arguments of <c>gram_reduce</c>: partial products added up to Gram matrices.</summary>
public struct GramReduceArgs : IBatchArgs
{
    /// <summary>The kernel <c>gram_reduce</c>; one thread per entry (grid x) and matrix (grid y).</summary>
    public static readonly KernelEntry<GramReduceArgs> Kernel = new("gram", 128, "gram_reduce");

    /// <summary>Device address of the partial products, [batch, Chunks, Rows, Rows] F64, lower triangle.</summary>
    public ulong Partial;

    /// <summary>Device address of the Gram matrices, [batch, Rows, Rows] F64; written.</summary>
    public ulong Gram;

    /// <summary>
    /// Device address of the largest |G − I| of each matrix, as the bits of an F32, <see cref="DeviationStride"/>
    /// apart; raised, never lowered; 0 if it is not wanted.
    /// </summary>
    public ulong Deviation;

    /// <summary>Number of rows, and of columns, of a Gram matrix.</summary>
    public int Rows;

    /// <summary>Number of partial products of each matrix.</summary>
    public int Chunks;

    /// <summary>Stride between the deviation words of two matrices, in words of 4 bytes.</summary>
    public int DeviationStride;

    void IBatchArgs.Skip(int matrices)
    {
        Partial = Launch.Skip(Partial, (long)matrices * Chunks * Rows * Rows, sizeof(double));
        Gram = Launch.Skip(Gram, (long)matrices * Rows * Rows, sizeof(double));
        Deviation = Launch.Skip(Deviation, (long)matrices * DeviationStride, sizeof(int));
    }
}
