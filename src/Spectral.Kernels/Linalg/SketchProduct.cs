using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>Argument of the products in <c>sketch_product.cu</c>.</summary>
[KernelArgs("sketch_product", "sketch_product_nn", "sketch_product_nt", "sketch_product_tn")]
public struct SketchProductArgs
{
    /// <summary>Device address, as in the kernel's contract; D and Parts may be 0.</summary>
    public ulong A;

    /// <summary>Device address, as in the kernel's contract; D and Parts may be 0.</summary>
    public ulong B;

    /// <summary>Device address, as in the kernel's contract; D and Parts may be 0.</summary>
    public ulong C;

    /// <summary>Device address, as in the kernel's contract; D and Parts may be 0.</summary>
    public ulong D;

    /// <summary>Device address, as in the kernel's contract; D and Parts may be 0.</summary>
    public ulong Parts;

    /// <summary>Elements from one matrix to the next, and from one share of C to the next.</summary>
    public long AStride;

    /// <summary>Elements from one matrix to the next, and from one share of C to the next.</summary>
    public long BStride;

    /// <summary>Elements from one matrix to the next, and from one share of C to the next.</summary>
    public long CStride;

    /// <summary>Elements from one matrix to the next, and from one share of C to the next.</summary>
    public long DStride;

    /// <summary>Elements from one matrix to the next, and from one share of C to the next.</summary>
    public long ShareStride;

    /// <summary>Elements from one stored row to the next.</summary>
    public int ARow;

    /// <summary>Elements from one stored row to the next.</summary>
    public int BRow;

    /// <summary>Elements from one stored row to the next.</summary>
    public int CRow;

    /// <summary>Shape of the product, and parts that its inner dimension is divided into.</summary>
    public int M;

    /// <summary>Shape of the product, and parts that its inner dimension is divided into.</summary>
    public int N;

    /// <summary>Shape of the product, and parts that its inner dimension is divided into.</summary>
    public int K;

    /// <summary>Shape of the product, and parts that its inner dimension is divided into.</summary>
    public int Shares;

    /// <summary>Factor of the product.</summary>
    public float Alpha;
}

/// <summary>Small F32 products of a batch: the same bits for a matrix in any batch, and all of it in one launch or two.</summary>
internal static class SketchProduct
{
    private const int Threads = 128;
    private const int Side = 64;
    private const int Depth = 32;
    private const int Stages = 3;
    private const int WantedBlocks = 64;
    private const int FewestSteps = 8;

    /// <summary>C_b = alpha · op(A_b) op(B_b) + D_b. A and B are not both transposed.</summary>
    /// <param name="a">op(A) is [m, k].</param>
    /// <param name="transposeA">Use Aᵀ.</param>
    /// <param name="b">op(B) is [k, n].</param>
    /// <param name="transposeB">Use Bᵀ.</param>
    /// <param name="c">[m, n].</param>
    /// <param name="m">Rows of C.</param>
    /// <param name="n">Columns of C.</param>
    /// <param name="k">Inner dimension.</param>
    /// <param name="batch">Number of matrices.</param>
    /// <param name="alpha">Factor of the product.</param>
    /// <param name="d">[m, n] with C's row length, or null; then also parts must be short of a share: k below 512.</param>
    /// <param name="parts">[batch, 3, m, n] BF16: C once more, split in three; or null.</param>
    public static void Run(
        in Gemm.Operand a,
        bool transposeA,
        in Gemm.Operand b,
        bool transposeB,
        in Gemm.Operand c,
        int m,
        int n,
        int k,
        int batch,
        float alpha = 1,
        Gemm.Operand? d = null,
        Tensor? parts = null
    )
    {
        Device device = c.Tensor.Device;
        int columns = Launch.Blocks(n, Side);
        int rows = Launch.Blocks(m, Side);
        int shares = SketchPass.Shares(columns * rows, Launch.Blocks(k, Depth), WantedBlocks, FewestSteps);
        if (shares > 1 && (d is not null || parts is not null || c.LeadingDimension != n))
        {
            throw new ArgumentException(
                $"a product over {k} elements is divided into {shares}: it takes no addend, no parts and no gaps between rows",
                nameof(k)
            );
        }

        using Tensor? partial = shares > 1 ? Tensor.Empty(device, (shares, batch, m, n)) : null;
        long result = (long)m * n;
        var args = new SketchProductArgs
        {
            A = a.Pointer,
            B = b.Pointer,
            C = partial?.Pointer ?? c.Pointer,
            D = d?.Pointer ?? 0,
            Parts = parts?.Pointer ?? 0,
            AStride = a.Stride,
            BStride = b.Stride,
            CStride = partial is null ? c.Stride : result,
            DStride = d?.Stride ?? 0,
            ShareStride = batch * result,
            ARow = a.LeadingDimension,
            BRow = b.LeadingDimension,
            CRow = c.LeadingDimension,
            M = m,
            N = n,
            K = k,
            Shares = shares,
            Alpha = alpha,
        };
        string entry =
            transposeA ? "sketch_product_tn"
            : transposeB ? "sketch_product_nt"
            : "sketch_product_nn";
        device
            .Kernel("sketch_product", entry)
            .Launch(args, columns, rows * shares, batch, Threads, Stages * 2 * Side * Depth * sizeof(float));
        if (partial is not null)
            SketchPass.Reduce(new Gemm.Operand(partial, 0, n, result), batch * result, shares, c, m * n, batch);
    }
}
