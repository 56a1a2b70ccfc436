namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>gaussian_matrix.cu</c>: random test vectors for a batch of matrices.</summary>
public struct GaussianMatrixArgs : IBatchArgs
{
    /// <summary>
    /// The kernel <c>gaussian_matrix</c>; one thread per index of a vector and 4 vectors (grid x), and matrix (grid
    /// y).
    /// </summary>
    public static readonly KernelEntry<GaussianMatrixArgs> Kernel = new("gaussian_matrix", 256, "gaussian_matrix");

    /// <summary>Device address of the vectors, [batch, Vectors, Length] F32, one per row; written.</summary>
    public ulong Y;

    /// <summary>
    /// Device address of the vectors split into three BF16 parts, [batch, 3, Vectors, Length]; written; 0 if they are
    /// not wanted.
    /// </summary>
    public ulong Parts;

    /// <summary>Device address of the number of each matrix's stream of the generator, [batch] U64.</summary>
    public ulong Streams;

    /// <summary>Key of the Philox generator, the seed.</summary>
    public ulong Seed;

    /// <summary>Number of vectors per matrix.</summary>
    public int Vectors;

    /// <summary>Number of elements of a vector.</summary>
    public int Length;

    void IBatchArgs.Skip(int matrices)
    {
        Y = Launch.Skip(Y, (long)matrices * Vectors * Length);
        Parts = Launch.Skip(Parts, 3L * matrices * Vectors * Length, sizeof(ushort));
        Streams = Launch.Skip(Streams, matrices, sizeof(ulong));
    }
}
