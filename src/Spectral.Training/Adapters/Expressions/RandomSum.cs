using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>The sum origin + Σ_i α_i u_i with random directions u_i that are never stored.</summary>
internal sealed class RandomSum : Expression
{
    private readonly Expression _alpha;
    private readonly Expression? _origin;
    private readonly ulong _seed;
    private readonly ulong _firstStream;
    private readonly float _bound;

    public RandomSum(Expression alpha, Expression? origin, Shape shape, ulong seed, ulong firstStream, double bound)
        : base(shape, origin is null ? [alpha] : [alpha, origin])
    {
        if (alpha.Shape.Rank != 1 || (origin is not null && origin.Shape != shape))
        {
            throw new ArgumentException(
                $"{alpha.Shape} random directions {shape}{(origin is null ? "" : $" added to {origin.Shape}")}",
                nameof(alpha)
            );
        }

        (_alpha, _origin, _seed, _firstStream, _bound) = (alpha, origin, seed, firstStream, (float)bound);
    }

    protected override void Evaluate(Tensor value) =>
        RandomCombination.Forward(_origin?.Value, _alpha.Value, value, _seed, _firstStream, _bound);

    protected override void Backward(Tensor gradient)
    {
        if (_alpha.GradientBuffer(out bool adds) is { } dAlpha)
            RandomCombination.Backward(gradient, dAlpha, _seed, _firstStream, _bound, adds);
        if (_origin is not null)
            WeightedSum.Pass(gradient, 1, _origin);
    }
}
