using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// OLoRA: B starts as the first r columns of Q and A as the first r rows of the triangular factor T = Qᵀ W. The start
/// is subtracted again.
/// </summary>
internal sealed class OloraMethod : AdapterMethod
{
    private const string A = LoraNames.A;
    private const string B = LoraNames.B;

    public override string Name => "olora";
    public override string Formula => "W - s·Q_r·T_r + s·B·A, W = Q·T its QR decomposition";
    public override string Source => "Büyükakyüz, 2024, arXiv 2406.01775";
    public override string Use =>
        "LoRA with an orthonormal start that needs no SVD: one QR decomposition of r columns per layer.";
    public override string PeftType => "LORA";
    public override string? PeftInit => "olora";

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

    public override void Initialize(IReadOnlyList<AdapterStart> starts) => LoraStarts.Orthonormal(starts);
}
