namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>sketch_product.cu</c>: <c>C = α op(A) op(B) + D</c> for a batch of F32 matrices.</summary>
public struct SketchProductArgs : IBatchArgs
{
    /// <summary>
    /// The kernel for A B, <c>sketch_product_nn</c>; one block per 64 columns of C (grid x), 64 rows and share (grid
    /// y), and matrix (grid z).
    /// </summary>
    public static readonly KernelEntry<SketchProductArgs> Plain = new("sketch_product", 128, "sketch_product_nn")
    {
        SharedBytes = 49_152,
    };

    /// <summary>The kernel for A Bᵀ, <c>sketch_product_nt</c>; the grid of <see cref="Plain"/>.</summary>
    public static readonly KernelEntry<SketchProductArgs> TransposedB = new("sketch_product", 128, "sketch_product_nt")
    {
        SharedBytes = 49_152,
    };

    /// <summary>The kernel for Aᵀ B, <c>sketch_product_tn</c>; the grid of <see cref="Plain"/>.</summary>
    public static readonly KernelEntry<SketchProductArgs> TransposedA = new("sketch_product", 128, "sketch_product_tn")
    {
        SharedBytes = 49_152,
    };

    /// <summary>
    /// Device address of A, F32, op(A) [M, K], rows as stored <see cref="ARow"/> apart. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong A;

    /// <summary>
    /// Device address of B, F32, op(B) [K, N], rows as stored <see cref="BRow"/> apart. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong B;

    /// <summary>
    /// Device address of C, [M, N] F32, rows <see cref="CRow"/> apart; written; with more than one share, the partial
    /// sums of each.
    /// </summary>
    public ulong C;

    /// <summary>Device address of D, with the layout of C; 0 for none.</summary>
    public ulong D;

    /// <summary>
    /// Device address of C split into three BF16 parts, [batch, 3, M, N]; written; 0 if they are not wanted.
    /// </summary>
    public ulong Parts;

    /// <summary>Stride between two matrices A of the batch, in elements.</summary>
    public long AStride;

    /// <summary>Stride between two matrices B of the batch, in elements.</summary>
    public long BStride;

    /// <summary>Stride between two matrices C of the batch, in elements.</summary>
    public long CStride;

    /// <summary>Stride between two matrices D of the batch, in elements.</summary>
    public long DStride;

    /// <summary>Stride between two shares of C, in elements.</summary>
    public long ShareStride;

    /// <summary>Stride between the rows of A as stored, in elements.</summary>
    public int ARow;

    /// <summary>Stride between the rows of B as stored, in elements.</summary>
    public int BRow;

    /// <summary>Stride between rows of C, and of D, in elements.</summary>
    public int CRow;

    /// <summary>Number of rows of C.</summary>
    public int M;

    /// <summary>Number of columns of C.</summary>
    public int N;

    /// <summary>Number of columns of op(A), and of rows of op(B).</summary>
    public int K;

    /// <summary>Number of parts that the sums are divided into; grid y counts them times the tiles of rows.</summary>
    public int Shares;

    /// <summary>Factor α that the product is multiplied by.</summary>
    public float Alpha;

    void IBatchArgs.Skip(int matrices)
    {
        A = Launch.Skip(A, matrices * AStride);
        B = Launch.Skip(B, matrices * BStride);
        C = Launch.Skip(C, matrices * CStride);
        D = Launch.Skip(D, matrices * DStride);
        Parts = Launch.Skip(Parts, 3L * matrices * M * N, sizeof(ushort));
    }
}
