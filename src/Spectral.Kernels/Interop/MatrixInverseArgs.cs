namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>matrix_inverse.cu</c>: inverses of small matrices, one block each.</summary>
public struct MatrixInverseArgs
{
    /// <summary>Describes <c>matrix_inverse</c>.</summary>
    public static readonly KernelEntry<MatrixInverseArgs> Kernel = new("matrix_inverse", 512, "matrix_inverse")
    {
        SharedBytesOf = static (in args) => SharedBytes(args.N, withMatrix: args.Work == 0),
    };

    /// <summary>Device address of the matrices, [batch, N, N] F32.</summary>
    public ulong X;

    /// <summary>Device address of their inverses, [batch, N, N] F32; written; may be x.</summary>
    public ulong Y;

    /// <summary>
    /// Device address of scratch memory, [batch, N, N | 1] F64; 0: the matrix is held in shared memory.
    /// </summary>
    public ulong Work;

    /// <summary>Order of the matrices, at most 256.</summary>
    public int N;

    /// <summary>
    /// Dynamic shared memory of a block, in bytes: a row, a column and the row it changes places with (F64), a
    /// permutation (I32) and, where it is held there, the matrix in rows of odd length (F64).
    /// </summary>
    /// <param name="n">Order of the matrix.</param>
    /// <param name="withMatrix">Whether the matrix is held in shared memory too.</param>
    public static int SharedBytes(int n, bool withMatrix) =>
        3 * n * sizeof(double) + n * sizeof(int) + (withMatrix ? n * (n | 1) * sizeof(double) : 0);
}
