using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>
/// The product s·x∘v, where v holds one number per row or per column of x, a single number, or one per element.
/// </summary>
internal sealed class BroadcastProduct(Expression x, Expression v, Broadcast broadcast, double scale)
    : Expression(x.Shape, x, v)
{
    protected override void Evaluate(Tensor value) =>
        BroadcastMultiply.Run(x.Value, v.Value, value, broadcast, (float)scale);

    protected override void Backward(Tensor gradient)
    {
        if (x.GradientBuffer(out bool adds) is { } dx)
            BroadcastMultiply.Run(gradient, v.Value, dx, broadcast, (float)scale, adds);
        if (v.GradientBuffer(out adds) is not { } dv)
            return;
        if (broadcast == Broadcast.PerElement)
            BroadcastMultiply.Run(gradient, x.Value, dv, broadcast, (float)scale, adds);
        else
            BroadcastDot.Run(gradient, x.Value, dv, broadcast, (float)scale, adds);
    }
}
