namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>permute.cu</c>: four dimensions in another order.</summary>
public struct PermuteArgs
{
    /// <summary>Describes <c>permute</c>.</summary>
    public static readonly KernelEntry<PermuteArgs> Kernel = new("permute", 256, "permute");

    /// <summary>Device address of x, [Count] F32.</summary>
    public ulong X;

    /// <summary>Device address of y, [Count] F32; must not overlap x.</summary>
    public ulong Y;

    /// <summary>Elements of x.</summary>
    public long Count;

    /// <summary>Elements of x from one index of y's first dimension to the next.</summary>
    public long Stride0;

    /// <summary>Elements of x from one index of y's second dimension to the next.</summary>
    public long Stride1;

    /// <summary>Elements of x from one index of y's third dimension to the next.</summary>
    public long Stride2;

    /// <summary>Elements of x from one index of y's last dimension to the next.</summary>
    public long Stride3;

    /// <summary>Length of y's second dimension.</summary>
    public int Dim1;

    /// <summary>Length of y's third dimension.</summary>
    public int Dim2;

    /// <summary>Length of y's last dimension.</summary>
    public int Dim3;

    /// <summary>1: add to what y holds; 0: overwrite.</summary>
    public int Accumulate;
}
