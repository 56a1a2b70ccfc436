using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>Spectral Adapter, additive: trains changes of the leading singular vectors, which start at zero.</summary>
internal sealed class SpectralAdapterMethod : AdapterMethod
{
    private const string U = "spectral_U";
    private const string Sigma = "spectral_S";
    private const string V = "spectral_V";

    public override string Name => "spectral-adapter";
    public override string Formula => "W + s·((U + E_U) diag(sigma) (V + E_V)ᵀ - U diag(sigma) Vᵀ)";
    public override string Source => "Zhang and Pilanci, 2024, arXiv 2405.13952";
    public override string Use =>
        "Turns the leading singular vectors while their values stay: the counterpart of speclora.";

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rank, double scale) = (layer.SpectralRank, layer.Options.Scale);
        Factor u = layer.Frozen(U, (layer.Out, rank));
        Factor sigma = layer.Frozen(Sigma, rank);
        Factor v = layer.Frozen(V, (rank, layer.In));
        Factor left = layer.Trained("spectral_E_U", (layer.Out, rank));
        Factor right = layer.Trained("spectral_E_V", (rank, layer.In));
        // (U + E) S (V + F)ᵀ - U S Vᵀ = U S Fᵀ + E S (V + F)ᵀ
        return new AdapterForm
        {
            Terms = [new(u, right, scale) { Middle = sigma }, new(left, v.Add(right), scale) { Middle = sigma }],
        };
    }

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        SingularTriplets.Compute(
            starts,
            start => start.Options.Rank,
            (start, svd) =>
            {
                start[U].CopyFrom(svd.U);
                start[Sigma].CopyFrom(svd.S);
                start[V].CopyFrom(svd.Vt);
            }
        );
}
