namespace Spectral.Kernels.Ops;

/// <summary>
/// Computes one library product whose sums run over columns or rows that lie side by side: first those of the frozen
/// operands, then the low-rank ones.
/// </summary>
internal sealed class LowRankLinearAugmented : LowRankLinearVariant
{
    public override LowRankVariant Kind => LowRankVariant.Augmented;

    public override string Name => "augmented";

    public override bool IsLibrary => false;

    public override string? Refuses(in LowRankCase call) =>
        call.Layout switch
        {
            LowRankLayout.LaidOut => null,
            LowRankLayout.Dropped => "dropout masks a part of its sums",
            _ => "the operands are not laid out for it",
        };

    /// <summary>
    /// Runs the product. The source stands behind x in its rows, and the factor behind W or, for the input gradient,
    /// below it.
    /// </summary>
    public override void Run(in LowRankProduct product)
    {
        LowRankCase call = product.Case;
        Gemm.Run(
            product.X.Operand,
            product.Weight.Dense.Operand with
            {
                Transposed = product.Transposed,
            },
            new(product.Y, 0, Math.Max(1, call.Columns)),
            new GemmSize(call.Rows, call.Columns, call.Depth + call.Rank),
            1,
            product.Accumulate ? 1 : 0
        );
        if (product.Bias is not null)
            AddBias.Run(product.Y, product.Bias);
    }
}
