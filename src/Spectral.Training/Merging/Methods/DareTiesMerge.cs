using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class DareTiesMerge : OneModelMerge
{
    public override string Name => "dare-ties";

    public override string Formula =>
        "τ̂_i = m_i ∘ τ_i / density, m_i ~ Bernoulli(density); γ = sign(Σ τ̂_i), 0 counts as +; "
        + "θ = θ0 + Σ w_i τ̂_i[sign τ̂_i = γ] / max(1, #agreeing)";

    public override string Source =>
        "Yu et al., 2023, arXiv 2311.03099, with the vote of Yadav et al., 2023, as in PEFT";

    public override string Use =>
        "Random drops as in dare-linear, then the vote on signs of ties. Drops are independent over tensors, inputs "
        + "and seeds.";

    public override MergeUses Uses => MergeUses.Weights | MergeUses.Density | MergeUses.Seed;

    public override bool MergesFactors => true;

    public override double DefaultDensity => 0.5;

    public override IReadOnlyList<Setting> Settings { get; } = [SignElection.Setting];

    public override bool DependsOnOrder => true;

    internal override TensorMerge Begin(MergeRun run)
    {
        SignElection election = new(run);
        return tensor =>
        {
            RandomDrops drops = new(tensor);
            return (piece, result) =>
            {
                for (int i = 0; i < run.Inputs; i++)
                    drops.Drop(piece, i, run.Density);
                election.Merge(piece, result);
                piece.AddBase(result);
            };
        };
    }
}
