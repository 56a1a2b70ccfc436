using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// MPC, matrix pattern constraints: a LoRA whose directions are kept apart by a penalty, either orthonormal or
/// orthogonal with free lengths.
/// </summary>
internal sealed class MpcMethod : AdapterMethod
{
    private const string Gamma = "gamma";
    private const string Pattern = "pattern";
    private const string Orthonormal = "orthonormal";

    public override string Name => "mpc";
    public override string Formula =>
        "W + (alpha/rank)·B·A, loss + gamma·mean(‖BᵀB - D‖, ‖A·Aᵀ - D‖), D = I, or the diagonal of what it is "
        + "subtracted from";
    public override string Source => "Si et al., 2024, arXiv 2407.05417";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "LoRA whose directions do not repeat each other. The penalty costs r×r products once per step.";
    public override string PeftType => AdapterConfig.Lora;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        new(Gamma, 0.1, 0, 1e6, "Weight of the penalty."),
        AdapterSetting.Choice(
            Pattern,
            "Whether directions also have the length 1, or are apart at any length.",
            Orthonormal,
            "orthogonal"
        ),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        LowRankTerm term = LoraMethod.Term(layer, layer.Rank);
        bool lengths = layer.Choice(Pattern) == Orthonormal;
        double each = layer.Setting(Gamma) / (2 * layer.AllModules.Count);
        return new AdapterForm
        {
            Terms = [term],
            Penalty = Distance(term.Left, true, lengths).Add(Distance(term.Right, false, lengths), each, each),
        };
    }

    private static Expression Distance(Expression factor, bool columns, bool lengths) =>
        lengths ? Penalties.Orthonormality(factor, columns) : Penalties.Orthogonality(factor, columns);
}
