using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>DeLoRA: every direction is normalised. Norms below 1e-4 are taken as 1e-4.</summary>
internal sealed class DeloraMethod : AdapterMethod
{
    private const string Norms = "delora_w_norm";
    private const double Floor = 1e-4;

    public override string Name => "delora";
    public override string Formula => "W + B·diag(lambda / (r·|b_i|·|a_i|))·A·diag(|W column|)";
    public override string Source => "Bini et al., 2025, arXiv 2503.18225";
    public override string Use =>
        "Strength (lambda) and directions train separately, and lambda bounds the change, so that "
        + "large learning rates stay stable.";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Rank(8),
        PeftField.RankPattern(),
        PeftField.Bias("delora_only"),
        .. PeftField.Ignored("module_dropout", "lambda_pattern"), // the start of lambda; its value is in the file
    ];
    public override IReadOnlyList<AdapterSetting> Settings =>
        [new("lambda", 15, 0, 1e6, "Start value of lambda.") { PeftKey = "delora_lambda" }];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        Factor b = layer.Trained("delora_B", (layer.Out, rank));
        Factor a = layer.Trained("delora_A", (rank, layer.In), Start.KaimingUniform);
        Expression lengths = a.Norm(Broadcast.PerRow, Floor)
            .Multiply(b.Norm(Broadcast.PerColumn, Floor), Broadcast.PerElement);
        Expression middle = lengths
            .Reciprocal()
            .Multiply(
                layer.Trained("delora_lambda", 1, Start.Of(layer.Setting("lambda"))),
                Broadcast.Single,
                1.0 / rank
            );
        return new AdapterForm { Terms = [new(b, a.ScaleColumns(layer.Frozen(Norms, layer.In))) { Middle = middle }] };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
        {
            WeightNorms.PerColumn(start.Weight, start[Norms]);
            start.Release();
        }
    }
}
