using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// PiSSA: A and B start as the leading singular triplets with σ split evenly, and these are subtracted from the base.
/// </summary>
internal sealed class PissaMethod : AdapterMethod
{
    private const string A = LoraNames.A;
    private const string B = LoraNames.B;

    public override string Name => "pissa";
    public override string Formula => "W - s·B0·A0 + s·B·A, B0·A0 = U_r diag(sigma_r/s) V_rᵀ, s = alpha/rank";
    public override string Source => "Meng et al., 2024, arXiv 2404.02948";
    public override string Use =>
        "LoRA that trains the principal singular directions themselves. Converges faster than LoRA "
        + "at the same rank.";
    public override string PeftType => "LORA";
    public override string? PeftInit => LoraStartKey.Pissa;

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.SpectralRank;
        return new AdapterForm
        {
            Terms = layer.Residual(
                layer.Trained(B, (layer.Out, rank)),
                layer.Trained(A, (rank, layer.In)),
                layer.Options.Scale
            ),
        };
    }

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts) => LoraStarts.Principal(starts);
}
