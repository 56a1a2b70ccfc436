namespace Spectral.Kernels.Ops;

/// <summary>
/// Computes two library products, the second added to the first (beta = 1), and one more pass over y for a bias.
/// </summary>
/// <param name="kind">A: frozen product first. B: low-rank product first, so that the pass that reads y again is the
/// one that reads W anyway.</param>
/// <param name="name">As reports have it.</param>
internal sealed class LowRankLinearComposed(LowRankVariant kind, string name) : LowRankLinearVariant
{
    public override LowRankVariant Kind => kind;

    public override string Name => name;

    public override bool IsLibrary => true;

    public override void Run(in LowRankProduct product)
    {
        float beta = product.Accumulate ? 1 : 0;
        bool frozenFirst = kind == LowRankVariant.ComposedA;
        LowRankCase call = product.Case;
        var y = new GemmOperand(product.Y, 0, call.Columns);
        if (frozenFirst)
            Frozen(product, beta);
        Gemm.Run(
            product.Source.Operand,
            product.Factor.Operand with
            {
                Transposed = product.Transposed,
            },
            y,
            new GemmSize(call.Rows, call.Columns, call.Rank),
            product.Scale,
            frozenFirst ? 1 : beta
        );
        if (!frozenFirst)
            Frozen(product, 1);
        if (product.Bias is not null)
            AddBias.Run(product.Y, product.Bias);
    }

    private static void Frozen(in LowRankProduct product, float beta)
    {
        if (product.Transposed)
            FrozenProduct.Forward(product.X, product.Weight, product.Y, beta);
        else
            FrozenProduct.InputGradient(product.X, product.Weight, product.Y, beta);
    }
}
