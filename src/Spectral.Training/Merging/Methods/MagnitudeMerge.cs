namespace Spectral.Training.Merging.Methods;

internal sealed class MagnitudeMerge : OneModelMerge
{
    public override string Name => "magnitude";

    public override string Formula => "θ = θ0 + Σ w_i τ_i[the largest ⌊density · n⌋ of ∣τ_i∣ in each tensor]";

    public override string Source => "PEFT, combination type magnitude_prune";

    public override string Use =>
        "Keeps the largest changes of each input and adds them, without scaling them up. The first half of TIES.";

    public override MergeUses Uses => MergeUses.Weights | MergeUses.Density;

    public override bool MergesFactors => true;

    public override double DefaultDensity => 0.2;

    internal override TensorMerge Begin(MergeRun run) =>
        tensor =>
        {
            var kept = TopEntries.Of(tensor, run.Density);
            return (piece, result) =>
            {
                for (int i = 0; i < run.Inputs; i++)
                    kept.Trim(piece, i);
                WeightedSum.Add(piece, piece.Weights, result);
            };
        };
}
