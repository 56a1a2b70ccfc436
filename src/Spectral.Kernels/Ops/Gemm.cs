namespace Spectral.Kernels.Ops;

/// <summary>
/// Matrix products by cuBLAS (OpenBLAS on the CPU device): <c>C = alpha · op(A) op(B) + beta · C</c>, row-major, F32 or
/// BF16 operands, F32
/// accumulation, never TF32. C is F32 or of the operands' type.
/// </summary>
public static class Gemm
{
    /// <summary>
    /// A matrix inside a tensor: where it begins, the elements from one row to the next, and from one of a batch to the
    /// next.
    /// </summary>
    public readonly record struct Operand(Tensor Tensor, long Offset, int LeadingDimension, long Stride = 0)
    {
        internal ulong Pointer => Tensor.Pointer + (ulong)(Offset * Tensor.DType.Size());
    }

    /// <summary>The product of whole tensors; the last dimension is the columns, all others are rows.</summary>
    /// <param name="a">[m, k], or [k, m] when transposed.</param>
    /// <param name="transposeA">Use Aᵀ.</param>
    /// <param name="b">[k, n], or [n, k] when transposed.</param>
    /// <param name="transposeB">Use Bᵀ.</param>
    /// <param name="c">[m, n]; overwritten, or added to when <paramref name="beta"/> is not 0.</param>
    /// <param name="alpha">Factor of the product.</param>
    /// <param name="beta">Factor of what C holds; with 0 it is not read.</param>
    /// <exception cref="ArgumentException">Shapes or types do not fit.</exception>
    public static void Run(
        Tensor a,
        bool transposeA,
        Tensor b,
        bool transposeB,
        Tensor c,
        float alpha = 1,
        float beta = 0
    )
    {
        (int aRows, int aColumns) = Flat(a, nameof(a));
        (int bRows, int bColumns) = Flat(b, nameof(b));
        (int m, int k) = transposeA ? (aColumns, aRows) : (aRows, aColumns);
        (int n, int kOfB) = transposeB ? (bRows, bColumns) : (bColumns, bRows);
        if (kOfB != k)
        {
            throw new ArgumentException(
                $"b is {b.Shape}{(transposeB ? " transposed" : "")}; its inner dimension is {kOfB}, that "
                    + $"of a {a.Shape}{(transposeA ? " transposed" : "")} is {k}",
                nameof(b)
            );
        }

        if (Flat(c, nameof(c)) != (m, n))
            throw new ArgumentException($"c is {c.Shape}, expected [{m}, {n}]", nameof(c));
        Run(
            new Operand(a, 0, Math.Max(1, aColumns)),
            transposeA,
            new Operand(b, 0, Math.Max(1, bColumns)),
            transposeB,
            new Operand(c, 0, Math.Max(1, n)),
            m,
            n,
            k,
            alpha,
            beta
        );
    }

    /// <summary>The product of matrices inside tensors, or of a batch of them a fixed stride apart.</summary>
    /// <inheritdoc cref="Run(Tensor, bool, Tensor, bool, Tensor, float, float)"/>
    public static void Run(
        in Operand a,
        bool transposeA,
        in Operand b,
        bool transposeB,
        in Operand c,
        int m,
        int n,
        int k,
        float alpha = 1,
        float beta = 0,
        int batch = 1
    )
    {
        Check.Floating(a.Tensor, nameof(a));
        Check.SameDType(a.Tensor, nameof(a), b.Tensor, nameof(b));
        if (c.Tensor.DType != DType.F32)
            Check.SameDType(a.Tensor, nameof(a), c.Tensor, nameof(c));
        Check.SameDevice(a.Tensor.Device, b.Tensor, nameof(b));
        Check.SameDevice(a.Tensor.Device, c.Tensor, nameof(c));
        Fits(a, transposeA ? k : m, transposeA ? m : k, batch, nameof(a));
        Fits(b, transposeB ? n : k, transposeB ? k : n, batch, nameof(b));
        Fits(c, m, n, batch, nameof(c));
        if (m == 0 || n == 0 || batch == 0)
            return;
        if (k == 0)
        {
            if (beta != 0)
            {
                throw new ArgumentException(
                    "a product over no inner elements with beta other than 0 would only scale c",
                    nameof(k)
                );
            }

            c.Tensor.Clear();
            return;
        }
        a.Tensor.Device.Blas.Gemm(a, transposeA, b, transposeB, c, m, n, k, alpha, beta, batch);
    }

    private static (int Rows, int Columns) Flat(Tensor tensor, string name)
    {
        if (tensor.Shape.Rank == 0)
            throw new ArgumentException($"{name} is a scalar, expected a matrix", name);
        int columns = tensor.Dim(tensor.Shape.Rank - 1);
        return (columns == 0 ? tensor.Dim(0) : checked((int)(tensor.Count / columns)), columns);
    }

    private static void Fits(in Operand x, int rows, int columns, int batch, string name)
    {
        if (rows == 0 || columns == 0 || batch == 0)
            return;
        long last = x.Offset + (batch - 1L) * x.Stride + (rows - 1L) * x.LeadingDimension + columns;
        if (x.Offset < 0 || x.Stride < 0 || x.LeadingDimension < columns || last > x.Tensor.Count)
        {
            throw new ArgumentException(
                $"{name}: {batch} × [{rows}, {columns}] at offset {x.Offset} with leading dimension "
                    + $"{x.LeadingDimension} and stride {x.Stride} does not fit into {x.Tensor.Shape}",
                name
            );
        }
    }
}
