using Spectral.Training.Autograd;

namespace Spectral.Training.Models.Families;

/// <summary>What a decoder layer computes of each token by itself, after attention.</summary>
internal abstract class FeedForwardBlock
{
    /// <summary>The linear layers of the block, in the order of the checkpoint.</summary>
    public abstract IReadOnlyList<Linear> Linears { get; }

    /// <summary>Whether backward has to reach this block even if nothing below it trains.</summary>
    public virtual bool NeedsBackward => Linears.Any(linear => linear.Siblings.NeedsBackward);

    /// <summary>
    /// Returns the distance between rows of the block's input, in elements, as <see cref="SiblingLinears.StrideFor"/>.
    /// </summary>
    public abstract int StrideFor(LayerCache? cache);

    /// <summary>Computes what the block adds to the residual stream.</summary>
    /// <param name="tape">The tape that records the operations.</param>
    /// <param name="x">The input [N, D].</param>
    /// <param name="settings">Rows and lengths of the batch.</param>
    /// <param name="cache">The cache of the layer; null: none.</param>
    /// <returns>Values [N, D].</returns>
    public abstract Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache);
}
