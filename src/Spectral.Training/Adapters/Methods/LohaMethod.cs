using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>LoHa. For small r² it runs as a core of rank r², by Khatri-Rao products.</summary>
internal sealed class LohaMethod : AdapterMethod
{
    private const int LargestCore = 64;

    public override string Name => "loha";
    public override string Formula => "W + s·(L1·R1)∘(L2·R2)";
    public override string Source => "Hyeon-Woo et al., 2021, arXiv 2108.06098";
    public override string Use =>
        "A change of rank up to r² from 2r(in + out) numbers. Up to rank 8 it runs on the low-rank "
        + "kernels; above, the weight is recomputed each step.";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Rank(8),
        PeftField.Alpha("alpha", 8),
        PeftField.RankPattern(),
        PeftField.AlphaPattern(),
        .. PeftField.Ignored("rank_dropout", "module_dropout", "use_effective_conv2d"),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        Factor l1 = layer.Trained("hada_w1_a", (layer.Out, rank), Start.KaimingUniform);
        Factor r1 = layer.Trained("hada_w1_b", (rank, layer.In), Start.KaimingUniform);
        Factor l2 = layer.Trained("hada_w2_a", (layer.Out, rank), Start.KaimingUniform);
        Factor r2 = layer.Trained("hada_w2_b", (rank, layer.In));
        if (rank * rank > LargestCore)
        {
            return new AdapterForm
            {
                Weight = layer.Weight.Add(
                    l1.MatMul(r1).Multiply(l2.MatMul(r2), Broadcast.PerElement, layer.Options.Scale)
                ),
            };
        }
        // Column (i, j) of the core's L is column i of L1 times column j of L2, and the same for rows of R.
        Expression left = l1.Repeat(rank)
            .Permute(1, 2, 0)
            .Reshape((layer.Out, rank * rank))
            .Multiply(l2.Tile(1, rank), Broadcast.PerElement);
        Expression right = r1.Repeat(rank)
            .Permute(1, 0, 2)
            .Reshape((rank * rank, layer.In))
            .Multiply(r2.Tile(rank, 1), Broadcast.PerElement);
        return new AdapterForm { Terms = [new(left, right, layer.Options.Scale)] };
    }
}
