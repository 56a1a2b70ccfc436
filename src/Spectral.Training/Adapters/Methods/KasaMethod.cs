using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// KaSA: a trained diagonal between B and A, on a weight from which the r smallest singular triplets U₀ σ₀ V₀ᵀ are
/// subtracted.
/// </summary>
internal sealed class KasaMethod : AdapterMethod
{
    private const string U = "kasa_U";
    private const string V = "kasa_V";

    public override string Name => "kasa";
    public override string Formula =>
        "W - U0·diag(sigma0)·V0ᵀ + (alpha/rank)·B·diag(d)·A, loss + beta·‖d‖² + gamma·(‖BᵀB - I‖ + ‖A·Aᵀ "
        + "- I‖); U0, sigma0, V0 the last r singular triplets";
    public override string Source => "Wang et al., 2024, arXiv 2412.06071";
    public override string Use =>
        "Removes what the weight hardly uses and weights the new directions by importance. The start "
        + "needs the exact SVD of every layer; forward runs at twice LoRA's rank.";
    public override string PeftType => AdapterConfig.Lora;
    public override bool StartsAtBase => false;

    // Earlier versions wrote a type of their own, with the penalties' weights among the other keys.
    public override string FormerPeftType => "KASA";
    internal override string StartTensor => U;

    public override IReadOnlyList<PeftField>? PeftFields { get; } =
        PeftField.LoraWith([PeftField.Section("kasa_config", Weights), .. Weights.Select(PeftField.Former)]);

    public override IReadOnlyList<AdapterSetting> Settings => [.. Weights, Penalties.Free];

    private static AdapterSetting[] Weights =>
        [
            new("beta", 1e-4, 0, 1, "Weight of the penalty on the diagonal."),
            new("gamma", 1e-3, 0, 1, "Weight of the penalty that keeps B's columns and A's rows orthonormal."),
        ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rank, Factor diagonal) = (
            layer.SpectralRank,
            layer.Trained("lora_diag", layer.SpectralRank, Start.Normal(1))
        );
        LowRankTerm term = LoraMethod.Term(layer, rank) with { Middle = diagonal };
        double free = layer.Setting(Penalties.Free.Name);
        Expression orthogonality = Penalties
            .Orthonormality(term.Left, columns: true, free)
            .Add(Penalties.Orthonormality(term.Right, columns: false, free));
        return new AdapterForm
        {
            Terms = [new(layer.Recomputed(U, (layer.Out, rank)), layer.Recomputed(V, (rank, layer.In)), -1), term],
            Penalty = diagonal.Dot(diagonal).Add(orthogonality, layer.Setting("beta"), layer.Setting("gamma")),
        };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        SingularTriplets.ComputeLast(
            starts,
            start => start.Options.Rank,
            (start, svd, last) =>
            {
                svd.CopyLeft(start[U], last, sigma => sigma);
                svd.CopyRight(start[V], last, _ => 1);
            }
        );
}
