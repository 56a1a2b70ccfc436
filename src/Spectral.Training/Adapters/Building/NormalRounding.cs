using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Building;

/// <summary>Rounds a factor to a few levels that follow from its own mean and deviation.</summary>
internal static class NormalRounding
{
    private const double LeastDeviation = 1e-5; // as in the authors' code: it is added

    /// <summary>
    /// Returns <c>ŵ = μ + σ q(u)</c> with <c>u = (w − μ) / (σ + 10⁻⁵)</c>, where q takes the normal level of u's cell
    /// (<see cref="NormalLevels"/>), μ is the mean of all entries and σ their deviation. The gradient takes q for the
    /// identity, and passes through u, μ and σ.
    /// </summary>
    /// <param name="w">The factor.</param>
    /// <param name="bits">The number of bits of an entry, 1 to <see cref="NormalLevels.MostBits"/>.</param>
    public static Expression Round(Factor w, int bits)
    {
        var levels = NormalLevels.Of(bits);
        long count = w.Shape.Count;
        Expression ones = Constant(w, w.Shape, 1);
        Expression mean = w.Dot(ones).Scale(1.0 / count);
        Expression centred = w.Subtract(ones.Multiply(mean, Broadcast.Single));
        Expression deviation = centred.Norm().Scale(1 / Math.Sqrt(Math.Max(1, count - 1)));
        Expression divisor = deviation.Add(Constant(w, 1, LeastDeviation));
        Expression normal = centred.Multiply(divisor.Reciprocal(), Broadcast.Single);
        Expression rounded = Steps(normal, ones, levels);
        return rounded
            .StraightThrough(normal)
            .Multiply(deviation, Broadcast.Single)
            .Add(ones.Multiply(mean, Broadcast.Single));
    }

    /// <summary>Returns Σ δ_k sign(x − t_k): half the distance of two levels, up or down at each bound.</summary>
    private static Expression Steps(Expression x, Expression ones, NormalLevels levels)
    {
        Expression? sum = null;
        for (int k = 0; k < levels.Bounds.Length; k++)
        {
            Expression side = x.Add(ones, 1, -levels.Bounds[k]).Sign();
            double half = (levels.Centres[k + 1] - levels.Centres[k]) / 2;
            sum = sum is null ? side.Scale(half) : sum.Add(side, 1, half);
        }
        return sum!;
    }

    private static ConstantTable Constant(Factor beside, Kernels.Shape shape, double value) =>
        new(beside, shape, ("constant", value), () => [.. Enumerable.Repeat((float)value, (int)shape.Count)]);
}
