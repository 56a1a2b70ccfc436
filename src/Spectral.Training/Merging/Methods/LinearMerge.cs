namespace Spectral.Training.Merging.Methods;

internal sealed class LinearMerge : OneModelMerge
{
    public override string Name => "linear";

    public override string Formula => "θ = θ0 + Σ w_i τ_i, τ_i = θ_i − θ0";

    public override string Source => "Ilharco et al., \"Editing Models with Task Arithmetic\", 2022, arXiv 2212.04089";

    public override string Use =>
        "Task arithmetic, the plainest merge: adds the changes. Weights are taken as given and not divided by their "
        + "sum; a negative one takes a task away. Start with about 1 divided by the number of inputs, or 0.3 each.";

    public override MergeUses Uses => MergeUses.Weights;

    public override bool MergesFactors => true;

    internal override TensorMerge Begin(MergeRun run) => WeightedSum.Merge;
}
