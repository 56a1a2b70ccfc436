using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class BreadcrumbsMerge : OneModelMerge
{
    private const string Gamma = "gamma";

    public override string Name => "breadcrumbs";

    public override string Formula =>
        "θ = θ0 + Σ w_i τ_i[without the largest ⌊gamma · n⌋ of ∣τ_i∣ in each tensor, of the rest the largest "
        + "⌊density · n⌋]";

    public override string Source =>
        "Davari, Belilovsky, \"Model Breadcrumbs: Scaling Multi-Task Model Merging with Sparse Masks\", 2023, "
        + "arXiv 2312.06795";

    public override string Use =>
        "Drops the very largest changes, as outliers, beside the small ones. If gamma and density together exceed 1, "
        + "fewer outliers are dropped; a density of 1 drops nothing.";

    public override MergeUses Uses => MergeUses.Weights | MergeUses.Density;

    public override double DefaultDensity => 0.9;

    public override IReadOnlyList<Setting> Settings { get; } =
    [new(Gamma, 0.01, 0, 1, "Share of each change's largest entries to drop.")];

    internal override TensorMerge Begin(MergeRun run) =>
        tensor =>
        {
            long target = (long)(run.Density * tensor.Count);
            long dropped = Math.Min((long)(run.Setting(Gamma) * tensor.Count), tensor.Count - target);
            var kept = TopEntries.OfCount(tensor, target + dropped);
            var outliers = TopEntries.OfCount(tensor, dropped);
            return (piece, result) =>
            {
                for (int i = 0; i < run.Inputs; i++)
                {
                    kept.Trim(piece, i);
                    if (dropped > 0)
                        outliers.Drop(piece, i);
                }
                WeightedSum.Add(piece, run.Weights, result);
            };
        };
}
