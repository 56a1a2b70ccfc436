using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>One block of a decoder, from one hidden state of the residual stream to the next.</summary>
internal abstract class DecoderLayer
{
    /// <summary>The linear layers of the block, in the order of the checkpoint.</summary>
    public abstract IReadOnlyList<Linear> Linears { get; }

    /// <summary>Whether backward has to reach this block even if nothing below it trains.</summary>
    public abstract bool NeedsBackward { get; }

    /// <summary>Computes the block's output hidden states.</summary>
    /// <param name="tape">The tape that records the operations.</param>
    /// <param name="x">Hidden states [N, D].</param>
    /// <param name="settings">Rows, lengths and positions of the batch, and the layer's window.</param>
    /// <param name="cache">
    /// The keys and values so far; null: none. Decoding one position per row uses only the cache.
    /// </param>
    /// <returns>Hidden states [N, D].</returns>
    public abstract Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache = null);
}
