namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>small_svd.cu</c>: singular value decompositions of small matrices.</summary>
public struct JacobiSvdArgs
{
    /// <summary>The kernel <c>jacobi_svd</c>; one block per matrix.</summary>
    public static readonly KernelEntry<JacobiSvdArgs> Kernel = new("small_svd", 512, "jacobi_svd")
    {
        StaticSharedBytes = 1024,
        SharedBytesOf = static (in args) => SharedBytes(args.N),
    };

    /// <summary>Device address of the matrices, [batch, N, N] F32.</summary>
    public ulong A;

    /// <summary>Device address of scratch memory, [batch, N, N] F64.</summary>
    public ulong Rotations;

    /// <summary>Device address of the left vectors, [batch, N, N] F32, one per column; written.</summary>
    public ulong Left;

    /// <summary>
    /// Device address of the singular values, [N] F32 per matrix, descending, <see cref="ReportStride"/> apart;
    /// written.
    /// </summary>
    public ulong Values;

    /// <summary>Device address of the right vectors, [batch, N, N] F32, one per row; written.</summary>
    public ulong Right;

    /// <summary>
    /// Device address of the number of sweeps used, one I32 per matrix, <see cref="ReportStride"/> apart; −1 if 30 were
    /// not enough; written.
    /// </summary>
    public ulong Status;

    /// <summary>Number of rows, and of columns, of each matrix, at most 144.</summary>
    public int N;

    /// <summary>
    /// Stride between the values of two matrices, and between their status words, in words of 4 bytes.
    /// </summary>
    public int ReportStride;

    /// <summary>
    /// Computes the dynamic shared memory of a block, in bytes: the matrix in rows of odd length, and four words per
    /// column, in F64.
    /// </summary>
    /// <param name="n">Number of rows, and of columns, of the matrix.</param>
    public static int SharedBytes(int n) => (n * (((n + 7) / 16 * 16) + 8) + (4 * n) + 1) * sizeof(double);
}
