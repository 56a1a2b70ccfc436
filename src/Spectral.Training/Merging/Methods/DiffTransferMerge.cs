using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class DiffTransferMerge : OneModelMerge
{
    private const string From = "from";

    public override string Name => "diff-transfer";

    public override string Formula => "θ = θ_B + Σ w_i (θ_i − θ_A), B the model given with --model";

    public override string Source =>
        "Lin et al., \"Efficient Model Development through Fine-tuning Transfer\", 2025, arXiv 2503.20110";

    public override string Use =>
        "Carries what tuning changed in an older base over to a newer one of the same size, without tuning it again. "
        + "Inputs that are adapters count as their change on the older base.";

    public override MergeUses Uses => MergeUses.Weights;

    public override IReadOnlyList<TextSetting> TextSettings { get; } =
    [new(From, "DIR", "The model A from which the inputs were tuned.") { IsRequired = true }];

    internal override string OriginSetting => From;

    internal override TensorMerge Begin(MergeRun run) => WeightedSum.Merge;
}
