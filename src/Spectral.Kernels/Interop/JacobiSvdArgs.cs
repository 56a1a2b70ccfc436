namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>small_svd.cu</c>: singular value decompositions of small matrices, one block each.
/// </summary>
public struct JacobiSvdArgs
{
    /// <summary>Describes <c>jacobi_svd</c>.</summary>
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
    /// Device address of the sweeps used, one I32 per matrix, <see cref="ReportStride"/> apart; −1: 30 were not enough;
    /// written.
    /// </summary>
    public ulong Status;

    /// <summary>Order of the matrices, at most 144.</summary>
    public int N;

    /// <summary>Words (4 bytes) from one matrix's values, and status, to the next's.</summary>
    public int ReportStride;

    /// <summary>
    /// Dynamic shared memory of a block, in bytes: the matrix in rows of odd length and four words per column, in F64.
    /// </summary>
    /// <param name="n">Order of the matrix.</param>
    public static int SharedBytes(int n) => (n * (n | 1) + 4 * n + 1) * sizeof(double);
}
