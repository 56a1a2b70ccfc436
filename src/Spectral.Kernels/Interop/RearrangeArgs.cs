namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>rearrange_forward</c>: elements taken by a table of indices.</summary>
public struct RearrangeForwardArgs
{
    /// <summary>Describes <c>rearrange_forward</c>.</summary>
    public static readonly KernelEntry<RearrangeForwardArgs> Kernel = new(
        "rearrange",
        Launch.FlatThreads,
        "rearrange_forward"
    );

    /// <summary>Device address of x, F32.</summary>
    public ulong X;

    /// <summary>Device address of the index into x of each element, [Count] I32; −1 gives 0.</summary>
    public ulong Index;

    /// <summary>Device address of the factor of each element, [Count] F32; 0: ones.</summary>
    public ulong Factors;

    /// <summary>Device address of y, [Count] F32; written; must not overlap x.</summary>
    public ulong Y;

    /// <summary>Elements of y.</summary>
    public long Count;
}

/// <summary>Arguments of the backward kernels in <c>rearrange.cu</c>: gradients summed by source.</summary>
public struct RearrangeBackwardArgs
{
    /// <summary>Describes the kernel with a thread for each source, <c>rearrange_backward</c>.</summary>
    public static readonly KernelEntry<RearrangeBackwardArgs> Short = new(
        "rearrange",
        Launch.FlatThreads,
        "rearrange_backward"
    );

    /// <summary>Describes the kernel with a warp for each source, <c>rearrange_backward_long</c>.</summary>
    public static readonly KernelEntry<RearrangeBackwardArgs> Long = new(
        "rearrange",
        Launch.RowThreads,
        "rearrange_backward_long"
    );

    /// <summary>Device address of dy, F32.</summary>
    public ulong Dy;

    /// <summary>Device address of where each source's entries begin, [Sources + 1] I32.</summary>
    public ulong Offsets;

    /// <summary>Device address of the elements that were taken of each source, in ascending order, I32.</summary>
    public ulong Entries;

    /// <summary>Device address of the factor of each element of y, F32; 0: ones.</summary>
    public ulong Factors;

    /// <summary>Device address of dx, [Sources] F32.</summary>
    public ulong Dx;

    /// <summary>Elements of dx.</summary>
    public int Sources;

    /// <summary>1: add to what dx holds; 0: overwrite.</summary>
    public int Accumulate;
}
