namespace Spectral.Kernels.Interop;

/// <summary>Arguments of the first stage in <c>reductions.cu</c>: sums, or sums of squares, over chunks.</summary>
public struct ReductionsPartialArgs
{
    /// <summary>Describes <c>reductions_sum</c>.</summary>
    public static readonly KernelEntry<ReductionsPartialArgs> Sum = new(
        "reductions",
        Launch.RowThreads,
        "reductions_sum"
    );

    /// <summary>Describes <c>reductions_squares</c>.</summary>
    public static readonly KernelEntry<ReductionsPartialArgs> Squares = new(
        "reductions",
        Launch.RowThreads,
        "reductions_squares"
    );

    /// <summary>Device address of x, [Count] F32. 16-byte alignment allows vector accesses.</summary>
    public ulong X;

    /// <summary>Device address of the partial sums, one F64 per chunk; written.</summary>
    public ulong Partials;

    /// <summary>Elements of x.</summary>
    public long Count;

    /// <summary>Elements that one partial covers, a multiple of 4.</summary>
    public long Chunk;
}

/// <summary>Arguments of <c>reductions_finish</c>: the partial sums added up.</summary>
public struct ReductionsFinishArgs
{
    /// <summary>Describes <c>reductions_finish</c>.</summary>
    public static readonly KernelEntry<ReductionsFinishArgs> Kernel = new("reductions", 256, "reductions_finish");

    /// <summary>Device address of the partial sums, [Count] F64.</summary>
    public ulong Partials;

    /// <summary>Device address of the result, one F32; written.</summary>
    public ulong Result;

    /// <summary>Partial sums.</summary>
    public int Count;

    /// <summary>1: the square root of the sum; 0: the sum.</summary>
    public int Root;
}
