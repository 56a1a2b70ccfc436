using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim.Methods;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class DctLowRankTests(DeviceKind kind) : SubspaceReferenceTest(kind)
{
    [Test]
    public void FollowsItsFormula([Values(1, 4)] int period, [Values] bool feedback)
    {
        Dictionary<string, int[]> chosen = [];
        Dictionary<string, double[]> errors = []; // before clipping
        int changes = 0;
        Follow(
            "dct-lowrank",
            new Dictionary<string, double>
            {
                ["rank"] = Rank,
                ["period"] = period,
                ["error-feedback"] = feedback ? 1 : 0,
            },
            1,
            (optimizer, name, gradient, step, moments, clip) =>
            {
                Dense all = Cosines(gradient.Rows);
                for (int i = 0; errors.TryGetValue(name, out double[]? error) && i < error.Length; i++)
                    gradient.Values[i] += clip * error[i];
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
                var basis = Dense.Of(Rank, all.Columns, (k, j) => all[chosen[name][k], j]);
                if (feedback)
                {
                    Dense inside = basis.Transposed * (basis * gradient);
                    errors[name] = [.. gradient.Values.Zip(inside.Values, (whole, part) => (whole - part) / clip)];
                }

                return basis;
            }
        );
        Assert.That(changes, Is.GreaterThan(5), "moments had to move");
    }

    /// <summary>So that it is saved and restored as all state is.</summary>
    [Test]
    public void TheErrorIsStateAndIsCounted()
    {
        ParameterSet parameters = Keep(new ParameterSet(Device, [("wide", (6, 9)), ("tall", (9, 6)), ("vector", 5)]));
        Dictionary<string, double> settings = new() { ["rank"] = 2, ["error-feedback"] = 1 };
        OptimizerMethod method = OptimizerMethods.Find("dct-lowrank");
        using Optimizer optimizer = method.Create(parameters, new AdamWOptions(), settings);
        Assert.Multiple(() =>
        {
            Assert.That(
                optimizer.StateBytes,
                Is.EqualTo(parameters.Parameters.Sum(parameter => method.StateBytes(parameter.Shape, settings)))
            );
            Assert.That(
                optimizer.States.Select(state => state.Name),
                Is.SupersetOf(new[] { "error.wide", "error.tall" }).And.None.EqualTo("error.vector")
            );
        });
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
