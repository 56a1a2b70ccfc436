using Spectral.Training.Autograd;

namespace Spectral.Training.Models.Families;

/// <summary>The gated feed-forward layer down(f(gate x) ∘ up x) (Shazeer, "GLU Variants", 2020).</summary>
internal sealed class GatedBlock : ProjectedBlock
{
    /// <summary>The gate and up projections, in this order.</summary>
    public required Projections Gates { get; init; }

    public required Linear Down { get; init; }

    /// <summary>The function f of the gate.</summary>
    public required Activation Activation { get; init; }

    /// <inheritdoc/>
    public override IReadOnlyList<Linear> Linears => [.. Gates.Layers, Down];

    /// <inheritdoc/>
    public override Projections Inputs => Gates;

    /// <inheritdoc/>
    public override Variable Feed(Tape tape, Variable[] values, LayerCache? cache)
    {
        using Variable gate = values[0];
        using Variable up = values[1];
        using Variable gated = Activations.Gate(tape, Activation, gate, up, Down.Siblings.StrideFor(cache));
        return LinearNode.Apply(tape, gated, Down);
    }
}
