using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>CompLoRA: a LoRA kept orthogonal to the leading singular vectors U_k and V_k of W.</summary>
internal sealed class CompLoraMethod : AdapterMethod
{
    private const string U = "comp_U";
    private const string V = "comp_V";

    public override string Name => "complora";
    public override string Formula =>
        "W + (alpha/rank)·(I - U_k·U_kᵀ)·B·A·(I - V_k·V_kᵀ); U_k, V_k the leading top-k singular vectors";
    public override string Source =>
        "CompLoRA: low-rank adaptation in the complement of the weight's principal subspace";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "Leaves the weight's main directions unchanged, to keep what the base knows. 4k·r·(in + out) "
        + "operations a layer and step beyond LoRA's.";
    public override bool UsesTopK => true;

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (LowRankTerm term, int k) = (LoraMethod.Term(layer, layer.Rank), layer.Triplets("top-k", layer.Options.TopK));
        (Factor u, Factor v) = (layer.Frozen(U, (layer.Out, k)), layer.Frozen(V, (k, layer.In)));
        return new AdapterForm
        {
            Terms =
            [
                term with
                {
                    Left = term.Left.Subtract(u.MatMul(u.MatMul(term.Left, transposeA: true))),
                    Right = term.Right.Subtract(term.Right.MatMul(v, transposeB: true).MatMul(v)),
                },
            ],
        };
    }

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        SingularTriplets.Compute(
            starts,
            start => start.Options.TopK,
            (start, svd) =>
            {
                start[U].CopyFrom(svd.U);
                start[V].CopyFrom(svd.Vt);
            }
        );
}
