using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// GraLoRA: each pair of an input block and an output block has its own LoRA of rank r/k. Together they form a core of
/// rank k·r.
/// </summary>
internal sealed class GraloraMethod : AdapterMethod
{
    private const string Blocks = "blocks";
    private const string Hybrid = "hybrid-rank";

    public override string Name => "gralora";
    public override string Formula => "W + (alpha/rank)·ΔW, block (i, j) of ΔW of k×k being B_i,j·A_j,i of rank r/k";
    public override string Source => "Jung et al., 2025, arXiv 2505.20355";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Rank(32),
        PeftField.Alpha("alpha", 64),
        PeftField.Dropout("gralora_dropout"),
        PeftField.Bias("gralora_only"),
        PeftField.FanInFanOut,
        PeftField.Start("init_weights"),
    ];
    public override string Use =>
        "The parameters of LoRA at k times its rank and k times its cost: for ranks where LoRA stops improving.";

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            AdapterSetting.Whole(
                Blocks,
                2,
                1,
                64,
                "Number k of blocks per side, a divisor of rank, inputs and outputs."
            ) with
            {
                PeftKey = "gralora_k",
            },
            AdapterSetting.Whole(Hybrid, 0, 0, 256, "Rank of an additional plain LoRA.") with
            {
                PeftKey = "hybrid_r",
            },
        ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        int k = (int)layer.Setting(Blocks);
        int hybrid = (int)layer.Setting(Hybrid);
        int wide = layer.In / k;
        int tall = layer.Out / k;
        if (rank % k != 0 || layer.In % k != 0 || layer.Out % k != 0)
        {
            throw new InputException(
                $"rank {rank} and [{layer.Out}, {layer.In}] for {layer.Module.Name}: gralora cuts each "
                    + $"into {k} blocks, expected multiples of {k}"
            );
        }

        double scale = layer.Options.Scale * rank / (rank + hybrid);
        // A's columns are indexed by (output block, piece), its rows in the core by (input block, output block, piece),
        // and B's columns by (output block, input block, piece).
        Expression right = layer
            .Trained("gralora_A", (k, wide, rank), Start.Uniform(1 / Math.Sqrt(wide)))
            .Transpose()
            .BlockDiagonal()
            .Reshape((k, k, rank / k * layer.In))
            .Permute(1, 0, 2)
            .Reshape((k * rank, layer.In));
        Expression left = layer.Trained("gralora_B", (k, rank, tall)).Transpose().BlockDiagonal();
        var term = new LowRankTerm(left, right, scale);
        if (hybrid == 0)
            return new AdapterForm { Terms = [term] };
        Factor general = layer.Trained("gralora_A_general.weight", (hybrid, layer.In), Start.KaimingUniform);
        return new AdapterForm
        {
            Terms = [term, new(layer.Trained("gralora_B_general.weight", (layer.Out, hybrid)), general, scale)],
        };
    }
}
