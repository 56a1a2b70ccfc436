using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>LieRA: a multiplicative change of every entry. The published code uses the first order.</summary>
internal sealed class LieraMethod : AdapterMethod
{
    public override string Name => "liera";
    public override string Formula => "W∘(1 + s·B·A), or W∘exp(s·B·A)";
    public override string Source => "Si et al., 2025, arXiv 2504.00851";
    public override string Use =>
        "Changes each entry in proportion to itself, which keeps the structure of the weight. The "
        + "weight is recomputed each step.";
    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            AdapterSetting.Choice(
                "form",
                "First order of the exponential, or the exponential itself.",
                "first-order",
                "exponential"
            ),
        ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        LowRankTerm change = LoraMethod.Term(layer, layer.Rank);
        Expression product = change.Left.MatMul(change.Right, scale: change.Scale);
        return new AdapterForm
        {
            Weight =
                layer.Setting("form") == 0
                    ? layer.Weight.Add(product.Multiply(layer.Weight, Broadcast.PerElement))
                    : product.Exp().Multiply(layer.Weight, Broadcast.PerElement),
        };
    }
}
