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
    /// <exception cref="IO.InputException">The batch names an adapter that cannot compute it.</exception>
    void Begin(Batch batch) { }
}
