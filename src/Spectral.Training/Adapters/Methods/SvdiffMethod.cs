using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// SVDiff: a trained shift of every singular value, limited to results of at least zero. The form replaces the weight,
/// because a full-rank core would cost two more products of the base's size per token.
/// </summary>
internal sealed class SvdiffMethod : AdapterMethod
{
    private const string U = "svdiff_U";
    private const string Sigma = "svdiff_S";
    private const string V = "svdiff_V";

    public override string Name => "svdiff";
    public override string Formula => "U diag(max(sigma + delta, 0)) Vᵀ over the whole spectrum of W";
    public override string Source => "Han et al., 2023, arXiv 2303.11305";
    public override string Use =>
        "Changes every singular value. All of U and V is stored, and the weight is recomputed each "
        + "step: for small models and studies.";

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = Math.Min(layer.Out, layer.In);
        Factor u = layer.Frozen(U, (layer.Out, rank));
        Factor sigma = layer.Frozen(Sigma, rank);
        Factor v = layer.Frozen(V, (rank, layer.In));
        Expression change = sigma.Add(layer.Trained("svdiff_delta", rank)).Max(0).Subtract(sigma);
        return new AdapterForm { Weight = layer.Weight.Add(u.ScaleColumns(change).MatMul(v)) };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        SingularTriplets.ComputeLast(
            starts,
            start => start.Factors[Sigma].Master.Dim(0),
            (start, svd, _) =>
            {
                start[U].CopyFrom(svd.U);
                start[Sigma].CopyFrom(svd.S);
                start[V].CopyFrom(svd.Vt);
            }
        );
}
