using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Linalg;

/// <summary>
/// Computes small F32 products of a batch in one launch or two; a matrix gets the same bits in any batch.
/// </summary>
internal static class SketchProduct
{
    private const int Side = 64;
    private const int Depth = 32;
    private const int WantedBlocks = 64;
    private const int FewestSteps = 8;

    /// <summary>Computes C_b = alpha · op(A_b) op(B_b) + D_b. A and B are not both transposed.</summary>
    /// <param name="a">op(A) is [m, k].</param>
    /// <param name="b">op(B) is [k, n].</param>
    /// <param name="c">[m, n].</param>
    /// <param name="size">m, n, k and the number of matrices.</param>
    /// <param name="alpha">Factor of the product.</param>
    /// <param name="d">[m, n] with the row length of C, or null. An addend and parts are possible only where the sum is
    /// not divided, which is certain for k below 512.</param>
    /// <param name="parts">[batch, 3, m, n] BF16: C once more, split in three; or null.</param>
    public static void Run(
        in GemmOperand a,
        in GemmOperand b,
        in GemmOperand c,
        in GemmSize size,
        float alpha = 1,
        GemmOperand? d = null,
        Tensor? parts = null
    )
    {
        (int m, int n, int k, int batch) = size;
        Device device = c.Tensor.Device;
        int columns = Launch.Blocks(n, Side);
        int rows = Launch.Blocks(m, Side);
        int shares = SketchPass.Shares(columns * rows, Launch.Blocks(k, Depth), WantedBlocks, FewestSteps);
        if (shares > 1 && (d is not null || parts is not null || c.LeadingDimension != n))
        {
            throw new ArgumentException(
                $"a product over {k} elements is divided into {shares}: it takes no addend, no parts and "
                    + "no gaps between rows",
                nameof(size)
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
        KernelEntry<SketchProductArgs> entry = (a.Transposed, b.Transposed) switch
        {
            (true, _) => SketchProductArgs.TransposedA,
            (false, true) => SketchProductArgs.TransposedB,
            (false, false) => SketchProductArgs.Plain,
        };
        Launch.Batch(entry, device, args, (columns, rows * shares, batch));
        if (partial is not null)
            SketchPass.Reduce(new GemmOperand(partial, 0, n, result), batch * result, shares, c, m * n, batch);
    }
}
