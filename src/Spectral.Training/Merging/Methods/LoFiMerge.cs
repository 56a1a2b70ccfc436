namespace Spectral.Training.Merging.Methods;

internal sealed class LoFiMerge : OneModelMerge
{
    public override string Name => "lo-fi";

    public override string Formula => "θ = Σ θ_i / N";

    public override string Source =>
        "Wortsman et al., \"lo-fi: distributed fine-tuning without communication\", 2022, arXiv 2210.11948; as model "
        + "soups (2022, arXiv 2203.05482)";

    public override string Use => "The mean of runs that were tuned apart, for example on parts of one data set.";

    internal override TensorMerge Begin(MergeRun run) => _ => (piece, result) => Means.Of(piece, run.Inputs, result);
}
