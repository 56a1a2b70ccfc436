using Spectral.Kernels;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>
/// The gradient of a whole weight in one step, which a method reads between the steps and which is no parameter's.
/// </summary>
internal interface IObservedGradient
{
    /// <summary>
    /// Returns the sum over all micro-batches since the last <see cref="Clear"/>, [out, in] F32; zeros if none has
    /// passed. It belongs to this object.
    /// </summary>
    /// <param name="device">Where zeros are made.</param>
    Tensor Total(Device device);

    /// <summary>Drops the sum and its memory; the next micro-batch begins a new one.</summary>
    void Clear();
}
