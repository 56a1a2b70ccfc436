using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Tests.Adapters.Expressions;

/// <summary>
/// Operations of single methods: random combinations, mixtures of a bank, gradients straight through.
/// </summary>
internal static class SpecialCases
{
    public static IEnumerable<ExpressionCase> All()
    {
        yield return new(
            "random combination",
            [3, (4, 5)],
            x => x[0].RandomCombination(x[1], (4, 5), 7, 100, 0.5),
            x => [.. Random(x[0]).Zip(x[1], (a, b) => a + b)]
        );
        yield return new(
            "random combination alone",
            [3],
            x => x[0].RandomCombination(null, (4, 5), 7, 100, 0.5),
            x => Random(x[0])
        );
        yield return new(
            "mixture",
            [(4, 6), (6, 5)],
            x => x[0].TopKMixture(x[1], 2),
            x =>
            {
                double[] y = new double[20];
                for (int p = 0; p < 4; p++)
                {
                    int[] order = Enumerable.Range(0, 6).OrderByDescending(j => x[0][p * 6 + j]).Take(2).ToArray();
                    double sum = order.Sum(j => Math.Exp(x[0][p * 6 + j]));
                    foreach (int j in order)
                    {
                        for (int c = 0; c < 5; c++)
                            y[p * 5 + c] += Math.Exp(x[0][p * 6 + j]) / sum * x[1][j * 5 + c];
                    }
                }
                return y;
            }
        );

        yield return new("gradient tap", [(4, 5)], x => new GradientTap(x[0]), x => x[0]);

        // The one form in which the gradient that is passed on is that of the value.
        yield return new("straight through", [(4, 5)], x => x[0].Detach().StraightThrough(x[0]), x => x[0]);

        static double[] Random(double[] alpha)
        {
            Device device = Devices.Get(DeviceKind.Cpu);
            double[] y = new double[20];
            for (int i = 0; i < alpha.Length; i++)
            {
                using var u = Tensor.Empty(device, 20);
                Philox.Uniform(u, 7, 100 + (ulong)i, -0.5f, 0.5f);
                y = [.. y.Zip(u.ToArray(), (a, b) => a + alpha[i] * b)];
            }
            return y;
        }
    }
}
