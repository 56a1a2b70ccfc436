using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>A function applied to each element.</summary>
internal sealed class Mapped(Expression x, MapFunction function, double floor) : Expression(x.Shape, x)
{
    protected override void Evaluate(Tensor value) => ElementwiseMap.Forward(x.Value, value, function, (float)floor);

    protected override void Backward(Tensor gradient)
    {
        if (x.GradientBuffer(out bool adds) is { } dx)
            ElementwiseMap.Backward(x.Value, gradient, dx, function, (float)floor, adds);
    }
}
