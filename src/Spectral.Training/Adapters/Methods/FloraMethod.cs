using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>FLoRA for linear layers.</summary>
internal sealed class FloraMethod : AdapterMethod
{
    public override string Name => "flora";
    public override string Formula => "W + (alpha/rank)·B·C·A, C [r, r] trained from zero";
    public override string Source => "Si et al., 2024, arXiv 2405.14739";
    public override string Use => "The matrix case of a Tucker decomposition. Neither outer factor starts at zero.";
    public override IReadOnlyList<AdapterSetting> Settings =>
        [new("scale", 0, 0, 1e6, "Factor of the change instead of alpha/rank; 0: alpha/rank.")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        Expression left = layer
            .Trained("flora_B", (layer.Out, rank), Start.Normal(0.02))
            .MatMul(layer.Trained("flora_core", (rank, rank)));
        double scale = layer.Setting("scale") is > 0 and var given ? given : layer.Options.Scale;
        Factor right = layer.Trained("flora_A", (rank, layer.In), Start.Normal(0.02));
        return new AdapterForm { Terms = [new(left, right, scale)] };
    }
}
