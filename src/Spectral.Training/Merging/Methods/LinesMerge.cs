using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class LinesMerge : OneModelMerge
{
    private const string Alpha = "alpha";
    private const string Beta = "beta";

    public override string Name => "lines";

    public override string Formula =>
        "θ = θ0 + (α + β l / (L − 1)) Σ w_i τ_i in decoder layer l of L, and θ0 + α Σ w_i τ_i outside of the layers";

    public override string Source =>
        "Wang et al., \"LiNeS: Post-training Layer Scaling Prevents Forgetting and Enhances Model Merging\", 2024, "
        + "arXiv 2410.17146";

    public override string Use =>
        "Scales the change up with depth: early layers, which tasks share, stay closer to the base. For one input, "
        + "α + β = 1; for several, α about 1 divided by their number.";

    public override MergeUses Uses => MergeUses.Weights;

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        new(Alpha, 0.5, 0, 10, "Factor α of the first layer and of all tensors outside of the layers."),
        new(Beta, 0.5, -10, 10, "What the last layer has in addition, β."),
    ];

    internal override TensorMerge Begin(MergeRun run) =>
        tensor =>
        {
            double depth = tensor.Place.Layer is { } layer ? layer / Math.Max(1.0, run.Config.Layers - 1) : 0;
            double factor = run.Setting(Alpha) + (run.Setting(Beta) * depth);
            double[] weights = [.. run.Weights.Select(weight => weight * factor)];
            return (piece, result) => WeightedSum.Add(piece, weights, result);
        };
}
