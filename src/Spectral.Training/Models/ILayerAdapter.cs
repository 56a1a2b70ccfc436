using Spectral.Kernels;
using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>Changes what one layer computes while an adapter is attached to the model.</summary>
internal interface ILayerAdapter
{
    /// <summary>Whether any of the adapter's factors in this layer trains in the current step.</summary>
    bool Trains { get; }

    /// <summary>Whether its backward reads the layer's input, which is saved only then.</summary>
    bool NeedsInput { get; }

    /// <summary>Looks up rows of the token embedding [V, D] with the adapter's change.</summary>
    /// <param name="tape">The tape that records the lookup.</param>
    /// <param name="embedding">The embedding, to which this adapter belongs.</param>
    /// <param name="tokens">Ids in [0, V), as [N] I32 on the device.</param>
    /// <param name="order">
    /// The same ids sorted, for backward; null if nothing trains or the tape does not record.
    /// </param>
    /// <returns>The rows, [N, D].</returns>
    Variable LookUp(Tape tape, Linear embedding, Tensor tokens, TokenOrder? order);
}
