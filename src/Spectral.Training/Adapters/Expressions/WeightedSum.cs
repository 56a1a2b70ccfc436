using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>The weighted sum αx + βy; αx alone where y is null.</summary>
internal sealed class WeightedSum : Expression
{
    private readonly Expression _x;
    private readonly Expression? _y;
    private readonly float _alpha;
    private readonly float _beta;

    public WeightedSum(Expression x, double alpha, Expression? y = null, double beta = 0)
        : base(x.Shape, y is null ? [x] : [x, y])
    {
        if (y is not null && y.Shape != x.Shape)
            throw new ArgumentException($"a sum of {x.Shape} and {y.Shape}", nameof(y));
        (_x, _y, _alpha, _beta) = (x, y, (float)alpha, (float)beta);
    }

    protected override void Evaluate(Tensor value) => Combine.Run(_x.Value, _alpha, _y?.Value, _beta, value);

    protected override void Backward(Tensor gradient)
    {
        Pass(gradient, _alpha, _x);
        if (_y is not null)
            Pass(gradient, _beta, _y);
    }

    /// <summary>Adds a multiple of a gradient to the gradient of an input with the same number of elements.</summary>
    internal static void Pass(Tensor gradient, float scale, Expression input)
    {
        if (input.GradientBuffer(out bool adds) is not { } buffer)
            return;
        using Tensor contribution = gradient.View(buffer.Shape);
        Combine.Run(contribution, scale, adds ? buffer : null, 1, buffer);
    }
}
