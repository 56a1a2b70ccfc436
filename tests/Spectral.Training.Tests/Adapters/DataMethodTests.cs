using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Autograd;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>
/// The start values of methods that take them from data, against what their papers say of gradient and inputs, in
/// double.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class DataMethodTests(DeviceKind kind) : TrainingTest(kind)
{
    private const int Rank = 3;

    // of the largest element: F32 products and decompositions of matrices of a dozen columns
    private const double Tolerance = 2e-5;

    private static readonly AdapterOptions Options = new()
    {
        Rank = Rank,
        Alpha = 6,
        Seed = 5,
        TargetModules = ["k_proj", "down_proj"],
    };

    private CausalLanguageModel Model { get; set; } = null!;

    private ModelCalibration Data { get; set; } = null!;

    [SetUp]
    public void Load()
    {
        Model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Data = new ModelCalibration(Model, TinyModels.Records(7, TinyModels.Llama, new Random(3)), 2);
    }

    [Test]
    public void LoraGaTakesBothFactorsFromTheGradient(
        [Values("arb2r", "a2rbr", "arbr")] string direction,
        [Values("stable", "weight-svd", "gd-scale", "unit")] string scaling
    )
    {
        foreach (
            (AdaptedModule module, double[] gradient) in Attached(
                "lora-ga",
                Gradients,
                ("direction", direction),
                ("scaling", scaling)
            )
        )
        {
            (double[][] u, double[] s, double[][] v) = Triplets(gradient, module.Shape);
            int[] left =
            [
                .. Enumerable
                    .Range(0, Rank)
                    .Select(i =>
                        direction switch
                        {
                            "arb2r" => Rank + i,
                            "a2rbr" => i,
                            _ => 2 * i,
                        }
                    ),
            ];
            int[] right =
            [
                .. Enumerable
                    .Range(0, Rank)
                    .Select(i =>
                        direction switch
                        {
                            "arb2r" => i,
                            "a2rbr" => Rank + i,
                            _ => 2 * i + 1,
                        }
                    ),
            ];
            (double ofB, double ofA) = scaling switch
            {
                "stable" => (Math.Pow(module.Shape.Out, 0.25) / 4, 1), // γ = 16
                "weight-svd" => (Triplets(Weight(module), module.Shape).Values[0] / s[left[0]], 1),
                "gd-scale" => (0.5, 0.5), // s = 6 / 3
                _ => (1.0, 1.0),
            };
            // Each triplet's sign is free, the same for both its vectors; here the two come from different triplets, so
            // compare up to sign.
            for (int i = 0; i < Rank; i++)
            {
                VerifyUpToSign(Column(module, LoraNames.B, i), [.. u[left[i]].Select(x => ofB * s[left[i]] * x)]);
                VerifyUpToSign(Row(module, LoraNames.A, i), [.. v[right[i]].Select(x => ofA * x)]);
            }
            Assert.That(Change(module), Is.All.EqualTo(0).Within(1e-7), "what the start adds is taken away again");
        }
    }

    [Test]
    public void LoraOneStartsOneStepAgainstTheGradient()
    {
        const double Gamma = 50;
        const double Scale = 6 / 1.7320508075688772;
        foreach ((AdaptedModule module, double[] gradient) in Attached("lora-one", Gradients, ("gamma", "50")))
        {
            (double[][] u, double[] s, double[][] v) = Triplets(gradient, module.Shape);
            Verify(Change(module), Sum(module.Shape, Rank, i => -Scale * s[i] / (s[0] * Gamma), u, v));
            for (int i = 0; i < Rank; i++)
            {
                Assert.That(
                    Norm(Column(module, LoraNames.B, i)),
                    Is.EqualTo(Norm(Row(module, LoraNames.A, i))).Within(1e-5),
                    "the size is shared evenly"
                );
            }
        }
    }

    [Test]
    public void LoraSbStartsAsAdamsFirstStepAndFollowsTheFullGradient()
    {
        foreach ((AdaptedModule module, double[] gradient) in Attached("lora-sb", Gradients, ("step", "0.01")))
        {
            (double[][] u, double[] s, double[][] v) = Triplets(
                [.. gradient.Select(value => (double)Math.Sign(value))],
                module.Shape
            );
            Verify(Change(module), Sum(module.Shape, Rank, i => -0.01 * s[i], u, v));
            float[] middle = module.Factors["lora_latent"].Master.ToArray();
            for (int i = 0; i < Rank * Rank; i++)
                Assert.That(middle[i], Is.EqualTo(i % (Rank + 1) == 0 ? 0.01 * s[i / Rank] : 0).Within(1e-6 * s[0]));
        }
    }

    [Test]
    public void LoraSbsGradientIsTheBestApproximationOfTheFullOne()
    {
        EncodedRecord[] records = TinyModels.Records(5, TinyModels.Llama, new Random(9));
        string[] names =
        [
            .. Model.Linears.Select(linear => linear.Name).Where(name => Options.TargetModules.Any(name.EndsWith)),
        ];
        double[][] full =
        [
            .. new ModelCalibration(Model, records, records.Length)
                .Gradients(names)
                .Select(tensor =>
                {
                    using (tensor)
                        return Array.ConvertAll(tensor.ToArray(), value => (double)value);
                }),
        ];
        using Adapter adapter = Attach("lora-sb", Options);
        Assert.That(adapter.TrainableCount, Is.EqualTo(names.Length * Rank * Rank), "C alone");
        adapter.Parameters.EnableGradients();
        foreach (Parameter middle in adapter.Parameters.Parameters)
            middle.Master.Clear(); // the weights that the full gradient was taken at
        adapter.Parameters.NotifyChanged();
        using BatchTensors batch = new(Device, Batch.Create(records));
        using (Tape tape = new(Device))
        using (Model.Loss(tape, batch, 1f / batch.Source.LossTokens))
            tape.Backward();
        foreach ((AdaptedModule module, double[] gradient) in adapter.Modules.Zip(full))
        {
            (int rows, int columns) = (module.Shape.Out, module.Shape.In);
            double[] Factor(string name) =>
                Array.ConvertAll(module.Factors[name].Master.ToArray(), value => (double)value);
            double[] left = Factor(LoraNames.B);
            double[] right = Factor(LoraNames.A);
            double[] change = Array.ConvertAll(
                module.Factors["lora_latent"].Gradient!.ToArray(),
                value => (double)value
            );
            // The rest of the full gradient is orthogonal to every direction that C can take: no other step in the
            // subspace comes nearer.
            double[] rest =
            [
                .. gradient.Zip(
                    Multiply(Multiply(left, change, rows, Rank, Rank), right, rows, Rank, columns),
                    (whole, part) => whole - part
                ),
            ];
            for (int i = 0; i < Rank; i++)
            {
                for (int j = 0; j < Rank; j++)
                {
                    double along = 0;
                    for (int row = 0; row < rows; row++)
                    {
                        for (int column = 0; column < columns; column++)
                            along += left[row * Rank + i] * rest[row * columns + column] * right[j * columns + column];
                    }

                    Assert.That(along, Is.EqualTo(0).Within(Tolerance * gradient.Max(Math.Abs)), module.Shape.Name);
                }
            }
        }
    }

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
                ranks.Count == all.Length ? Is.EqualTo(options.TargetModules) : Is.EquivalentTo(ranks.Keys)
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

    [Test]
    public void GradientsOfWhatTrains([Values("lora-ga", "lora-one", "lora-sb", "eva", "corda")] string method)
    {
        using Adapter adapter = Attach(method, Options);
        TestAdapters.Randomize(adapter, 23);
        adapter.Parameters.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(3, TinyModels.Llama, new Random(4)));
        using (BatchTensors tensors = new(Device, batch))
        using (Tape tape = new(Device))
        using (Model.Loss(tape, tensors, 1))
            tape.Backward();
        var factors = adapter
            .Modules.SelectMany(module => module.Factors.Values)
            .ToDictionary(
                factor => factor.Name,
                factor => Array.ConvertAll(factor.Master.ToArray(), value => (double)value)
            );
        ReferenceModel reference = new(Model.Config, TestAdapters.Weights(Folder.Path)) { WeightChange = Dense };
        foreach (Parameter parameter in adapter.Parameters.Parameters)
        {
            VerifyGradient(
                parameter.Gradient!.ToArray(),
                CentralDifferences.Of(factors[parameter.Name], 1e-5, () => reference.LossSum(batch)),
                Tolerance,
                parameter.Name
            );
        }

        double[]? Dense(string linear)
        {
            if (adapter.Modules.FirstOrDefault(module => module.Shape.Name == linear) is not { } module)
                return null;
            int rank = module.Options.Rank;
            double[] Product(string suffix) =>
                Multiply(
                    factors[$"{linear}.{LoraNames.B}{suffix}"],
                    factors[$"{linear}.{LoraNames.A}{suffix}"],
                    module.Shape.Out,
                    rank,
                    module.Shape.In
                );
            return method switch
            {
                "lora-one" => [.. Product("").Select(value => 6 / Math.Sqrt(3) * value)],
                "lora-sb" => Multiply(
                    Multiply(
                        factors[$"{linear}.{LoraNames.B}"],
                        factors[$"{linear}.lora_latent"],
                        module.Shape.Out,
                        rank,
                        rank
                    ),
                    factors[$"{linear}.{LoraNames.A}"],
                    module.Shape.Out,
                    rank,
                    module.Shape.In
                ),
                "eva" => [.. Product("").Select(value => 2 * value)], // 6 / 3 whatever the layer's rank
                _ => [.. Product("").Zip(Product(".start"), (now, before) => 2 * (now - before))],
            };
        }
    }

    [Test]
    public void AllStartFromABf16Model([Values("lora-ga", "lora-one", "lora-sb", "eva", "corda")] string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder, DType.BF16));
        EncodedRecord[] records = TinyModels.Records(5, TinyModels.Llama, new Random(9));
        double before = Evaluator.Evaluate(model, records).Loss;
        using var adapter = Adapter.Attach(
            model,
            AdapterMethods.Find(method),
            Options,
            new ModelCalibration(model, records, 2)
        );
        double after = Evaluator.Evaluate(model, records).Loss;
        if (adapter.Method.StartsAtBase)
        {
            Assert.That(
                after,
                Is.EqualTo(before).Within(1).Percent,
                "what is added is subtracted, each rounded to 8 bits on its way"
            );
        }
        else
        {
            Assert.That(after, Is.LessThan(before), "a step against the gradient of these records");
        }

        foreach (AdaptedModule module in adapter.Modules)
            Assert.That(Norm(Row(module, LoraNames.A, 0)), Is.GreaterThan(0).And.LessThan(100), module.Shape.Name);
    }

    [Test]
    public void RanksThatDoNotFitAreNamed()
    {
        // k_proj is [8, 12]: LoRA-GA takes twice as many triplets as its rank.
        Assert.That(
            () => Attach("lora-ga", Options with { Rank = 5 }),
            Throws.TypeOf<InputException>().With.Message.Contains("twice rank 10").And.Message.Contains("1 to 8")
        );
        Assert.That(
            () => Attach("lora-one", Options with { Rank = 9 }),
            Throws.TypeOf<InputException>().With.Message.Contains("rank 9")
        );
        Assert.That(
            () => Attach("lora-sb", Options with { Rank = 9 }),
            Throws.TypeOf<InputException>().With.Message.Contains("rank 9")
        );
        Assert.That(
            () => Attach("corda", Options with { Rank = 9 }),
            Throws.TypeOf<InputException>().With.Message.Contains("rank 9")
        );
        Assert.That(
            () => Attach("eva", Options with { Rank = 0 }),
            Throws.TypeOf<InputException>().With.Message.Contains("at least 1")
        );
    }

    private Adapter Attach(string method, AdapterOptions options, params (string Name, string Value)[] settings)
    {
        AdapterMethod found = AdapterMethods.Find(method);
        Dictionary<string, double> values = settings.ToDictionary(
            given => given.Name,
            given => found.Settings.Single(setting => setting.Name == given.Name).Parse(given.Value)
        );
        return Adapter.Attach(Model, found, options with { Settings = values }, Data);
    }

    private static Func<IReadOnlyList<string>, IEnumerable<Tensor>> Gradients(ModelCalibration data) => data.Gradients;

    /// <summary>
    /// A fresh adapter's layers, each with what the calibration says of it. The adapter is gone after the last.
    /// </summary>
    private IEnumerable<(AdaptedModule Module, double[] Seen)> Attached(
        string method,
        Func<ModelCalibration, Func<IReadOnlyList<string>, IEnumerable<Tensor>>> see,
        params (string Name, string Value)[] settings
    )
    {
        string[] names =
        [
            .. Model.Linears.Select(linear => linear.Name).Where(name => Options.TargetModules.Any(name.EndsWith)),
        ];
        double[][] seen =
        [
            .. see(Data)(names)
                .Select(tensor =>
                {
                    using (tensor)
                        return Array.ConvertAll(tensor.ToArray(), value => (double)value);
                }),
        ];
        using Adapter adapter = Attach(method, Options, settings);
        Assert.That(adapter.Modules, Has.Count.EqualTo(4));
        for (int i = 0; i < names.Length; i++)
            yield return (adapter.Modules[i], seen[i]);
    }

    /// <summary>
    /// All triplets of a matrix, from the library's own decomposition, which its own tests vouch for.
    /// </summary>
    private (double[][] Left, double[] Values, double[][] Right) Triplets(double[] matrix, ModuleShape shape)
    {
        using var tensor = Tensor.From(Device, [.. matrix.Select(value => (float)value)], (shape.Out, shape.In));
        using SvdResult svd = Svd.Compute(tensor, Math.Min(shape.Out, shape.In), SvdMethod.Exact);
        float[] u = svd.U.ToArray();
        float[] v = svd.Vt.ToArray();
        float[] s = svd.S.ToArray();
        return (
            [
                .. s.Select(
                    (_, k) => (double[])[.. Enumerable.Range(0, shape.Out).Select(i => (double)u[i * s.Length + k])]
                ),
            ],
            Array.ConvertAll(s, value => (double)value),
            [.. s.Select((_, k) => Array.ConvertAll(v[(k * shape.In)..((k + 1) * shape.In)], value => (double)value))]
        );
    }

    private double[] Weight(AdaptedModule module) =>
        Array.ConvertAll(
            Model.Linears.Single(linear => linear.Name == module.Shape.Name).Weight.Value.ToArray(),
            value => (double)value
        );

    /// <summary>Σ of all terms s·L·R.</summary>
    private static double[] Change(AdaptedModule module)
    {
        double[] change = new double[module.Shape.Out * module.Shape.In];
        foreach (LowRankTerm term in module.Form.Terms)
        {
            double[] product = Multiply(
                Array.ConvertAll(term.Left.Value.ToArray(), value => (double)value),
                Array.ConvertAll(term.Right.Value.ToArray(), value => (double)value),
                module.Shape.Out,
                term.Rank,
                module.Shape.In
            );
            for (int i = 0; i < change.Length; i++)
                change[i] += term.Scale * product[i];
        }
        return change;
    }

    /// <summary>s·B·A alone.</summary>
    private static double[] Product(AdaptedModule module) =>
        [
            .. Multiply(
                    Array.ConvertAll(module.Factors[LoraNames.B].Master.ToArray(), value => (double)value),
                    Array.ConvertAll(module.Factors[LoraNames.A].Master.ToArray(), value => (double)value),
                    module.Shape.Out,
                    Rank,
                    module.Shape.In
                )
                .Select(value => module.Options.Scale * value),
        ];

    private static double[] Sum(
        ModuleShape shape,
        int count,
        Func<int, double> weight,
        double[][] left,
        double[][] right
    )
    {
        double[] sum = new double[shape.Out * shape.In];
        for (int k = 0; k < count; k++)
        {
            for (int i = 0; i < shape.Out; i++)
            {
                for (int j = 0; j < shape.In; j++)
                    sum[i * shape.In + j] += weight(k) * left[k][i] * right[k][j];
            }
        }

        return sum;
    }

    private static double[] Multiply(double[] a, double[] b, int rows, int inner, int columns)
    {
        double[] product = new double[rows * columns];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                for (int k = 0; k < inner; k++)
                    product[i * columns + j] += a[i * inner + k] * b[k * columns + j];
            }
        }

        return product;
    }

    private static double[] Column(AdaptedModule module, string factor, int index)
    {
        float[] values = module.Factors[factor].Master.ToArray();
        return [.. Enumerable.Range(0, module.Shape.Out).Select(i => (double)values[i * module.Options.Rank + index])];
    }

    private static double[] Row(AdaptedModule module, string factor, int index) =>
        [
            .. module
                .Factors[factor]
                .Master.ToArray()
                .Skip(index * module.Shape.In)
                .Take(module.Shape.In)
                .Select(value => (double)value),
        ];

    private static double Norm(double[] values) => Math.Sqrt(values.Sum(value => value * value));

    private static void VerifyUpToSign(double[] actual, double[] expected) =>
        Verify(
            actual,
            actual.Zip(expected, (a, e) => a * e).Sum() < 0 ? [.. expected.Select(value => -value)] : expected
        );

    private static void Verify(double[] actual, double[] expected, double? size = null)
    {
        double largest = size ?? expected.Max(Math.Abs);
        Assert.That(actual, Is.EqualTo(expected).Within(Tolerance * largest + 1e-9));
    }
}
