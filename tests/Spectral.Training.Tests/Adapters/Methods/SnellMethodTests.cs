using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>SNELL and SNELLA beside their formulas in double, and the numbers of entries that they keep.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SnellMethodTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Tolerance = 2e-5; // of the largest: F32 products of a few terms and a root
    private const double Scale = 0.3;
    private const double Sparsity = 0.7;

    private static readonly AdapterOptions Options = new()
    {
        Rank = 5,
        Seed = 5,
        TargetModules = ["k_proj", "down_proj"],
    };

    private CausalLanguageModel Model { get; set; } = null!;

    [SetUp]
    public void Load() => Model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));

    [TestCase("snell", 1)]
    [TestCase("snell", 2)]
    [TestCase("snell", 5)]
    [TestCase("snella", 2)]
    public void TheChangeIsTheLargestDistancesBeyondTheThreshold(string method, int heads)
    {
        using Adapter adapter = method == "snella" ? AtSparsity(heads) : Attach(method, heads);
        TestAdapters.Randomize(adapter, 3);
        adapter.AfterUpdate(10, 10);
        foreach (AdaptedModule module in adapter.Modules)
        {
            double[] x = Matrix(module, Factors(module), heads);
            int count = (int)Math.Round(Kept(module) * x.Length);
            double threshold = x.Select(Math.Abs).OrderDescending().ElementAt(count);
            double largest = x.Max(Math.Abs);
            float[] weight = Model.ParameterOf($"{module.Shape.Name}.weight").Value.ToArray();
            float[] change = [.. module.Core.MergedWeight().Zip(weight, (merged, own) => merged - own)];
            Assert.Multiple(() =>
            {
                Assert.That(
                    module.Factors[SparseKernel.Threshold].Master.ToArray()[0],
                    Is.EqualTo(threshold).Within(Tolerance * largest)
                );
                Assert.That(
                    change.Count(value => value != 0),
                    Is.EqualTo(count).Within(1),
                    "rounded away in W at most"
                );
                Assert.That(
                    change,
                    Is.EqualTo(x.Select(value => Soft(value, threshold))).Within(2 * Tolerance * largest)
                );
            });
        }
    }

    /// <summary>
    /// Against central differences of ⟨G, ΔW⟩, where G is the gradient of the whole change and the threshold a number.
    /// </summary>
    [TestCase("snell", 2)]
    [TestCase("snella", 2)]
    public void GradientsGoThroughTheEntriesThatPass(string method, int heads)
    {
        using Adapter adapter = method == "snella" ? AtSparsity(heads) : Attach(method, heads);
        TestAdapters.Randomize(adapter, 7);
        adapter.AfterUpdate(10, 10);
        foreach (AdaptedModule module in adapter.Modules)
            BetweenEntries(module, heads);
        adapter.Renew();
        Backward(adapter);
        var merged = adapter.Modules.ToDictionary(module => module.Shape.Name, module => module.Core.MergedWeight());
        var gradients = adapter.Modules.ToDictionary(
            module => module.Shape.Name,
            module =>
                module
                    .Factors.Where(factor => factor.Value.Trains)
                    .ToDictionary(factor => factor.Key, factor => factor.Value.Gradient!.ToArray())
        );
        var factors = adapter.Modules.ToDictionary(module => module.Shape.Name, Factors);
        adapter.Dispose();
        using Adapter dense = TestAdapters.Attach(Model, AdapterMethods.Find("delta"), Options);
        foreach (AdaptedModule module in dense.Modules)
        {
            float[] weight = Model.ParameterOf($"{module.Shape.Name}.weight").Value.ToArray();
            module
                .Factors["delta"]
                .Master.CopyFrom([.. merged[module.Shape.Name].Zip(weight, (now, own) => now - own)]);
        }

        dense.Parameters.NotifyChanged();
        Backward(dense);
        foreach (AdaptedModule module in dense.Modules)
        {
            float[] whole = module.Factors["delta"].Gradient!.ToArray();
            Dictionary<string, double[]> values = factors[module.Shape.Name];
            double threshold = values[SparseKernel.Threshold][0];
            foreach ((string name, float[] gradient) in gradients[module.Shape.Name])
            {
                double[] expected = CentralDifferences.Of(
                    values[name],
                    1e-6,
                    () => Matrix(module, values, heads).Select((x, i) => whole[i] * Soft(x, threshold)).Sum()
                );
                VerifyGradient(gradient, expected, 1e-4, $"{module.Shape.Name}.{name}");
            }
        }
    }

    /// <summary>
    /// Of one step, the importance of AdaLoRA is the mean square of w·∂w times the same number for all.
    /// </summary>
    [Test]
    public void SnellaGivesEachLayerEntriesByItsImportance()
    {
        using Adapter adapter = Attach("snella", 2, ("begin", 0), ("finish", 0.5), ("interval", 1));
        TestAdapters.Randomize(adapter, 3);
        Backward(adapter);
        double[] importance = [.. adapter.Modules.Select(module => Importance(module, "snell_A", "snell_B"))];
        double[] sizes = [.. adapter.Modules.Select(module => (double)module.Shape.Out * module.Shape.In)];
        adapter.BeforeUpdate(2, 4);
        adapter.AfterUpdate(2, 4);
        double[] counts = [.. adapter.Modules.Zip(sizes, (module, size) => Kept(module) * size)];
        double budget = Math.Round((1 - Sparsity) * sizes.Sum());
        Assert.Multiple(() =>
        {
            Assert.That(counts.Sum(), Is.EqualTo(budget).Within(1e-3), "the shares of the budget add up to 1");
            for (int i = 0; i < counts.Length; i++)
                Assert.That(counts[i], Is.EqualTo(budget * importance[i] / importance.Sum()).Within(1.001), $"{i}");
        });
        float[] shares = [.. adapter.Modules.Select(module => (float)Kept(module))];
        Backward(adapter);
        adapter.BeforeUpdate(3, 4);
        adapter.AfterUpdate(3, 4);
        Assert.That(adapter.Modules.Select(module => (float)Kept(module)), Is.EqualTo(shares), "at the end they stay");
    }

    [Test]
    public void ThereAreNoMoreHeadsThanColumns() =>
        Assert.That(
            () => Attach("snell", 6),
            Throws.TypeOf<InputException>().With.Message.Contains("heads 6").And.Message.Contains("at most its rank, 5")
        );

    [TestCase(new[] { 3.0, 1, 0 }, new long[] { 100, 100, 100 }, 40, new long[] { 30, 10, 0 })]
    [TestCase(new[] { 3.0, 1, 0 }, new long[] { 20, 100, 100 }, 40, new long[] { 20, 20, 0 })]
    [TestCase(new[] { 3.0, 1, 0 }, new long[] { 20, 10, 100 }, 40, new long[] { 20, 10, 10 })]
    [TestCase(new[] { 1.0, 1, 1 }, new long[] { 9, 9, 9 }, 100, new long[] { 9, 9, 9 })]
    [TestCase(new[] { 0.0, 0 }, new long[] { 9, 9 }, 7, new long[] { 4, 3 })]
    [TestCase(new[] { 1.0, 2, 3 }, new long[] { 9, 9, 9 }, 0, new long[] { 0, 0, 0 })]
    public void ABudgetIsSharedInProportion(double[] scores, long[] most, long budget, long[] expected) =>
        Assert.That(ProportionalBudget.Share(scores, most, budget), Is.EqualTo(expected));

    /// <summary>
    /// Moves the threshold, which is the magnitude of an entry, halfway to the next larger one: at an entry there is a
    /// bend, where differences are no measure.
    /// </summary>
    private static void BetweenEntries(AdaptedModule module, int heads)
    {
        double[] sizes =
        [
            .. Matrix(module, Factors(module), heads)
                .Select(Math.Abs)
                .OrderDescending()
                .Take((int)Math.Round(Kept(module) * module.Shape.Out * module.Shape.In) + 1),
        ];
        module.Factors[SparseKernel.Threshold].Master.CopyFrom([(float)((sizes[^1] + sizes[^2]) / 2)]);
    }

    private static double Importance(AdaptedModule module, params string[] names) =>
        names.Sum(name =>
            module
                .Factors[name]
                .Master.ToArray()
                .Zip(module.Factors[name].Gradient!.ToArray(), (w, g) => Math.Pow((double)w * g, 2))
                .Average()
        );

    /// <summary>The share of entries that a layer keeps: SNELLA's own, or that of the setting.</summary>
    private static double Kept(AdaptedModule module) =>
        module.Factors.TryGetValue("snella_share", out Spectral.Training.Optim.Parameter? share)
            ? share.Master.ToArray()[0]
            : 1 - Sparsity;

    private static Dictionary<string, double[]> Factors(AdaptedModule module) =>
        module.Factors.ToDictionary(
            factor => factor.Key,
            factor => Array.ConvertAll(factor.Value.Master.ToArray(), value => (double)value)
        );

    private static double Soft(double x, double threshold) => Math.Sign(x) * Math.Max(0, Math.Abs(x) - threshold);

    /// <summary>Σ ±scale·‖b_i − a_j‖ over the heads, and for SNELLA its softmax over the rows i besides.</summary>
    private static double[] Matrix(AdaptedModule module, Dictionary<string, double[]> factors, int heads)
    {
        (double[] b, double[] a, int rank) = (factors["snell_B"], factors["snell_A"], Options.Rank);
        var x = Dense.Of(
            module.Shape.Out,
            module.Shape.In,
            (i, j) =>
                Enumerable
                    .Range(0, heads)
                    .Sum(head =>
                    {
                        (int first, int end) = (head * rank / heads, (head + 1) * rank / heads);
                        double square = Enumerable
                            .Range(first, end - first)
                            .Sum(k => Math.Pow(b[i * rank + k] - a[j * rank + k], 2));
                        return (head % 2 == 0 ? Scale : -Scale) * Math.Sqrt(square);
                    })
        );
        if (!factors.TryGetValue("snella_alpha", out double[]? alpha))
            return x.Values;
        (double beta, double gamma) = (factors["snella_beta"][0], Math.Max(0.01, factors["snella_gamma"][0]));
        double[] sums =
        [
            .. Enumerable
                .Range(0, x.Columns)
                .Select(j => Enumerable.Range(0, x.Rows).Sum(i => Math.Exp(x[i, j] / gamma))),
        ];
        return Dense
            .Of(x.Rows, x.Columns, (i, j) => x[i, j] + alpha[0] * Math.Exp(x[i, j] / gamma) / sums[j] + beta)
            .Values;
    }

    private Adapter Attach(string method, int heads, params (string Name, double Value)[] settings) =>
        TestAdapters.Attach(
            Model,
            AdapterMethods.Find(method),
            Options with
            {
                Settings = new Dictionary<string, double>(
                    settings.Select(setting => KeyValuePair.Create(setting.Name, setting.Value))
                )
                {
                    ["heads"] = heads,
                    ["scale"] = Scale,
                    ["sparsity"] = Sparsity,
                },
            }
        );

    /// <summary>SNELLA with the final number of entries from the beginning.</summary>
    private Adapter AtSparsity(int heads) => Attach("snella", heads, ("first-sparsity", Sparsity));

    private void Backward(Adapter adapter)
    {
        adapter.Parameters.EnableGradients();
        foreach (Tensor gradient in adapter.Parameters.Gradients)
            gradient.Clear();
        using BatchTensors tensors = new(Device, Batch.Create(TinyModels.Records(4, Model.Config, new Random(7)), 0));
        using Tape tape = new(Device);
        using Tensor loss = Model.Loss(tape, tensors, 1);
        tape.Backward();
    }
}
