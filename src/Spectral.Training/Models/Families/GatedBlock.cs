using Spectral.Training.Autograd;

namespace Spectral.Training.Models.Families;

/// <summary>The gated feed-forward layer down(silu(gate x) ∘ up x) (Shazeer, "GLU Variants", 2020).</summary>
internal sealed class GatedBlock
{
    /// <summary>The gate and up projections, in this order.</summary>
    public required SiblingLinears Gates { get; init; }

    public required Linear Down { get; init; }

    public IReadOnlyList<Linear> Linears => [.. Gates.Layers, Down];

    /// <summary>Computes what the layer adds to the residual stream from its input [N, D].</summary>
    public Variable Forward(Tape tape, Variable x, LayerCache? cache)
    {
        Variable[] gates = LinearNode.Apply(tape, x, Gates);
        using Variable gate = gates[0];
        using Variable up = gates[1];
        using Variable gated = SwiGluNode.Apply(tape, gate, up, Down.Siblings.StrideFor(cache));
        return LinearNode.Apply(tape, gated, Down);
    }
}
