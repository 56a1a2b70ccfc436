namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of the first stage in <c>reductions.cu</c>: sums, or sums of squares, of chunks of an array.
/// </summary>
public struct ReductionsPartialArgs
{
    /// <summary>The kernel that sums elements, <c>reductions_sum</c>; one warp per chunk.</summary>
    public static readonly KernelEntry<ReductionsPartialArgs> Sum = new(
        "reductions",
        Launch.RowThreads,
        "reductions_sum"
    );

    /// <summary>The kernel that sums squares, <c>reductions_squares</c>; one warp per chunk.</summary>
    public static readonly KernelEntry<ReductionsPartialArgs> Squares = new(
        "reductions",
        Launch.RowThreads,
        "reductions_squares"
    );

    /// <summary>Device address of x, [Count] F32. 16-byte alignment allows vector accesses.</summary>
    public ulong X;

    /// <summary>Device address of the partial sums, one F64 per chunk; written.</summary>
    public ulong Partials;

    /// <summary>Number of elements of x.</summary>
    public long Count;

    /// <summary>Number of elements that one partial covers, a multiple of 4.</summary>
    public long Chunk;
}

/// <summary>Arguments of <c>reductions_finish</c>: partial sums added up to one number.</summary>
public struct ReductionsFinishArgs
{
    /// <summary>The kernel <c>reductions_finish</c>; one block.</summary>
    public static readonly KernelEntry<ReductionsFinishArgs> Kernel = new("reductions", 256, "reductions_finish")
    {
        StaticSharedBytes = 256,
    };

    /// <summary>Device address of the partial sums, [Count] F64.</summary>
    public ulong Partials;

    /// <summary>Device address of the result, one F32; written.</summary>
    public ulong Result;

    /// <summary>Number of partial sums.</summary>
    public int Count;

    /// <summary>1 for the square root of the sum, 0 for the sum itself.</summary>
    public int Root;
}
