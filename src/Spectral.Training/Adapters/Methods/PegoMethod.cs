using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// PEGO: the rank is split among a group of LoRAs B_i A_i. Penalties keep their column spaces orthogonal to each other
/// and their rows orthogonal to V_k, the leading right singular vectors of W.
/// </summary>
internal sealed class PegoMethod : AdapterMethod
{
    private const string V = "pego_V";

    public override string Name => "pego";
    public override string Formula =>
        "W + (alpha/rank)·Σ B_i·A_i, loss + diversity·Σ_{i≠j} ‖B_iᵀB_j‖² + preservation·‖A·V_k‖²; V_k "
        + "the leading top-k right singular vectors";
    public override string Source => "Hu et al., 2024, arXiv 2407.15085";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "For data unlike that of training: keeps what the base knows and learns several different "
        + "changes, at LoRA's size.";
    public override bool UsesTopK => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole("members", 2, 1, 1024, "Number of LoRAs in the group, at most the rank."),
        new("diversity", 1e-3, 0, 1e6, "Weight of the penalty on overlaps between the members."),
        new("preservation", 1e-3, 0, 1e6, "Weight of the penalty on changes in the weight's main directions."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (LowRankTerm term, int k) = (LoraMethod.Term(layer, layer.Rank), layer.Triplets("top-k", layer.Options.TopK));
        Expression gram = term.Left.MatMul(term.Left, transposeA: true);
        Expression apart = Penalties.Squares(gram);
        int members = Math.Min((int)layer.Setting("members"), layer.Rank);
        for (int i = 0; i < members; i++)
        {
            (int from, int to) = (i * layer.Rank / members, (i + 1) * layer.Rank / members);
            apart = apart.Subtract(Penalties.Squares(gram.Block(from, from, to - from, to - from)));
        }
        Expression kept = Penalties.Squares(term.Right.MatMul(layer.Frozen(V, (k, layer.In)), transposeB: true));
        return new AdapterForm
        {
            Terms = [term],
            Penalty = apart.Add(kept, layer.Setting("diversity"), layer.Setting("preservation")),
        };
    }

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        SingularTriplets.Compute(starts, start => start.Options.TopK, (start, svd) => start[V].CopyFrom(svd.Vt));
}
