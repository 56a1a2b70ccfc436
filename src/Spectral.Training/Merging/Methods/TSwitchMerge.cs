namespace Spectral.Training.Merging.Methods;

internal sealed class TSwitchMerge : OneModelMerge
{
    public override string Name => "t-switch";

    public override string Formula =>
        "θ = θ0 + Σ w_i s_i sign(τ_i)[the largest ⌊density · n⌋ of ∣τ_i∣ in each tensor], s_i the mean of those ∣τ_i∣";

    public override string Source =>
        "Qi et al., \"Less is More: Efficient Model Merging with Binary Task Switch\", 2024, arXiv 2412.00054";

    public override string Use =>
        "Keeps of each change a mask, a sign for each kept entry and one number, which take little more than a bit. "
        + "Shows what a compressed input would give.";

    public override bool IsPublishedForm => false;

    public override MergeUses Uses => MergeUses.Weights | MergeUses.Density;

    public override double DefaultDensity => 0.5;

    internal override TensorMerge Begin(MergeRun run) =>
        tensor =>
        {
            var kept = TopEntries.Of(tensor, run.Density);
            double[] sums = tensor.Sum(
                run.Inputs,
                (piece, sums) =>
                {
                    for (int i = 0; i < sums.Length; i++)
                    {
                        foreach (float value in kept.Trim(piece, i))
                            sums[i] += Math.Abs(value);
                    }
                }
            );
            long count = Math.Max(1, (long)(run.Density * tensor.Count));
            double[] weights = [.. run.Weights.Select((weight, i) => weight * sums[i] / count)];
            return (piece, result) =>
            {
                for (int i = 0; i < run.Inputs; i++)
                {
                    foreach (ref float value in kept.Trim(piece, i))
                        value = MathF.Sign(value);
                }
                WeightedSum.Add(piece, weights, result);
            };
        };
}
