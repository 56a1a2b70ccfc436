namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>sylvester.cu</c>: the middle of a Sylvester equation.</summary>
public struct SylvesterArgs
{
    /// <summary>The kernel <c>sylvester_f32</c>: one thread per entry.</summary>
    public static readonly KernelEntry<SylvesterArgs> Kernel = new("sylvester", Launch.FlatThreads, "sylvester_f32");

    /// <summary>Device address of the right-hand side in the bases of the eigenvectors, [N, N] F32.</summary>
    public ulong T;

    /// <summary>Device address of the eigenvalues of A, [N] F32, 0 or more.</summary>
    public ulong A;

    /// <summary>Device address of the eigenvalues of B, [N] F32, 0 or more.</summary>
    public ulong B;

    /// <summary>Device address of the solution in the same bases, [N, N] F32; written; may be T.</summary>
    public ulong Y;

    /// <summary>Order of the matrices.</summary>
    public int N;
}
