using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>Asymmetry: only B trains; A has frozen random orthonormal rows.</summary>
internal sealed class AsymmetryMethod : AdapterMethod
{
    public override string Name => "asymmetry";
    public override string Formula => "W + (alpha/rank)·B·A, A frozen at random orthonormal rows";
    public override string Source => "Zhu et al., 2024, arXiv 2402.16842";
    public override string Use =>
        "As lora-fa, but with orthonormal rows of A: half of LoRA's parameters and tighter bounds on "
        + "generalization.";
    public override string PeftType => AdapterConfig.Lora;

    public override AdapterForm Form(AdapterBuilder layer) =>
        new()
        {
            Terms =
            [
                new(
                    LoraMethod.Left(layer, layer.RankWithin(layer.In)),
                    layer.Frozen(LoraNames.A, (layer.Rank, layer.In), Start.OrthonormalRows),
                    layer.Options.Scale
                ),
            ],
        };
}
