using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>
/// The gradient of a weight of which single entries train. It is there from a step's first micro-batch until the method
/// has read it, 4 bytes for each entry of the weight.
/// </summary>
/// <param name="shape">The weight's shape, [out, in].</param>
internal sealed class ObservedGradient(Shape shape) : IObservedGradient
{
    private Tensor? _sum;

    /// <summary>Adds <c>dyᵀ x</c>.</summary>
    /// <param name="dy">Gradients of a layer's outputs, [M, out].</param>
    /// <param name="x">Its inputs, [M, in].</param>
    public void Add(Tensor dy, Tensor x)
    {
        bool adds = _sum is not null;
        _sum ??= Tensor.Empty(dy.Device, shape);
        Gemm.Run(Gemm.Transposed(dy), x, _sum, 1, adds ? 1 : 0);
    }

    /// <inheritdoc/>
    public Tensor Total(Device device) => _sum ??= Tensor.Zeros(device, shape);

    /// <inheritdoc/>
    public void Clear()
    {
        _sum?.Dispose();
        _sum = null;
    }
}
