using Spectral.Training.Adapters.Expressions;
using static Spectral.Training.Tests.Adapters.Expressions.MatrixFormulas;

namespace Spectral.Training.Tests.Adapters.Expressions;

/// <summary>Products, inverses and rotations of matrices.</summary>
internal static class MatrixCases
{
    public static IEnumerable<ExpressionCase> All()
    {
        foreach ((bool ta, bool tb) in new[] { (false, false), (true, false), (false, true), (true, true) })
        {
            yield return new(
                $"product {ta} {tb}",
                [ta ? (4, 3) : (3, 4), tb ? (5, 4) : (4, 5)],
                x => x[0].MatMul(x[1], ta, tb, 0.7),
                x => Array.ConvertAll(Product(x[0], ta, x[1], tb, 3, 4, 5), value => 0.7 * value)
            );
            yield return new(
                $"batched product {ta} {tb}",
                [ta ? (2, 4, 3) : (2, 3, 4), tb ? (2, 5, 4) : (2, 4, 5)],
                x => x[0].MatMul(x[1], ta, tb),
                x =>
                    [
                        .. Product(x[0][..12], ta, x[1][..20], tb, 3, 4, 5),
                        .. Product(x[0][12..], ta, x[1][20..], tb, 3, 4, 5),
                    ]
            );
        }
        yield return new(
            "square product",
            [(2, 3, 3)],
            x => x[0].MatMul(x[0]),
            x =>
                [
                    .. Product(x[0][..9], false, x[0][..9], false, 3, 3, 3),
                    .. Product(x[0][9..], false, x[0][9..], false, 3, 3, 3),
                ]
        );
        foreach (bool transpose in new[] { false, true })
        {
            yield return new(
                $"block product {transpose}",
                [(4, 6), transpose ? (2, 5, 3) : (2, 3, 5)],
                x => x[0].MatMulBlocks(x[1], transpose),
                x =>
                {
                    double[] y = new double[4 * 10];
                    for (int b = 0; b < 2; b++)
                    {
                        double[] columns = Enumerable
                            .Range(0, 12)
                            .Select(at => x[0][at / 3 * 6 + b * 3 + at % 3])
                            .ToArray();
                        double[] block = Product(columns, false, x[1][(b * 15)..(b * 15 + 15)], transpose, 4, 3, 5);
                        for (int at = 0; at < 20; at++)
                            y[at / 5 * 10 + b * 5 + at % 5] = block[at];
                    }
                    return y;
                }
            );
        }

        yield return new(
            "inverse",
            [(4, 4)],
            x => x[0].AddIdentity(4).Inverse(),
            x => Inverse(Diagonal(x[0], 4, 1), 4)
        );
        yield return new(
            "batched inverse",
            [(2, 3, 3)],
            x => x[0].AddIdentity(4).Inverse(),
            x => [.. Inverse(Diagonal(x[0][..9], 4, 1), 3), .. Inverse(Diagonal(x[0][9..], 4, 1), 3)]
        );
        foreach (bool opposite in new[] { false, true })
        {
            yield return new(
                $"Cayley {opposite}",
                [(1, 6)],
                x => x[0].SkewSymmetric(4).Cayley(opposite),
                x =>
                {
                    double[] s = Array.ConvertAll(Skew(x[0], 4), value => opposite ? -value : value);
                    return Product(
                        Diagonal(Array.ConvertAll(s, value => -value), 1, 1),
                        false,
                        Inverse(Diagonal(s, 1, 1), 4),
                        false,
                        4,
                        4,
                        4
                    );
                }
            );
        }

        foreach (
            (int terms, double[] coefficients) in new[]
            {
                (3, new double[] { 1, 2, 2, 1 }),
                (4, [1, 2, 2, 1]),
                (5, [1, 2, 2, 2, 1]),
                (6, [1, 2, 2, 2, 2, 1]),
            }
        )
        {
            yield return new(
                $"Neumann {terms}",
                [(1, 6)],
                x => x[0].Scale(0.3).SkewSymmetric(4).Neumann(terms),
                x =>
                {
                    double[] s = Skew(Array.ConvertAll(x[0], value => 0.3 * value), 4);
                    double[] power = Diagonal(new double[16], 1, 1);
                    double[] sum = new double[16];
                    foreach (double coefficient in coefficients)
                    {
                        sum = [.. sum.Zip(power, (a, b) => a + coefficient * b)];
                        power = Product(power, false, s, false, 4, 4, 4);
                    }
                    return sum;
                }
            );
        }
    }
}
