using Spectral.Training.Autograd;

namespace Spectral.Training.Models.Families;

/// <summary>The feed-forward layer down(f(up x)) without a gate (Vaswani et al., 2017).</summary>
internal sealed class PlainBlock : ProjectedBlock
{
    /// <summary>The up projection of the feed-forward layer.</summary>
    public required Projections Up { get; init; }

    public required Linear Down { get; init; }

    /// <summary>The function f between the two.</summary>
    public required Activation Activation { get; init; }

    /// <inheritdoc/>
    public override IReadOnlyList<Linear> Linears => [.. Up.Layers, Down];

    /// <inheritdoc/>
    public override Projections Inputs => Up;

    /// <inheritdoc/>
    public override Variable Feed(Tape tape, Variable[] values, LayerCache? cache)
    {
        using Variable raised = values[0];
        using Variable active = Activations.Apply(tape, Activation, raised, Down.Siblings.StrideFor(cache));
        return LinearNode.Apply(tape, active, Down);
    }
}
