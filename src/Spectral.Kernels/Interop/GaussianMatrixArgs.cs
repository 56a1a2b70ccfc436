namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>gaussian_matrix.cu</c>: random test vectors for a batch of matrices.</summary>
public struct GaussianMatrixArgs
{
    /// <summary>Describes <c>gaussian_matrix</c>.</summary>
    public static readonly KernelEntry<GaussianMatrixArgs> Kernel = new("gaussian_matrix", 256, "gaussian_matrix");

    /// <summary>Device address of the vectors, [batch, Vectors, Length] F32, one per row; written.</summary>
    public ulong Y;

    /// <summary>
    /// Device address of the vectors split into three BF16 parts, [batch, 3, Vectors, Length]; 0: not wanted.
    /// </summary>
    public ulong Parts;

    /// <summary>Device address of the generator's stream of each matrix, [batch] U64.</summary>
    public ulong Streams;

    /// <summary>Key of the Philox generator.</summary>
    public ulong Seed;

    /// <summary>Vectors per matrix.</summary>
    public int Vectors;

    /// <summary>Elements of a vector.</summary>
    public int Length;
}
