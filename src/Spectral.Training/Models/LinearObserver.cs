using Spectral.Kernels;

namespace Spectral.Training.Models;

/// <summary>
/// Sees what passes through a <see cref="SiblingLinears"/> while the model runs; changes nothing of what it computes.
/// </summary>
internal abstract class LinearObserver
{
    /// <summary>
    /// Whether <see cref="Backward"/> is to be called: a recording tape then carries gradients down to the layers
    /// though nothing in them trains.
    /// </summary>
    public virtual bool SeesGradients => false;

    /// <summary>Called before the layers are applied; twice under activation checkpointing.</summary>
    /// <param name="x">[N, in].</param>
    public virtual void Forward(Tensor x) { }

    /// <summary>Called when the gradients of the layers' outputs are complete.</summary>
    /// <param name="x">[N, in].</param>
    /// <param name="gradients">dy [N, out] of every sibling layer; null where nothing reads the output.</param>
    public virtual void Backward(Tensor x, ReadOnlySpan<Tensor?> gradients) { }
}
