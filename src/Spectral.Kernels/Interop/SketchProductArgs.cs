namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>sketch_product.cu</c>: <c>C = α op(A) op(B) + D</c>, batched, F32.</summary>
public struct SketchProductArgs
{
    /// <summary>Describes <c>sketch_product_nn</c>: A B.</summary>
    public static readonly KernelEntry<SketchProductArgs> Plain = new("sketch_product", 128, "sketch_product_nn")
    {
        SharedBytes = 49_152,
    };

    /// <summary>Describes <c>sketch_product_nt</c>: A Bᵀ.</summary>
    public static readonly KernelEntry<SketchProductArgs> TransposedB = new("sketch_product", 128, "sketch_product_nt")
    {
        SharedBytes = 49_152,
    };

    /// <summary>Describes <c>sketch_product_tn</c>: Aᵀ B.</summary>
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
    /// Device address of C, [M, N] F32, rows <see cref="CRow"/> apart; written; with more than one share the partial
    /// sums.
    /// </summary>
    public ulong C;

    /// <summary>Device address of D, the layout of C; 0: none.</summary>
    public ulong D;

    /// <summary>Device address of C split into three BF16 parts, [batch, 3, M, N]; written; 0: not wanted.</summary>
    public ulong Parts;

    /// <summary>Elements from one A to the next.</summary>
    public long AStride;

    /// <summary>Elements from one B to the next.</summary>
    public long BStride;

    /// <summary>Elements from one C to the next.</summary>
    public long CStride;

    /// <summary>Elements from one D to the next.</summary>
    public long DStride;

    /// <summary>Elements from one share of C to the next.</summary>
    public long ShareStride;

    /// <summary>Elements from one stored row of A to the next.</summary>
    public int ARow;

    /// <summary>Elements from one stored row of B to the next.</summary>
    public int BRow;

    /// <summary>Elements from one row of C, and of D, to the next.</summary>
    public int CRow;

    /// <summary>Rows of C.</summary>
    public int M;

    /// <summary>Columns of C.</summary>
    public int N;

    /// <summary>Length of the sums.</summary>
    public int K;

    /// <summary>Parts that the sums are divided into; grid y counts them times the tiles of rows.</summary>
    public int Shares;

    /// <summary>Factor of the product.</summary>
    public float Alpha;
}
