using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim.Methods;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class DctLowRankTests(DeviceKind kind) : SubspaceReferenceTest(kind)
{
    [Test]
    public void FollowsItsFormula([Values(1, 4)] int period)
    {
        Dictionary<string, int[]> chosen = [];
        int changes = 0;
        Follow(
            "dct-lowrank",
            new Dictionary<string, double> { ["rank"] = Rank, ["period"] = period },
            1,
            (optimizer, name, gradient, step, moments) =>
            {
                Dense all = Cosines(gradient.Rows);
                if ((step - 1) % period == 0)
                {
                    Dense products = all * gradient;
                    int[] largest =
                    [
                        .. Enumerable
                            .Range(0, products.Rows)
                            .OrderByDescending(k =>
                                Enumerable.Range(0, products.Columns).Sum(j => Math.Abs(products[k, j]))
                            )
                            .Take(Rank)
                            .Order(),
                    ];
                    if (chosen.TryGetValue(name, out int[]? before) && !before.SequenceEqual(largest))
                    {
                        changes++;
                        Move(moments.First, before, largest);
                        Move(moments.Second, before, largest);
                    }

                    chosen[name] = largest;
                }

                using Tensor index = StateOf(optimizer, $"chosen.{name}");
                Assert.That(index.ToInt32Array(), Is.EqualTo(chosen[name]), $"{name} in step {step}");
                return Dense.Of(Rank, all.Columns, (k, j) => all[chosen[name][k], j]);
            }
        );
        Assert.That(changes, Is.GreaterThan(5), "moments had to move");
    }

    /// <summary>Keeps the rows whose number is still chosen; others are zero.</summary>
    private static void Move(Dense moments, int[] before, int[] after)
    {
        double[] old = [.. moments.Values];
        for (int row = 0; row < after.Length; row++)
        {
            int from = Array.IndexOf(before, after[row]);
            for (int j = 0; j < moments.Columns; j++)
                moments.Values[row * moments.Columns + j] = from < 0 ? 0 : old[from * moments.Columns + j];
        }
    }

    private static Dense Cosines(int n) =>
        Dense.Of(n, n, (k, j) => Math.Sqrt((k == 0 ? 1.0 : 2.0) / n) * Math.Cos(Math.PI * (2 * j + 1) * k / (2.0 * n)));
}
