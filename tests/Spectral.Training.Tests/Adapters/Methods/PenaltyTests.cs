using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>
/// What methods add to the loss: gradients against central differences of the penalties' definitions in double, ΔW made
/// for it.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class PenaltyTests(DeviceKind kind) : TrainingTest(kind)
{
    private const int Rank = 3;
    private const int TopK = 2;
    private const double Step = 1e-5; // of the differences in double
    private const double Tolerance = 1e-5; // of the largest: F32 products of a dozen terms

    [Test]
    public void Kasa() =>
        Verify(
            "kasa",
            [("beta", 0.3), ("gamma", 0.2)],
            (module, factors) =>
                0.3 * factors("lora_diag").Sum(value => value * value)
                + 0.2
                    * (
                        Orthonormality(Transposed(factors(LoraNames.B), module.Out), Rank)
                        + Orthonormality(factors(LoraNames.A), Rank)
                    )
        );

    [Test]
    public void Adalora() =>
        Verify(
            "adalora",
            [("gamma", 0.7), ("interval", 5)],
            (module, factors) =>
                0.7
                / 6
                * (
                    Orthonormality(Transposed(factors("lora_B"), module.Out), Rank)
                    + Orthonormality(factors("lora_A"), Rank)
                )
        ); // the mean over 3 layers' 2 factors

    /// <summary>The mean over 3 layers' 2 factors, with or without the diagonal.</summary>
    [TestCase(0)]
    [TestCase(1)]
    public void Mpc(int pattern) =>
        Verify(
            "mpc",
            [("gamma", 0.7), ("pattern", pattern)],
            (module, factors) =>
                0.7
                / 6
                * (
                    Distance(Transposed(factors(LoraNames.B), module.Out), pattern)
                    + Distance(factors(LoraNames.A), pattern)
                )
        );

    private static double Distance(double[] x, int pattern)
    {
        if (pattern == 0)
            return Orthonormality(x, Rank);
        int columns = x.Length / Rank;
        double Product(int i, int j) => Enumerable.Range(0, columns).Sum(c => x[i * columns + c] * x[j * columns + c]);
        return Math.Sqrt(
            Enumerable
                .Range(0, Rank * Rank)
                .Where(at => at / Rank != at % Rank)
                .Sum(at => Math.Pow(Product(at / Rank, at % Rank), 2))
        );
    }

    /// <summary>What is within λ costs nothing. λ lies between the norms of the factors of all layers.</summary>
    [TestCase("kasa", LoraNames.B, LoraNames.A, 1)]
    [TestCase("adalora", "lora_B", "lora_A", 1 / 6.0)]
    public void BeyondLambdaOnly(string method, string left, string right, double each)
    {
        double[] norms = Verified(0);
        double[] sizes = [.. norms.Select(norm => Math.Round(norm, 2)).Distinct().Order()];
        int gap = Enumerable.Range(1, sizes.Length - 1).MaxBy(i => sizes[i] - sizes[i - 1]);
        double lambda = (sizes[gap] + sizes[gap - 1]) / 2;
        Assert.That(Verified(lambda), Has.Some.LessThan(lambda).And.Some.GreaterThan(lambda));

        double[] Verified(double free)
        {
            var found = new List<double>();
            (string, double) other = method == "kasa" ? ("beta", 0) : ("interval", 5);
            Verify(
                method,
                [("gamma", 0.7), ("lambda-orthogonal", free), other],
                (module, factors) =>
                {
                    double columns = Orthonormality(Transposed(factors(left), module.Out), Rank);
                    double rows = Orthonormality(factors(right), Rank);
                    found.AddRange([columns, rows]);
                    return 0.7 * each * (Math.Max(0, columns - free) + Math.Max(0, rows - free));
                }
            );
            return [.. found];
        }
    }

    /// <summary>
    /// ΔW is formed: the closed form of r×r products is checked with it. It has the smaller of the two constants.
    /// </summary>
    [Test]
    public void OrthoReg() =>
        Verify(
            "orthoreg",
            [("lambda", 0.01)],
            (module, factors) =>
            {
                double[] change = Product(factors(LoraNames.B), factors(LoraNames.A), module.Out, Rank, module.In, 2);
                double norm =
                    module.Out < module.In
                        ? Orthonormality(change, module.Out)
                        : Orthonormality(Transposed(change, module.Out), module.In);
                return 0.01 * norm * norm;
            }
        );

    [Test]
    public void LambdaOrthogonal() =>
        Verify(
            "lambda-orthogonal",
            [("lambda", 0.5), ("weight", 0.7)],
            (module, factors) =>
            {
                double[] q = [.. factors("orthogonal_K").Select((k, i) => k + (i % (module.Out + 1) == 0 ? 1 : 0))];
                return 0.7 * Math.Max(0, Orthonormality(Transposed(q, module.Out), module.Out) - 0.5);
            }
        );

    [Test]
    public void Grafting() =>
        Verify(
            "grafting",
            [("lambda", 0.6)],
            (_, factors) => 0.6 * factors("graft_scores").Average(score => 1 / (1 + Math.Exp(-score)))
        );

    [Test]
    public void Taps() => Verify("taps", [("lambda", 0.3)], (_, factors) => 0.3 * factors("taps_p").Sum(Math.Abs));

    [Test]
    public void Pego() =>
        Verify(
            "pego",
            [("diversity", 0.4), ("preservation", 0.3)],
            (module, factors) =>
            {
                // rank 3 among 2 members: the first row and column, and the other two
                double[] left = Transposed(factors(LoraNames.B), module.Out);
                double[] kept = Product(
                    factors(LoraNames.A),
                    Transposed(factors("pego_V"), TopK),
                    Rank,
                    module.In,
                    TopK,
                    1
                );
                double apart = 0;
                for (int i = 0; i < Rank; i++)
                {
                    for (int j = 0; j < Rank; j++)
                    {
                        if ((i == 0) != (j == 0))
                        {
                            apart += Math.Pow(
                                Enumerable
                                    .Range(0, module.Out)
                                    .Sum(o => left[i * module.Out + o] * left[j * module.Out + o]),
                                2
                            );
                        }
                    }
                }

                return 0.4 * apart + 0.3 * kept.Sum(value => value * value);
            }
        );

    private void Verify(
        string method,
        (string Name, double Value)[] settings,
        Func<ModuleShape, Func<string, double[]>, double> penalty
    )
    {
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder);
        AdapterOptions options = new()
        {
            Rank = Rank,
            Alpha = 6,
            TopK = TopK,
            Seed = 4,
            TargetModules =
            [
                "model.layers.0.self_attn.k_proj",
                "model.layers.1.mlp.up_proj",
                "model.layers.1.mlp.down_proj",
            ],
            Settings = settings.ToDictionary(setting => setting.Name, setting => setting.Value),
        };
        using var adapter = Adapter.Attach(model, AdapterMethods.Find(method), options);
        TestAdapters.Randomize(adapter, 3);
        using AdamWOptimizer optimizer = new(adapter.Parameters, new AdamWOptions());
        optimizer.CompleteGradients();
        Assert.That(adapter.Modules, Has.Count.EqualTo(3));
        foreach (AdaptedModule module in adapter.Modules)
        {
            var factors = module.Factors.ToDictionary(
                pair => pair.Key,
                pair => Array.ConvertAll(pair.Value.Master.ToArray(), value => (double)value)
            );
            foreach ((string name, Parameter parameter) in module.Factors.Where(pair => pair.Value.Trains))
            {
                double[] expected = CentralDifferences.Of(
                    factors[name],
                    Step,
                    () => penalty(module.Shape, factor => factors[factor])
                );
                VerifyGradient(parameter.Gradient!.ToArray(), expected, Tolerance, parameter.Name);
            }
        }
        Assert.That(adapter.Parameters.Gradients.Any(gradient => gradient.ToArray().Any(value => value != 0)), Is.True);
    }

    /// <summary>‖X·Xᵀ − I‖_F of a matrix of so many rows.</summary>
    private static double Orthonormality(double[] x, int rows)
    {
        int columns = x.Length / rows;
        double sum = 0;
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < rows; j++)
            {
                sum += Math.Pow(
                    Enumerable.Range(0, columns).Sum(c => x[i * columns + c] * x[j * columns + c]) - (i == j ? 1 : 0),
                    2
                );
            }
        }

        return Math.Sqrt(sum);
    }

    private static double[] Transposed(double[] x, int rows)
    {
        int columns = x.Length / rows;
        return [.. Enumerable.Range(0, x.Length).Select(i => x[i % rows * columns + i / rows])];
    }

    private static double[] Product(double[] a, double[] b, int rows, int inner, int columns, double scale) =>
        [
            .. Enumerable
                .Range(0, rows * columns)
                .Select(i =>
                    scale
                    * Enumerable.Range(0, inner).Sum(p => a[i / columns * inner + p] * b[p * columns + i % columns])
                ),
        ];
}
