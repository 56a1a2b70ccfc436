namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>cholesky_inverse</c>: inverses of the Cholesky factors of small matrices.</summary>
public struct CholeskyInverseArgs
{
    /// <summary>The kernel <c>cholesky_inverse</c>; one block per matrix.</summary>
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

    /// <summary>Number added to the diagonal, after scaling has made it 1.</summary>
    public double Shift;

    /// <summary>Bound that every pivot must exceed.</summary>
    public double LeastPivot;

    /// <summary>Number of rows, and of columns, of each matrix, at most 144.</summary>
    public int N;

    /// <summary>Stride between the status words of two matrices, in words of 4 bytes.</summary>
    public int StatusStride;

    /// <summary>
    /// Computes the dynamic shared memory of a block, in bytes: the matrix in rows of odd length, and its diagonal, in
    /// F64.
    /// </summary>
    /// <param name="n">Number of rows, and of columns, of the matrix.</param>
    public static int SharedBytes(int n) => (n * (n | 1) + 2 * n + 73) * sizeof(double);
}

/// <summary>
/// Arguments of <c>cholesky_scale</c>: one Gram matrix scaled to a unit diagonal, before the solver library factorizes
/// it.
/// </summary>
public struct CholeskyScaleArgs
{
    /// <summary>The kernel <c>cholesky_scale</c>; one thread per row.</summary>
    public static readonly KernelEntry<CholeskyScaleArgs> Kernel = new("cholesky_inverse", 64, "cholesky_scale");

    /// <summary>Device address of the Gram matrix, [N, N] F64.</summary>
    public ulong Gram;

    /// <summary>Device address of the scaled matrix, [N, N] F64; written.</summary>
    public ulong Scaled;

    /// <summary>Number added to the diagonal, after scaling has made it 1.</summary>
    public double Shift;

    /// <summary>Number of rows, and of columns, of the matrix.</summary>
    public int N;
}

/// <summary>
/// Arguments of <c>cholesky_finish</c>: the solver library's inverse factor with the scaling undone, and its status.
/// </summary>
public struct CholeskyFinishArgs
{
    /// <summary>The kernel <c>cholesky_finish</c>; one thread per row.</summary>
    public static readonly KernelEntry<CholeskyFinishArgs> Kernel = new("cholesky_inverse", 64, "cholesky_finish");

    /// <summary>Device address of the Gram matrix, [N, N] F64.</summary>
    public ulong Gram;

    /// <summary>Device address of the solver library's inverse factor of the scaled matrix, [N, N] F64.</summary>
    public ulong FactorInverse;

    /// <summary>Device address of the inverse factor, [N, N] F32, lower triangular; written.</summary>
    public ulong Inverse;

    /// <summary>
    /// Device address of the solver library's status, one I32: the order of the first leading minor that is not
    /// positive definite, or 0.
    /// </summary>
    public ulong Info;

    /// <summary>
    /// Device address of the status word, one I32: 1 + the first pivot that is too small; unchanged on success.
    /// </summary>
    public ulong Status;

    /// <summary>Bound that every pivot must exceed; 0 to rely on the library's status alone.</summary>
    public double LeastPivot;

    /// <summary>Number of rows, and of columns, of the matrix.</summary>
    public int N;
}
