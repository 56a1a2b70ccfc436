using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>One block of a decoder: what lies between two hidden states of the residual stream.</summary>
internal abstract class DecoderLayer
{
    /// <summary>The linear layers, in the order of the checkpoint.</summary>
    public abstract IReadOnlyList<Linear> Linears { get; }

    /// <summary>Whether backward has to reach this block, even if nothing below it trains.</summary>
    public abstract bool NeedsBackward { get; }

    /// <summary>Computes the block.</summary>
    /// <param name="tape">The tape.</param>
    /// <param name="x">Hidden states [N, D].</param>
    /// <param name="settings">Rows, lengths and positions of the batch, and the layer's window.</param>
    /// <param name="cache">Keys and values so far; decoding one position per row goes through it alone.</param>
    /// <returns>Hidden states [N, D].</returns>
    public abstract Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache = null);

    /// <summary>
    /// Elements from one row to the next of the input of sibling layers. With a cache rows are few and their operations
    /// many: nothing is laid out for one product then.
    /// </summary>
    protected static int InputStride(SiblingLinears siblings, LayerCache? cache) =>
        cache is null ? siblings.InputStride : siblings.Layers[0].In;
}
