namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>cholesky_inverse</c>: inverse Cholesky factors of small matrices, one block each.</summary>
public struct CholeskyInverseArgs
{
    /// <summary>Describes <c>cholesky_inverse</c>.</summary>
    public static readonly KernelEntry<CholeskyInverseArgs> Kernel = new("cholesky_inverse", 512, "cholesky_inverse")
    {
        SharedBytesOf = static (in args) => SharedBytes(args.N),
    };

    /// <summary>Device address of the Gram matrices, [batch, N, N] F64.</summary>
    public ulong Gram;

    /// <summary>Device address of the inverse factors, [batch, N, N] F32, lower triangular; written.</summary>
    public ulong Inverse;

    /// <summary>
    /// Device address of the status words, I32, <see cref="StatusStride"/> apart: 1 + the first pivot that is too
    /// small; unchanged on success.
    /// </summary>
    public ulong Status;

    /// <summary>Added to the diagonal after scaling has made it 1.</summary>
    public double Shift;

    /// <summary>A pivot must exceed this.</summary>
    public double LeastPivot;

    /// <summary>Order of the matrices, at most 144.</summary>
    public int N;

    /// <summary>Words (4 bytes) from one matrix's status to the next.</summary>
    public int StatusStride;

    /// <summary>
    /// Dynamic shared memory of a block, in bytes: the matrix in rows of odd length, and its diagonal, in F64.
    /// </summary>
    /// <param name="n">Order of the matrix.</param>
    public static int SharedBytes(int n) => (n * (n | 1) + n) * sizeof(double);
}

/// <summary>
/// Arguments of <c>cholesky_scale</c>: one Gram matrix scaled to a unit diagonal, for the library's factorization.
/// </summary>
public struct CholeskyScaleArgs
{
    /// <summary>Describes <c>cholesky_scale</c>.</summary>
    public static readonly KernelEntry<CholeskyScaleArgs> Kernel = new("cholesky_inverse", 64, "cholesky_scale");

    /// <summary>Device address of the Gram matrix, [N, N] F64.</summary>
    public ulong Gram;

    /// <summary>Device address of the scaled matrix, [N, N] F64; written.</summary>
    public ulong Scaled;

    /// <summary>Added to the diagonal after scaling has made it 1.</summary>
    public double Shift;

    /// <summary>Order of the matrix.</summary>
    public int N;
}

/// <summary>Arguments of <c>cholesky_finish</c>: the library's inverse factor scaled back, and its status.</summary>
public struct CholeskyFinishArgs
{
    /// <summary>Describes <c>cholesky_finish</c>.</summary>
    public static readonly KernelEntry<CholeskyFinishArgs> Kernel = new("cholesky_inverse", 64, "cholesky_finish");

    /// <summary>Device address of the Gram matrix, [N, N] F64.</summary>
    public ulong Gram;

    /// <summary>Device address of the library's inverse factor of the scaled matrix, [N, N] F64.</summary>
    public ulong FactorInverse;

    /// <summary>Device address of the inverse factor, [N, N] F32, lower triangular; written.</summary>
    public ulong Inverse;

    /// <summary>
    /// Device address of the library's status, one I32: the first minor that is not positive definite, or 0.
    /// </summary>
    public ulong Info;

    /// <summary>
    /// Device address of the status word, one I32: 1 + the first pivot that is too small; unchanged on success.
    /// </summary>
    public ulong Status;

    /// <summary>A pivot must exceed this; 0: the library's verdict is enough.</summary>
    public double LeastPivot;

    /// <summary>Order of the matrix.</summary>
    public int N;
}
