using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Tests.Adapters.Expressions;

/// <summary>Operations on elements: products, sums, norms and functions.</summary>
internal static class ElementCases
{
    private const double Floor = 0.3;

    public static IEnumerable<ExpressionCase> All()
    {
        foreach (Broadcast broadcast in Enum.GetValues<Broadcast>())
        {
            Shape v = broadcast switch
            {
                Broadcast.PerRow => 5,
                Broadcast.PerColumn => 7,
                Broadcast.Single => 1,
                _ => (5, 7),
            };
            int At(int at) =>
                broadcast switch
                {
                    Broadcast.PerRow => at / 7,
                    Broadcast.PerColumn => at % 7,
                    Broadcast.Single => 0,
                    _ => at,
                };
            yield return new(
                $"multiply {broadcast}",
                [(5, 7), v],
                x => x[0].Multiply(x[1], broadcast, -0.5),
                x => [.. x[0].Select((a, at) => -0.5 * a * x[1][At(at)])]
            );
            if (broadcast == Broadcast.PerElement)
                continue;
            double[] Sums(double[] a, double[] b) =>
                [
                    .. Enumerable
                        .Range(0, (int)v.Count)
                        .Select(k => a.Select((value, at) => At(at) == k ? value * b[at] : 0).Sum()),
                ];
            yield return new(
                $"dot {broadcast}",
                [(5, 7), (5, 7)],
                x => x[0].Dot(x[1], broadcast),
                x => Sums(x[0], x[1])
            );
            yield return new(
                $"norm {broadcast}",
                [(5, 7)],
                x => x[0].Norm(broadcast, Floor),
                x => Array.ConvertAll(Sums(x[0], x[0]), s => Math.Max(Math.Sqrt(s), Floor))
            );
        }
        yield return new(
            "square of itself",
            [(3, 4)],
            x => x[0].Multiply(x[0], Broadcast.PerElement),
            x => Array.ConvertAll(x[0], a => a * a)
        );
        yield return new(
            "reciprocal",
            [6],
            x => x[0].Square().Max(Floor).Reciprocal(),
            x => Array.ConvertAll(x[0], a => 1 / Math.Max(a * a, Floor))
        );
        yield return new(
            "root",
            [6],
            x => x[0].Sqrt(Floor),
            x => Array.ConvertAll(x[0], a => Math.Sqrt(Math.Max(a, Floor)))
        );
        yield return new("exp", [6], x => x[0].Exp(), x => Array.ConvertAll(x[0], Math.Exp));
        yield return new("cosine", [6], x => x[0].Cos(), x => Array.ConvertAll(x[0], Math.Cos));
        yield return new("sine", [6], x => x[0].Sin(), x => Array.ConvertAll(x[0], Math.Sin));
        yield return new("max", [6], x => x[0].Max(Floor), x => Array.ConvertAll(x[0], a => Math.Max(a, Floor)));
        yield return new(
            "sum",
            [(3, 4), (3, 4)],
            x => x[0].Add(x[1], 0.3, -1.7),
            x => [.. x[0].Zip(x[1], (a, b) => 0.3 * a - 1.7 * b)]
        );
        yield return new(
            "difference from itself scaled",
            [(3, 4)],
            x => x[0].Subtract(x[0].Scale(0.25)),
            x => Array.ConvertAll(x[0], a => 0.75 * a)
        );
        yield return new(
            "identity",
            [(2, 3, 5)],
            x => x[0].AddIdentity(2.5, -1),
            x => [.. x[0].Select((a, at) => -a + (at / 5 % 3 == at % 5 ? 2.5 : 0))]
        );
    }
}
