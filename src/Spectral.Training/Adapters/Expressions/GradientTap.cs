using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>
/// Another value, unchanged, whose gradient is summed up for a method to read between the steps. It takes the memory of
/// one more gradient.
/// </summary>
internal sealed class GradientTap : Expression, IObservedGradient
{
    private readonly Expression _x;
    private Tensor? _sum;

    public GradientTap(Expression x)
        : base(x.Shape, x) => _x = x;

    /// <summary>
    /// The gradient of all micro-batches since the last <see cref="Clear"/>; null: none has passed.
    /// </summary>
    public Tensor? Gradient => _sum;

    /// <inheritdoc/>
    public Tensor Total(Device device) => _sum ??= Tensor.Zeros(device, Shape);

    /// <inheritdoc/>
    public void Clear()
    {
        _sum?.Dispose();
        _sum = null;
    }

    protected override void Evaluate(Tensor value) => value.CopyFrom(_x.Value);

    protected override void Backward(Tensor gradient)
    {
        if (_sum is null)
        {
            _sum = Tensor.Empty(gradient.Device, gradient.Shape);
            _sum.CopyFrom(gradient);
        }
        else
        {
            Combine.Run(_sum, 1, gradient, 1, _sum);
        }

        WeightedSum.Pass(gradient, 1, _x);
    }

    internal override void Release()
    {
        base.Release();
        Clear();
    }
}
