namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>matrix_inverse.cu</c>: inverses of small matrices.</summary>
public struct MatrixInverseArgs
{
    /// <summary>The kernel <c>matrix_inverse</c>; one block per matrix.</summary>
    public static readonly KernelEntry<MatrixInverseArgs> Kernel = new("matrix_inverse", 512, "matrix_inverse")
    {
        SharedBytesOf = static (in args) => SharedBytes(args.N, withMatrix: args.Work == 0),
    };

    /// <summary>The kernel <c>matrix_inverse_small</c>, for matrices up to order 32; one warp per matrix.</summary>
    public static readonly KernelEntry<MatrixInverseArgs> SmallKernel = new(
        "matrix_inverse",
        32,
        "matrix_inverse_small"
    )
    {
        SharedBytesOf = static (in args) => 2 * args.N * (args.N | 1) * sizeof(double) + args.N * sizeof(int),
    };

    /// <summary>Device address of the matrices, [batch, N, N] F32.</summary>
    public ulong X;

    /// <summary>Device address of their inverses, [batch, N, N] F32; written; may be x.</summary>
    public ulong Y;

    /// <summary>
    /// Device address of scratch memory, [batch, N, N | 1] F64; 0 to hold each matrix in shared memory.
    /// </summary>
    public ulong Work;

    /// <summary>Number of rows, and of columns, of each matrix, at most 256.</summary>
    public int N;

    /// <summary>
    /// Computes the dynamic shared memory of a block, in bytes: the pivot's row, its column, and the row it changes
    /// places with (F64), the permutation (I32) and, where it is held there, the matrix in rows of odd length (F64).
    /// </summary>
    /// <param name="n">Number of rows, and of columns, of the matrix.</param>
    /// <param name="withMatrix">Whether the matrix is held in shared memory too.</param>
    public static int SharedBytes(int n, bool withMatrix) =>
        3 * n * sizeof(double) + n * sizeof(int) + (withMatrix ? n * (n | 1) * sizeof(double) : 0);
}
