using Spectral.Training.Adapters.Building;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// SVFit: only the leading singular values train. Their change is stored, so that weight decay pulls towards the
/// pretrained values.
/// </summary>
internal sealed class SvfitMethod : AdapterMethod
{
    private const string U = "svfit_U";
    private const string V = "svfit_V";

    public override string Name => "svfit";
    public override string Formula => "W + U_r diag(delta) V_rᵀ, delta the change of the top r singular values";
    public override string Source => "Sun et al., 2024, arXiv 2409.05926";
    public override string Use =>
        "Among the fewest parameters of all methods: r numbers a layer, which change singular values "
        + "and nothing else.";
    public override bool IsPublishedForm => false;

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.SpectralRank;
        var change = new LowRankTerm(layer.Frozen(U, (layer.Out, rank)), layer.Frozen(V, (rank, layer.In)))
        {
            Middle = layer.Trained("svfit_delta", rank),
        };
        return new AdapterForm { Terms = [change] };
    }

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        SingularTriplets.Compute(
            starts,
            start => start.Options.Rank,
            (start, svd) =>
            {
                start[U].CopyFrom(svd.U);
                start[V].CopyFrom(svd.Vt);
            }
        );
}
