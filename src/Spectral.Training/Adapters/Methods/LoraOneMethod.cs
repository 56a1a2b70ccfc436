using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// LoRA-One: starts with L = U√S/√(S_1·γ) and R = √S Vᵀ/√(S_1·γ), where −Ḡ ≈ U S Vᵀ on calibration data. W' begins one
/// step along the negative gradient.
/// </summary>
internal sealed class LoraOneMethod : AdapterMethod
{
    public override string Name => "lora-one";
    public override string Formula =>
        "W + (alpha/√rank)·B·A, B·A begins as the best rank-r part of −gradient/(gamma·S_1)";
    public override string Source => "Zhang, Liu and Chen, 2025, arXiv 2502.01235";
    public override string Use =>
        "Starts from the first step of full fine-tuning. The model's output differs from the base's "
        + "from the beginning.";
    public override string PeftType => AdapterConfig.Lora;
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
        PeftField.LoraWith(PeftField.Is("use_rslora", true));
    public override bool StartsFromData => true;
    public override bool StartsAtBase => false;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [new("gamma", 128, 1e-6, 1e6, "The start's largest singular value is 1/gamma.")];

    public override AdapterForm Form(AdapterBuilder layer) =>
        new()
        {
            Terms =
            [
                new(
                    layer.Trained(LoraNames.B, (layer.Out, layer.SpectralRank)),
                    layer.Trained(LoraNames.A, (layer.Rank, layer.In)),
                    layer.Options.Alpha / Math.Sqrt(layer.Rank)
                ),
            ],
        };

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        GradientTriplets.Compute(
            starts,
            start => start.Options.Rank,
            (start, svd) =>
            {
                int[] all = [.. Enumerable.Range(0, start.Options.Rank)];
                double largest = svd.S.ToArray()[0] * start.Options.Setting(this, "gamma");
                double Weight(double sigma) => largest == 0 ? 0 : Math.Sqrt(sigma / largest);
                svd.CopyLeft(start[LoraNames.B], all, sigma => -Weight(sigma)); // the step goes against the gradient
                svd.CopyRight(start[LoraNames.A], all, Weight);
            }
        );
}
