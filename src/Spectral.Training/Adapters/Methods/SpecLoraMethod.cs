using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// SpecLoRA: rescales the leading singular values of the frozen W beside a LoRA. U_k, σ_k and V_k are computed once and
/// stored with the adapter. δ starts at zero, so that weight decay pulls towards the pretrained spectrum. With rank 0
/// there is only the spectral term.
/// </summary>
internal sealed class SpecLoraMethod : AdapterMethod
{
    /// <summary>The names of σ_k and δ, which analyses read.</summary>
    internal const string Sigma = "spec_S";
    internal const string Delta = "spec_delta";

    private const string U = "spec_U";
    private const string V = "spec_V";

    public override string Name => "speclora";
    public override string Formula => "W + U diag(sigma·delta) Vᵀ on the top-k singular triplets + (alpha/rank)·B·A";
    public override string Source => "arXiv 2505.23099";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "Amplifies or damps the directions that fine-tuning changes most, with k parameters a layer "
        + "beyond LoRA's.";
    public override bool UsesTopK => true;

    public override AdapterForm Form(AdapterBuilder layer)
    {
        if (layer.Options.Rank < 0)
        {
            throw new InputException(
                $"rank {layer.Options.Rank} for {layer.Module.Name}: speclora needs a rank of at least 0"
            );
        }

        int k = layer.Triplets("top-k", layer.Options.TopK);
        var spectral = new LowRankTerm(layer.Frozen(U, (layer.Out, k)), layer.Frozen(V, (k, layer.In)))
        {
            Middle = new SpectralChange(layer.Frozen(Sigma, k), layer.Trained(Delta, k)),
        };
        return new AdapterForm
        {
            Terms = layer.Options.Rank == 0 ? [spectral] : [spectral, LoraMethod.Term(layer, layer.Rank)],
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
                start[Sigma].CopyFrom(svd.S);
                start[V].CopyFrom(svd.Vt);
            }
        );
}
