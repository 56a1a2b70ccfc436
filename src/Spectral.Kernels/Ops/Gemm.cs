namespace Spectral.Kernels.Ops;

/// <summary>
/// Multiplies matrices with cuBLAS (OpenBLAS on the CPU device): <c>C = alpha · op(A) op(B) + beta · C</c>, row-major,
/// F32 or BF16 operands, F32 accumulation, never TF32. C is F32 or has the operands' type.
/// </summary>
/// <example>
/// <code>
/// Gemm.Run(x, Gemm.Transposed(weight), y);                  // y = x Wᵀ
/// Gemm.Run(Gemm.Transposed(dy), x, dWeight, beta: 1);       // dW += dyᵀ x
/// </code>
/// </example>
public static class Gemm
{
    /// <summary>Describes the transpose of a whole tensor; nothing is copied.</summary>
    /// <param name="tensor">The tensor; its last dimension is the columns, all others are rows.</param>
    public static GemmMatrix Transposed(Tensor tensor) => new(tensor, Transposed: true);

    /// <summary>
    /// Multiplies whole tensors: <c>C = alpha · op(A) op(B) + beta · C</c>. The last dimension is the columns, all
    /// others are rows.
    /// </summary>
    /// <param name="a">op(A) is [m, k].</param>
    /// <param name="b">op(B) is [k, n]; same type as <paramref name="a"/>.</param>
    /// <param name="c">
    /// [m, n], F32 or the operands' type; overwritten, or added to when <paramref name="beta"/> is not 0.
    /// </param>
    /// <param name="alpha">Factor of the product.</param>
    /// <param name="beta">Factor of what C holds; with 0 it is not read.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Run(GemmMatrix a, GemmMatrix b, Tensor c, float alpha = 1, float beta = 0)
    {
        (int aRows, int aColumns) = a.Stored(nameof(a));
        (int bRows, int bColumns) = b.Stored(nameof(b));
        (int m, int k) = a.Transposed ? (aColumns, aRows) : (aRows, aColumns);
        (int n, int kOfB) = b.Transposed ? (bRows, bColumns) : (bColumns, bRows);
        if (kOfB != k)
        {
            throw new ArgumentException(
                $"b is {Text(b)}; its inner dimension is {kOfB}, that of a {Text(a)} is {k}",
                nameof(b)
            );
        }

        GemmMatrix result = c;
        if (result.Stored(nameof(c)) != (m, n))
            throw new ArgumentException($"c is {c.Shape}, expected [{m}, {n}]", nameof(c));
        Run(a.Operand(aColumns), b.Operand(bColumns), result.Operand(n), new GemmSize(m, n, k), alpha, beta);
    }

    /// <summary>
    /// Multiplies matrices inside tensors, or a batch of them: <c>C = alpha · op(A) op(B) + beta · C</c>.
    /// </summary>
    /// <param name="a">op(A) is [m, k].</param>
    /// <param name="b">op(B) is [k, n]; same type as <paramref name="a"/>.</param>
    /// <param name="c">
    /// [m, n], F32 or the operands' type; overwritten, or added to when <paramref name="beta"/> is not 0.
    /// </param>
    /// <param name="size">m, n, k and the number of products.</param>
    /// <param name="alpha">Factor of the product.</param>
    /// <param name="beta">Factor of what C holds; with 0 it is not read.</param>
    /// <exception cref="ArgumentException">
    /// A matrix does not fit into its tensor, types or devices differ, C is transposed, or k is 0 while beta is not.
    /// </exception>
    public static void Run(
        in GemmOperand a,
        in GemmOperand b,
        in GemmOperand c,
        in GemmSize size,
        float alpha = 1,
        float beta = 0
    )
    {
        Check.Floating(a.Tensor, name: nameof(a));
        Check.Operand(b.Tensor, a.Tensor, name: nameof(b), likeName: nameof(a));
        if (c.Tensor.DType == DType.F32)
            Check.Operand(c.Tensor, a.Tensor, DType.F32, name: nameof(c));
        else
            Check.Operand(c.Tensor, a.Tensor, name: nameof(c), likeName: nameof(a));
        if (c.Transposed)
            throw new ArgumentException("c is transposed, expected the result as it is stored", nameof(c));
        Fits(a, size.M, size.K, size.Batch, nameof(a));
        Fits(b, size.K, size.N, size.Batch, nameof(b));
        Fits(c, size.M, size.N, size.Batch, nameof(c));
        if (size.M == 0 || size.N == 0 || size.Batch == 0)
            return;
        if (size.K == 0)
        {
            if (beta != 0)
            {
                throw new ArgumentException(
                    "a product over no inner elements with beta other than 0 would only scale c",
                    nameof(size)
                );
            }

            c.Tensor.Clear();
            return;
        }
        a.Tensor.Device.Blas.Gemm(a, b, c, size, alpha, beta);
    }

    private static string Text(in GemmMatrix x) => $"{x.Tensor.Shape}{(x.Transposed ? " transposed" : "")}";

    private static void Fits(in GemmOperand x, int wantedRows, int wantedColumns, int batch, string name)
    {
        (int rows, int columns) = x.Transposed ? (wantedColumns, wantedRows) : (wantedRows, wantedColumns);
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
