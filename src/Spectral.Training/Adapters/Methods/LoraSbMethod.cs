using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// LoRA-SB: Adam's first step is about −η·sign(Ḡ). Its leading triplets on calibration data, L·diag(S)·R, are the
/// start; L and R are frozen, and C, which begins as diag(S), trains as a dense matrix. As LᵀL = I and RRᵀ = I, the
/// gradient of C, LᵀGRᵀ, is the best approximation of the full gradient G in their subspace.
/// </summary>
internal sealed class LoraSbMethod : AdapterMethod
{
    private const string C = "lora_latent"; // the name in LoRA-XS, which has the same form

    public override string Name => "lora-sb";
    public override string Formula =>
        "W + B·C·A, C trained, rank × rank; B·C·A begins as the best rank-r part of −step·sign(gradient)";
    public override string Source => "Ponkshe et al., 2024, arXiv 2411.19557";
    public override string Use =>
        "Follows full fine-tuning as closely as rank² parameters a layer can. Choose a larger rank "
        + "than for LoRA. Alpha is not used.";
    public override bool StartsFromData => true;
    public override bool StartsAtBase => false;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [new("step", 2e-4, 1e-12, 1, "Learning rate of the step that the start represents.")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rank, Factor left) = (layer.SpectralRank, layer.Frozen(LoraNames.B, (layer.Out, layer.Rank)));
        return new AdapterForm
        {
            Terms = [new(left.MatMul(layer.Trained(C, (rank, rank))), layer.Frozen(LoraNames.A, (rank, layer.In)))],
        };
    }

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        GradientTriplets.Compute(
            starts,
            start => start.Options.Rank,
            (start, svd) =>
            {
                (int rank, double step, float[] sigma) = (
                    start.Options.Rank,
                    start.Options.Setting(this, "step"),
                    svd.S.ToArray()
                );
                start[LoraNames.B].CopyFrom(svd.U);
                Scale.Run(start[LoraNames.B], -1); // the step goes against the gradient
                start[LoraNames.A].CopyFrom(svd.Vt);
                float[] middle = new float[rank * rank];
                for (int i = 0; i < rank; i++)
                    middle[i * (rank + 1)] = (float)(step * sigma[i]);
                start[C].CopyFrom(middle);
            },
            gradient => ElementwiseMap.Forward(gradient, gradient, MapFunction.Sign)
        );
}
