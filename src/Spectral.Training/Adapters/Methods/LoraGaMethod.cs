using Spectral.Kernels.Linalg;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// LoRA-GA: starts with L = U[:, r:2r]·diag(S)·c and R = V[:, :r]ᵀ, or another split of the first 2r triplets, where Ḡ
/// ≈ U S Vᵀ is the gradient on calibration data. The start is subtracted again, so that W' = W at first.
/// </summary>
internal sealed class LoraGaMethod : AdapterMethod
{
    public override string Name => "lora-ga";
    public override string Formula => "W + (alpha/rank)·(B·A − B0·A0), B0 and A0 from the SVD of the gradient";
    public override string Source => "Wang, Yu and Li, 2024, arXiv 2407.05000";
    public override string Use =>
        "Starts in the direction of full fine-tuning's first step: fewer steps to the same loss, for "
        + "one pass over calibration data.";
    public override string PeftType => AdapterConfig.Lora;
    public override bool StartsFromData => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Choice(
            "direction",
            "Triplets of A and B: the first r and the next r, the other way round, or alternating.",
            "arb2r",
            "a2rbr",
            "arbr"
        ),
        AdapterSetting.Choice(
            "scaling",
            "Scale of the start: B by out^(1/4)/√gamma; B by sigma_1(W)/S_1; both divided by alpha/rank; "
                + "unscaled.",
            "stable",
            "weight-svd",
            "gd-scale",
            "unit"
        ),
        new("gamma", 16, 1e-6, 1e6, "The gamma of the stable scaling."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        layer.Triplets("twice rank", 2 * layer.Rank);
        return new()
        {
            Terms = layer.Residual(
                layer.Trained(LoraNames.B, (layer.Out, layer.Rank)),
                layer.Trained(LoraNames.A, (layer.Rank, layer.In)),
                layer.Options.Scale
            ),
        };
    }

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        GradientTriplets.Compute(
            starts,
            start => 2 * start.Options.Rank,
            (start, svd) =>
            {
                int rank = start.Options.Rank;
                double direction = start.Options.Setting(this, "direction");
                int Place(int i, bool second)
                {
                    if (direction == 2)
                        return 2 * i + (second ? 1 : 0);
                    return second ? rank + i : i;
                }
                // Whether B takes the second half. If the two alternate, B has the first of each pair.
                bool second = direction == 0;
                int[] left = [.. Enumerable.Range(0, rank).Select(i => Place(i, second))];
                int[] right = [.. Enumerable.Range(0, rank).Select(i => Place(i, !second))];
                (double b, double a) = Scales(start, svd.S.ToArray()[left[0]]);
                svd.CopyLeft(start[LoraNames.B], left, sigma => b * sigma);
                svd.CopyRight(start[LoraNames.A], right, _ => a);
            }
        );

    private (double B, double A) Scales(AdapterStart start, double largest)
    {
        switch ((int)start.Options.Setting(this, "scaling"))
        {
            case 0:
                return (Math.Pow(start.Module.Out, 0.25) / Math.Sqrt(start.Options.Setting(this, "gamma")), 1);
            case 1:
                using (SvdResult svd = Svd.Compute(start.Frozen, 1, start.Options.Svd))
                    return (largest == 0 ? 0 : svd.S.ToArray()[0] / largest, 1);
            case 2:
                return (1 / start.Options.Scale, 1 / start.Options.Scale);
            default:
                return (1, 1);
        }
    }
}
