using Spectral.Kernels;
using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>Changes what one layer computes while an adapter is attached to the model.</summary>
internal interface ILayerAdapter
{
    /// <summary>Whether anything in it trains.</summary>
    bool Trains { get; }

    /// <summary>Whether its backward reads the layer's input, which is saved only then.</summary>
    bool NeedsInput { get; }

    /// <summary>
    /// Looks up rows of the layer's weight [V, D] with their change, the layer being the token embedding.
    /// </summary>
    /// <param name="tape">The tape.</param>
    /// <param name="embedding">The layer.</param>
    /// <param name="tokens">Ids in [0, V), as [N] I32 on the device.</param>
    /// <param name="order">
    /// The same ids sorted, for backward; null when nothing trains or the tape does not record.
    /// </param>
    /// <returns>The rows, [N, D].</returns>
    Variable LookUp(Tape tape, Linear embedding, Tensor tokens, TokenOrder? order);
}
