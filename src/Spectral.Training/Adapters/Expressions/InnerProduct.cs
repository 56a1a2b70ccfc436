using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>The sum Σ x∘y over each row, over each column or over everything.</summary>
internal sealed class InnerProduct(Expression x, Expression y, Broadcast broadcast)
    : Expression(Sums(x.Shape, broadcast), x, y)
{
    protected override void Evaluate(Tensor value) => BroadcastDot.Run(x.Value, y.Value, value, broadcast);

    protected override void Backward(Tensor gradient)
    {
        bool same = ReferenceEquals(x, y);
        if (x.GradientBuffer(out bool adds) is { } dx)
            BroadcastMultiply.Run(y.Value, gradient, dx, broadcast, same ? 2 : 1, adds);
        if (!same && y.GradientBuffer(out adds) is { } dy)
            BroadcastMultiply.Run(x.Value, gradient, dy, broadcast, 1, adds);
    }

    private static Shape Sums(Shape x, Broadcast broadcast) =>
        (broadcast, x.Rank) switch
        {
            (Broadcast.Single, _) => 1,
            (Broadcast.PerColumn, > 0) => x[x.Rank - 1],
            (Broadcast.PerRow, 2) => x[0],
            (Broadcast.PerRow, 3) => (x[0], x[1]),
            _ => throw new ArgumentException($"sums {broadcast} of {x}", nameof(broadcast)),
        };
}
