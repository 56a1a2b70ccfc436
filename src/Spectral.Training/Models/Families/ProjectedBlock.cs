using Spectral.Training.Autograd;

namespace Spectral.Training.Models.Families;

/// <summary>A feed-forward block that reads its input with the same linear layers for every token.</summary>
internal abstract class ProjectedBlock : FeedForwardBlock
{
    /// <summary>The layers that read the input.</summary>
    public abstract Projections Inputs { get; }

    /// <inheritdoc/>
    public override int StrideFor(LayerCache? cache) => Inputs.StrideFor(cache);

    /// <inheritdoc/>
    public override Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache) =>
        Feed(tape, Inputs.Apply(tape, x), cache);

    /// <summary>Computes what the block adds to the residual stream from the values of its first layers.</summary>
    /// <param name="tape">The tape that records the operations.</param>
    /// <param name="values">The values of <see cref="Inputs"/>, of which it takes ownership.</param>
    /// <param name="cache">The cache of the layer; null: none.</param>
    /// <returns>Values [N, D].</returns>
    public abstract Variable Feed(Tape tape, Variable[] values, LayerCache? cache);
}
