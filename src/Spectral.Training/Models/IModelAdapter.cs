using Spectral.Kernels;
using Spectral.Training.Data;
using Spectral.Training.Optim;

namespace Spectral.Training.Models;

/// <summary>
/// An adapter attached to a model: it trains in place of the model's weights and is disposed with it.
/// </summary>
internal interface IModelAdapter : IDisposable
{
    /// <summary>The trainable parameters, which an optimizer updates; null: it does not train.</summary>
    ParameterSet? Parameters { get; }

    /// <summary>The virtual tokens before every row; null: the adapter has none.</summary>
    IVirtualTokens? VirtualTokens { get; }

    /// <summary>Prepares for the forward pass of a batch.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="cache">The keys and values before it; null: none.</param>
    /// <exception cref="IO.InputException">The batch names an adapter that cannot compute it.</exception>
    void Begin(Batch batch, KeyValueCache? cache) { }

    /// <summary>
    /// Says how much losses of the adapter's own count in the gradients of the next batch, as one that every token with
    /// loss has.
    /// </summary>
    /// <param name="factor">The factor that the host knows.</param>
    /// <param name="scale">A further factor, [1] F32 on the device; null: 1.</param>
    void Weigh(float factor, Tensor? scale) { }

    /// <summary>Ends the forward pass of a batch. Backward may run layers once more.</summary>
    void End() { }
}
