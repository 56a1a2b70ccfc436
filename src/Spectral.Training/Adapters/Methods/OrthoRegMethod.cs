using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// OrthoReg: a LoRA with a penalty that pulls its change towards an orthogonal matrix. ‖ΔWᵀΔW − I‖_F² = s⁴ tr(GHGH) −
/// 2s² tr(GH) + in with the r×r matrices G = BᵀB and H = AAᵀ. For out &lt; in, ΔWΔWᵀ is used instead, which changes
/// only the constant.
/// </summary>
internal sealed class OrthoRegMethod : AdapterMethod
{
    public override string Name => "orthoreg";
    public override string Formula => "W + (alpha/rank)·B·A, loss + lambda·‖ΔWᵀΔW - I‖²";
    public override string Source => "Liu et al., 2026, arXiv 2604.17078";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "For adapters that are to be added up: orthogonal changes interfere less. The penalty costs "
        + "r×r products once per step.";
    public override string PeftType => AdapterConfig.Lora;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [new("lambda", 1e-4, 0, 1e6, "Weight of the penalty.")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        LowRankTerm term = LoraMethod.Term(layer, layer.Rank);
        return new AdapterForm { Terms = [term], Penalty = ChangeOrthogonality(term).Scale(layer.Setting("lambda")) };
    }

    /// <summary>Returns the penalty s⁴ tr(GHGH) − 2s² tr(GH); [1].</summary>
    internal static Expression ChangeOrthogonality(LowRankTerm term)
    {
        Expression left = term.Left.MatMul(term.Left, transposeA: true);
        Expression right = term.Right.MatMul(term.Right, transposeB: true);
        Expression product = left.MatMul(right);
        double squared = term.Scale * term.Scale;
        return product.Dot(product.Transpose()).Add(left.Dot(right), squared * squared, -2 * squared);
    }
}
