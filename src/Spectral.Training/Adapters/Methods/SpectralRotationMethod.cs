using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Spectral Adapter, rotational: Cayley rotations turn the leading left and right singular vectors; the singular values
/// stay.
/// </summary>
internal sealed class SpectralRotationMethod : AdapterMethod
{
    private const string U = "spectral_U";
    private const string Sigma = "spectral_S";
    private const string V = "spectral_V";

    public override string Name => "spectral-adapter-rotational";
    public override string Formula =>
        "W + U_r·(Q_1·diag(sigma_r)·Q_2ᵀ − diag(sigma_r))·V_rᵀ, Q_1 and Q_2 rotations [r, r]";
    public override string Source => "Zhang and Pilanci, 2024, arXiv 2405.13952";
    public override string Use =>
        "Turns the leading singular vectors and keeps the spectrum: r(r − 1) numbers a layer, at LoRA's cost.";

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.SpectralRank;
        CayleyRotation.CheckOrder(layer, rank, "rank", inverts: true);
        Factor u = layer.Frozen(U, (layer.Out, rank));
        Factor sigma = layer.Frozen(Sigma, rank);
        Expression turned = u.MatMul(Rotation("spectral_Q1"))
            .ScaleColumns(sigma)
            .MatMul(Rotation("spectral_Q2"), transposeB: true);
        return new AdapterForm
        {
            Terms = [new(turned.Subtract(u.ScaleColumns(sigma)), layer.Frozen(V, (rank, layer.In)))],
        };

        Expression Rotation(string name) =>
            layer.Trained(name, (1, rank * (rank - 1) / 2)).SkewSymmetric(rank).Cayley().Reshape((rank, rank));
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
