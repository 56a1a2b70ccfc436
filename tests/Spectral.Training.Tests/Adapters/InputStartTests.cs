using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Calibration;

namespace Spectral.Training.Tests.Adapters;

/// <summary>Starts from the inputs of layers, against what their papers say of them.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class InputStartTests(DeviceKind kind) : DataMethodTest(kind)
{
    [Test]
    public void CordaTakesTheTripletsOfTheWeightInTheMetricOfItsInputs([Values("ipm", "kpm")] string mode)
    {
        foreach (
            (AdaptedModule module, double[] moment) in Attached(
                "corda",
                data => data.InputSecondMoments,
                ("mode", mode)
            )
        )
        {
            (int rows, int columns) = (module.Shape.Out, module.Shape.In);
            double mean = Enumerable.Range(0, columns).Average(i => moment[i * columns + i]);
            for (int i = 0; i < columns; i++)
                moment[i * columns + i] += 0.01 * mean;
            double[] product = Multiply(Weight(module), moment, rows, columns, columns);
            (double[][] u, double[] s, double[][] v) = Triplets(product, module.Shape);
            int[] which = [.. Enumerable.Range(mode == "ipm" ? 0 : Math.Min(rows, columns) - Rank, Rank)];
            // s·L·R·Σ is the wanted part of W·Σ, without forming the inverse that the paper multiplies by.
            double[] started = Multiply(Product(module), moment, rows, columns, columns);
            Verify(
                started,
                Sum(module.Shape, Rank, i => s[which[i]], [.. which.Select(i => u[i])], [.. which.Select(i => v[i])]),
                product.Max(Math.Abs)
            );
            for (int i = 0; i < Rank; i++)
            {
                Assert.That(
                    Norm(Column(module, LoraNames.B, i)),
                    Is.EqualTo(Math.Sqrt(s[which[i]] / module.Options.Scale)).Within(1e-4 * Math.Sqrt(s[0])),
                    "L = U √(S/s)"
                );
            }

            Assert.That(Change(module), Is.All.EqualTo(0).Within(1e-7));
        }
    }

    [Test]
    public void EvaSharesOutItsRanksByExplainedVariance(
        [Values("1", "1.5", "2")] string rho,
        [Values] bool rankStabilized
    )
    {
        AdapterOptions options = Options with
        {
            TargetModules = AdapterOptions.AllProjections,
            RankStabilized = rankStabilized,
        };
        using Adapter adapter = Attach("eva", options, ("rho", rho));
        int most = (int)Math.Round(double.Parse(rho, System.Globalization.CultureInfo.InvariantCulture) * Rank);
        string[] all = [.. Model.Linears.Select(linear => linear.Name)];
        double[][] shares =
        [
            .. Data.InputDirections(all, most, labelled: true).Select(found => found.ExplainedVariance[..most]),
        ];
        var ranks = adapter.Modules.ToDictionary(module => module.Shape.Name, module => module.Options.Rank);
        Assert.Multiple(() =>
        {
            Assert.That(ranks.Values.Sum(), Is.EqualTo(Rank * all.Length), "no rank is lost");
            Assert.That(ranks.Values, Is.All.InRange(1, most));
            Assert.That(ranks.Values.Distinct().Count(), most == Rank ? Is.EqualTo(1) : Is.GreaterThan(1));
            Assert.That(
                adapter.Modules.Select(module => module.Options.Scale),
                Is.All.EqualTo(options.Scale).Within(1e-12)
            );
            Assert.That(
                adapter.Options.TargetModules,
                ranks.Count == all.Length ? Is.EqualTo(Model.Config.Family.DefaultTargets) : Is.EquivalentTo(ranks.Keys)
            );
        });
        // No share left out is larger than one taken.
        double least = all.Zip(shares).SelectMany(pair => pair.Second.Take(ranks.GetValueOrDefault(pair.First))).Min();
        double largest = all.Zip(shares)
            .SelectMany(pair => pair.Second.Skip(ranks.GetValueOrDefault(pair.First)))
            .DefaultIfEmpty(0)
            .Max();
        Assert.That(largest, Is.LessThanOrEqualTo(least));
    }

    [Test]
    public void EvaStartsFromTheInputsDirections([Values("off", "on")] string whiten, [Values("off", "on")] string mask)
    {
        using Adapter adapter = Attach("eva", Options, ("whiten", whiten), ("use-label-mask", mask));
        IReadOnlyList<InputDirections> directions = Data.InputDirections(
            [.. adapter.Modules.Select(module => module.Shape.Name)],
            1,
            labelled: mask == "on"
        );
        foreach ((AdaptedModule module, InputDirections found) in adapter.Modules.Zip(directions))
        {
            for (int i = 0; i < module.Options.Rank; i++)
            {
                double size = whiten == "on" ? Math.Sqrt(found.SingularValues[i]) : 1;
                Verify(
                    Row(module, LoraNames.A, i),
                    [.. found.Vectors.Skip(i * found.Features).Take(found.Features).Select(x => x / size)]
                );
            }
            Assert.That(module.Factors[LoraNames.B].Master.ToArray(), Is.All.Zero);
        }
    }
}
