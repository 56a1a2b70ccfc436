using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// LoRA-XS: both factors are frozen singular vectors, and the r×r matrix between them trains. It is multiplied into the
/// left factor, so that backward reads no x.
/// </summary>
internal sealed class LoraXsMethod : AdapterMethod
{
    private const string A = LoraNames.A;
    private const string B = LoraNames.B;

    public override string Name => "lora-xs";
    public override string Formula => "W + s·(U_r diag(sigma_r))·C·V_rᵀ, C [r, r] trained";
    public override string Source => "Bałazy et al., 2024, arXiv 2405.17604";
    public override string Use => "r² numbers a layer of any size: many adapters of one model in little memory.";

    // The published form starts with noise of 1e-5 instead of zero.
    public override bool StartsAtBase => false;

    public override AdapterForm Form(AdapterBuilder layer) => new() { Terms = [Term(layer, Start.Normal(1e-5))] };

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts) => Begin(starts);

    /// <summary>Starts the factors as U_r diag(σ_r) and V_rᵀ.</summary>
    internal static void Begin(IReadOnlyList<AdapterStart> starts) =>
        SingularTriplets.Compute(
            starts,
            start => start.Options.Rank,
            (start, svd) =>
            {
                BroadcastMultiply.Run(svd.U, svd.S, start[B], Broadcast.PerColumn);
                start[A].CopyFrom(svd.Vt);
            }
        );

    internal static LowRankTerm Term(AdapterBuilder layer, Start start)
    {
        int rank = layer.SpectralRank;
        Expression left = layer.Frozen(B, (layer.Out, rank)).MatMul(layer.Trained("lora_latent", (rank, rank), start));
        return new LowRankTerm(left, layer.Frozen(A, (rank, layer.In)), layer.Options.Scale);
    }
}
