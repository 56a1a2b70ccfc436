using Spectral.Kernels;

namespace Spectral.Training.Models;

/// <summary>
/// Observes the values that pass through a <see cref="SiblingLinears"/> while the model runs, without changing results.
/// </summary>
internal abstract class LinearObserver
{
    /// <summary>
    /// Whether <see cref="Backward"/> is to be called. A recording tape then propagates gradients down to these layers
    /// even if nothing in them trains.
    /// </summary>
    public virtual bool SeesGradients => false;

    /// <summary>
    /// Receives the layers' input before they are applied. It is called twice under activation checkpointing.
    /// </summary>
    /// <param name="x">The input [N, in].</param>
    public virtual void Forward(Tensor x) { }

    /// <summary>Receives the gradients of the layers' outputs once they are complete.</summary>
    /// <param name="x">The input [N, in].</param>
    /// <param name="gradients">
    /// The gradients dy [N, out] of all sibling layers; null where nothing reads the output.
    /// </param>
    public virtual void Backward(Tensor x, ReadOnlySpan<Tensor?> gradients) { }
}
