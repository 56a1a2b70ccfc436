namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>unless_zero.cu</c>: a matrix times a factor, or the identity.</summary>
public struct UnlessZeroArgs
{
    /// <summary>The kernel <c>unless_zero_f32</c>: one thread per entry.</summary>
    public static readonly KernelEntry<UnlessZeroArgs> Kernel = new(
        "unless_zero",
        Launch.FlatThreads,
        "unless_zero_f32"
    );

    /// <summary>Device address of the Gram matrix whose diagonal decides, [N, N] F32.</summary>
    public ulong Gram;

    /// <summary>Device address of the matrix, [N, N] F32.</summary>
    public ulong X;

    /// <summary>Device address of the result, [N, N] F32; written; may be X.</summary>
    public ulong Y;

    /// <summary>Order of the matrices.</summary>
    public int N;

    /// <summary>Factor of the matrix.</summary>
    public float Factor;
}
