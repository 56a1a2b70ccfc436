using Spectral.Training.Autograd;

namespace Spectral.Training.Models.Families;

/// <summary>The gated feed-forward layer down(silu(gate x) ∘ up x) (Shazeer, "GLU Variants", 2020).</summary>
internal sealed class GatedBlock : FeedForwardBlock
{
    /// <summary>The gate and up projections, in this order.</summary>
    public required SiblingLinears Gates { get; init; }

    public required Linear Down { get; init; }

    /// <inheritdoc/>
    public override IReadOnlyList<Linear> Linears => [.. Gates.Layers, Down];

    /// <inheritdoc/>
    public override int StrideFor(LayerCache? cache) => Gates.StrideFor(cache);

    /// <inheritdoc/>
    public override Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache)
    {
        Variable[] gates = LinearNode.Apply(tape, x, Gates);
        using Variable gate = gates[0];
        using Variable up = gates[1];
        using Variable gated = SwiGluNode.Apply(tape, gate, up, Down.Siblings.StrideFor(cache));
        return LinearNode.Apply(tape, gated, Down);
    }
}
