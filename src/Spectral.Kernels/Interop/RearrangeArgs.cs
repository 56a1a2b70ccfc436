namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>rearrange_forward</c>: elements of x gathered by a table of indices.</summary>
public struct RearrangeForwardArgs
{
    /// <summary>The kernel <c>rearrange_forward</c>; one thread per element of y.</summary>
    public static readonly KernelEntry<RearrangeForwardArgs> Kernel = new(
        "rearrange",
        Launch.FlatThreads,
        "rearrange_forward"
    );

    /// <summary>Device address of x, F32; every index lies in it.</summary>
    public ulong X;

    /// <summary>
    /// Device address of the index in x of each element of y, [Count] I32; −1 for an element that is 0.
    /// </summary>
    public ulong Index;

    /// <summary>Device address of the factor of each element of y, [Count] F32; 0 for ones.</summary>
    public ulong Factors;

    /// <summary>Device address of y, [Count] F32; written; must not overlap x.</summary>
    public ulong Y;

    /// <summary>Number of elements of y.</summary>
    public long Count;
}

/// <summary>Arguments of the backward kernels in <c>rearrange.cu</c>: gradients summed for each element of x.</summary>
public struct RearrangeBackwardArgs
{
    /// <summary>The kernel with a thread for each element of dx, <c>rearrange_backward</c>.</summary>
    public static readonly KernelEntry<RearrangeBackwardArgs> Short = new(
        "rearrange",
        Launch.FlatThreads,
        "rearrange_backward"
    );

    /// <summary>The kernel with a warp for each element of dx, <c>rearrange_backward_long</c>.</summary>
    public static readonly KernelEntry<RearrangeBackwardArgs> Long = new(
        "rearrange",
        Launch.RowThreads,
        "rearrange_backward_long"
    );

    /// <summary>Device address of dy, the gradient of y, F32.</summary>
    public ulong Dy;

    /// <summary>
    /// Device address of the index in <see cref="Entries"/> at which the entries of each element of dx begin, [Sources
    /// + 1] I32.
    /// </summary>
    public ulong Offsets;

    /// <summary>
    /// Device address of the indices in dy of the elements that each element of x was copied to, ascending, I32.
    /// </summary>
    public ulong Entries;

    /// <summary>Device address of the factor of each element of y, F32; 0 for ones.</summary>
    public ulong Factors;

    /// <summary>Device address of dx, the gradient of x, [Sources] F32; written or added to.</summary>
    public ulong Dx;

    /// <summary>Number of elements of dx.</summary>
    public int Sources;

    /// <summary>1 to add to dx, 0 to overwrite.</summary>
    public int Accumulate;
}
