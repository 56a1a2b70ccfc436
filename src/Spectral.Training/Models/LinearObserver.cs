using Spectral.Kernels;

namespace Spectral.Training.Models;

/// <summary>Sees what passes through a <see cref="LinearGroup"/> while the model runs; changes nothing of what it computes.</summary>
internal abstract class LinearObserver
{
    /// <summary>Whether <see cref="Backward"/> is to be called: a recording tape then carries gradients down to the group though nothing in it trains.</summary>
    public virtual bool SeesGradients => false;

    /// <summary>The group is about to be applied. Under activation checkpointing that happens twice.</summary>
    /// <param name="x">[N, in].</param>
    public virtual void Forward(Tensor x) { }

    /// <summary>The gradients of the group's outputs are complete.</summary>
    /// <param name="x">[N, in].</param>
    /// <param name="gradients">dy [N, out] of every layer of the group; null where nothing reads the output.</param>
    public virtual void Backward(Tensor x, ReadOnlySpan<Tensor?> gradients) { }
}
