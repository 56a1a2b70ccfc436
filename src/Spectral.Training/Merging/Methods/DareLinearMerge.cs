namespace Spectral.Training.Merging.Methods;

internal sealed class DareLinearMerge : OneModelMerge
{
    public override string Name => "dare-linear";

    public override string Formula => "θ = θ0 + Σ w_i m_i ∘ τ_i / density, m_i ~ Bernoulli(density)";

    public override string Source =>
        "Yu et al., \"Language Models are Super Mario: Absorbing Abilities from Homologous Models as a Free Lunch\", "
        + "2023, arXiv 2311.03099";

    public override string Use =>
        "Drops changes at random and scales the rest up, so that the expected change stays and inputs collide less. "
        + "Drops are independent over tensors, inputs and seeds.";

    public override MergeUses Uses => MergeUses.Weights | MergeUses.Density | MergeUses.Seed;

    public override bool MergesFactors => true;

    public override double DefaultDensity => 0.5;

    public override bool DependsOnOrder => true;

    internal override TensorMerge Begin(MergeRun run) =>
        tensor =>
        {
            RandomDrops drops = new(tensor);
            return (piece, result) =>
            {
                for (int i = 0; i < run.Inputs; i++)
                    drops.Drop(piece, i, run.Density);
                WeightedSum.Add(piece, piece.Weights, result);
            };
        };
}
