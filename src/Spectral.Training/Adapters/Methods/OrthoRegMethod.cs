using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// OrthoReg: a LoRA whose change is pressed towards an orthogonal matrix. ‖ΔWᵀΔW − I‖_F² = s⁴ tr(GHGH) − 2s² tr(GH) +
/// in with the r×r matrices G = BᵀB and H = AAᵀ; for out &lt; in, ΔWΔWᵀ takes its place, which changes the constant
/// alone.
/// </summary>
internal sealed class OrthoRegMethod : AdapterMethod
{
    public override string Name => "orthoreg";
    public override string Formula => "W + (alpha/rank)·B·A, loss + lambda·‖ΔWᵀΔW - I‖²";
    public override string Source => "Liu et al., 2026, arXiv 2604.17078";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "For adapters whose sum is to be used: orthogonal changes interfere less. The penalty costs r×r "
        + "products once per step.";
    public override string PeftType => AdapterConfig.Lora;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [new("lambda", 1e-4, 0, 1e6, "Weight of the penalty.")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        LowRankTerm term = LoraMethod.Term(layer, layer.Rank);
        return new AdapterForm { Terms = [term], Penalty = ChangeOrthogonality(term).Scale(layer.Setting("lambda")) };
    }

    /// <summary>s⁴ tr(GHGH) − 2s² tr(GH); [1].</summary>
    internal static Expression ChangeOrthogonality(LowRankTerm term)
    {
        Expression left = term.Left.MatMul(term.Left, transposeA: true);
        Expression right = term.Right.MatMul(term.Right, transposeB: true);
        Expression product = left.MatMul(right);
        double squared = term.Scale * term.Scale;
        return product.Dot(product.Transpose()).Add(left.Dot(right), squared * squared, -2 * squared);
    }
}
