namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>permute.cu</c>: an array of four dimensions copied in another order of them.</summary>
public struct PermuteArgs
{
    /// <summary>The kernel <c>permute</c>; one thread per element of y.</summary>
    public static readonly KernelEntry<PermuteArgs> Kernel = new("permute", 256, "permute");

    /// <summary>Device address of x, [Count] F32.</summary>
    public ulong X;

    /// <summary>Device address of y, [Count] F32; written or added to; must not overlap x.</summary>
    public ulong Y;

    /// <summary>Number of elements of x.</summary>
    public long Count;

    /// <summary>Stride of x, in elements, along the first dimension of y.</summary>
    public long Stride0;

    /// <summary>Stride of x, in elements, along the second dimension of y.</summary>
    public long Stride1;

    /// <summary>Stride of x, in elements, along the third dimension of y.</summary>
    public long Stride2;

    /// <summary>Stride of x, in elements, along the last dimension of y.</summary>
    public long Stride3;

    /// <summary>Length of y's second dimension.</summary>
    public int Dim1;

    /// <summary>Length of y's third dimension.</summary>
    public int Dim2;

    /// <summary>Length of y's last dimension.</summary>
    public int Dim3;

    /// <summary>1 to add to y, 0 to overwrite.</summary>
    public int Accumulate;
}
