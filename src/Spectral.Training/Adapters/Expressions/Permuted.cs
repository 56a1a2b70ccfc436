using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>The dimensions in another order: dimension k is dimension axes[k] of x.</summary>
internal sealed class Permuted(Expression x, int[] axes) : Expression(Permute.Of(x.Shape, axes), x)
{
    private readonly int[] _back = [.. Enumerable.Range(0, axes.Length).Select(axis => Array.IndexOf(axes, axis))];

    protected override void Evaluate(Tensor value) => Permute.Run(x.Value, axes, value);

    protected override void Backward(Tensor gradient)
    {
        if (x.GradientBuffer(out bool adds) is { } dx)
            Permute.Run(gradient, _back, dx, adds);
    }
}
