using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>Asymmetry: B alone trains, against random orthonormal rows of A.</summary>
internal sealed class AsymmetryMethod : AdapterMethod
{
    public override string Name => "asymmetry";
    public override string Formula => "W + (alpha/rank)·B·A, A frozen at random orthonormal rows";
    public override string Source => "Zhu et al., 2024, arXiv 2402.16842";
    public override string Use =>
        "As lora-fa, with rows of norm 1 that share no direction: B alone decides, with half of LoRA's "
        + "parameters and tighter bounds on generalization.";
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
