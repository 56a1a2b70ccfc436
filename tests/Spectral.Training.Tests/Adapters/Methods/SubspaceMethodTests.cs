using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>Methods that keep factors in a subspace, or begin in one: the identities they promise.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SubspaceMethodTests(DeviceKind kind) : TrainingTest(kind)
{
    private const float Tolerance = 2e-5f; // orthonormal to rounding, through products of a dozen terms

    private static readonly AdapterOptions Options = new()
    {
        Rank = 2,
        Alpha = 4,
        TopK = 2,
        Seed = 5,
        TargetModules = ["q_proj", "k_proj", "down_proj"],
    };

    private EncodedRecord[] Records { get; } = TinyModels.Records(8, TinyModels.Llama, new Random(31));

    private CausalLanguageModel Model { get; set; } = null!;

    [SetUp]
    public void Load() => Model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));

    [TestCase("lora-fa")]
    [TestCase("asymmetry")]
    [TestCase("orthogonal-adaptation")]
    public void OnlyBTrains(string method)
    {
        Adapter adapter = Attach(method);
        float[][] frozen = Rights(adapter);
        Train(adapter);
        Assert.That(adapter.Parameters.Parameters.Select(parameter => parameter.Name), Is.All.EndsWith(LoraNames.B));
        Assert.That(Rights(adapter), Is.EqualTo(frozen));
        Assert.That(adapter.Parameters.Parameters[0].Master.ToArray(), Is.Not.All.Zero);
    }

    [Test]
    public void AsymmetryBeginsWithOrthonormalRowsOfItsOwnInEachLayer()
    {
        Adapter adapter = Attach("asymmetry");
        float[][] rows = Rights(adapter);
        foreach (float[] a in rows)
            VerifyProduct(a, a, 2, identity: true);
        Assert.That(rows[0], Is.Not.EqualTo(rows[1]), "q_proj and k_proj have inputs alike");
        adapter.Detach();
        Assert.That(
            () => Adapter.Attach(Model, AdapterMethods.Find("asymmetry"), Options with { Rank = 13 }),
            Throws.TypeOf<InputException>().With.Message.Contains("rank 13").And.Message.Contains("at most 12")
        );
    }

    [Test]
    public void TasksOfOrthogonalAdaptationShareNoDirectionWhateverTheSeed()
    {
        float[][][] tasks =
        [
            .. Enumerable
                .Range(0, 3)
                .Select(task =>
                {
                    using var adapter = Adapter.Attach(
                        Model,
                        AdapterMethods.Find("orthogonal-adaptation"),
                        With(("task", task)) with
                        {
                            Seed = (ulong)task,
                        }
                    );
                    return Rights(adapter);
                }),
        ];
        for (int i = 0; i < tasks.Length; i++)
        {
            for (int j = 0; j < tasks.Length; j++)
            {
                for (int layer = 0; layer < tasks[i].Length; layer++)
                    VerifyProduct(tasks[i][layer], tasks[j][layer], 2, identity: i == j);
            }
        }

        Assert.That(
            () => Adapter.Attach(Model, AdapterMethods.Find("orthogonal-adaptation"), With(("task", 5))),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("task 5")
                .And.Message.Contains("(task + 1)·rank of at most 10"),
            "down_proj has 10 inputs"
        );
    }

    [Test]
    public void CompLoraStaysInTheComplement()
    {
        Adapter adapter = Attach("complora");
        Train(adapter);
        foreach (AdaptedModule module in adapter.Modules)
        {
            LowRankTerm term = module.Form.Terms[0];
            float[] left = Transposed(term.Left.Value.ToArray(), module.Shape.Out);
            float[] right = term.Right.Value.ToArray();
            Assert.That(left, Is.Not.All.Zero);
            VerifyProduct(
                left,
                Transposed(module.Factors["comp_U"].Master.ToArray(), module.Shape.Out),
                2,
                identity: false
            );
            VerifyProduct(right, module.Factors["comp_V"].Master.ToArray(), 2, identity: false);
        }
    }

    [Test]
    public void LoraBeginsAsAsked()
    {
        Adapter gaussian = Attach("lora", ("init", 1));
        float[] drawn = [.. Rights(gaussian).SelectMany(values => values)];
        Assert.That(Math.Sqrt(drawn.Average(value => (double)value * value)), Is.EqualTo(0.5).Within(0.05), "1/rank");
        gaussian.Dispose();

        Adapter orthogonal = Attach("lora", ("init", 2));
        foreach (AdaptedModule module in orthogonal.Modules)
        {
            float[] left = module.Factors[LoraNames.B].Master.ToArray();
            float[] right = module.Factors[LoraNames.A].Master.ToArray();
            Assert.That(left.Max(Math.Abs), Is.GreaterThan(0.03));
            Assert.That(right.Max(Math.Abs), Is.GreaterThan(0.03));
            VerifyProduct(left, Transposed(right, 2), module.Shape.Out, identity: false, length: 2);
        }
        orthogonal.Detach();
        Assert.That(
            () => Adapter.Attach(Model, AdapterMethods.Find("lora"), With(("init", 2)) with { Rank = 3 }),
            Throws.TypeOf<InputException>().With.Message.Contains("even rank")
        );
    }

    [Test]
    public void KasaTakesTheLastTripletsOffTheWeight()
    {
        Adapter adapter = Attach("kasa");
        foreach (AdaptedModule module in adapter.Modules)
        {
            using Tensor weight = module.Core.CopyWeight();
            using var changed = Tensor.Empty(Device, weight.Shape);
            LowRank.Merge(weight, module.Core.Factors!, changed);
            int all = Math.Min(module.Shape.Out, module.Shape.In);
            using SvdResult before = Svd.Compute(weight, all);
            using SvdResult after = Svd.Compute(changed, all);
            float[] expected = before.S.ToArray();
            float[] found = after.S.ToArray();
            for (int i = 0; i < all; i++)
                Assert.That(found[i], Is.EqualTo(i < all - 2 ? expected[i] : 0).Within(Tolerance * expected[0]));
        }
    }

    [Test]
    public void NestedLorasWorkAtOnceAndEachByItself([Values("matryoshka", "dylora")] string method)
    {
        AdapterOptions options = Options with { Rank = 5, TargetModules = ["o_proj"] };
        double[] expected =
            method == "dylora"
                ? [.. Enumerable.Repeat(0.8, 5)]
                :
                [
                    .. Enumerable
                        .Range(0, 5)
                        .Select(i => new[] { 1, 2, 4, 5 }.Where(rank => rank > i).Sum(rank => 4.0 / rank)),
                ];
        using (var whole = Adapter.Attach(Model, AdapterMethods.Find(method), options))
        {
            Assert.That(
                whole.Modules[0].Form.Terms.Single().Middle!.Value.ToArray(),
                Is.EqualTo(expected).Within(1e-6)
            );
        }

        for (int k = 1; k <= 5; k++)
        {
            using var prefix = Adapter.Attach(
                Model,
                AdapterMethods.Find(method),
                options with
                {
                    Settings = new Dictionary<string, double> { ["prefix"] = k },
                }
            );
            TestAdapters.Randomize(prefix, 6);
            AdaptedModule module = prefix.Modules[0];
            (float[] left, float[] right) = (
                module.Factors[LoraNames.B].Master.ToArray(),
                module.Factors[LoraNames.A].Master.ToArray()
            );
            using var weight = Tensor.Zeros(Device, (module.Shape.Out, module.Shape.In));
            using var merged = Tensor.Empty(Device, weight.Shape);
            LowRank.Merge(weight, module.Core.Factors!, merged);
            float[] change = merged.ToArray();
            for (int i = 0; i < change.Length; i++)
            {
                double sum = Enumerable
                    .Range(0, k)
                    .Sum(p =>
                        4.0 / k * left[i / module.Shape.In * 5 + p] * right[p * module.Shape.In + i % module.Shape.In]
                    );
                Assert.That(change[i], Is.EqualTo(sum).Within(1e-5));
            }
        }
        Assert.That(
            () =>
                Adapter.Attach(
                    Model,
                    AdapterMethods.Find(method),
                    options with
                    {
                        Settings = new Dictionary<string, double> { ["prefix"] = 6 },
                    }
                ),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("prefix 6")
                .And.Message.Contains("at most its rank, 5")
        );
    }

    private static AdapterOptions With(params (string Name, double Value)[] settings) =>
        Options with
        {
            Settings = settings.ToDictionary(setting => setting.Name, setting => setting.Value),
        };

    private static float[][] Rights(Adapter adapter) =>
        [.. adapter.Modules.Select(module => module.Factors[LoraNames.A].Master.ToArray())];

    private static float[] Transposed(float[] x, int rows)
    {
        int columns = x.Length / rows;
        return [.. Enumerable.Range(0, x.Length).Select(i => x[i % rows * columns + i / rows])];
    }

    /// <summary>a·bᵀ is the identity, or zero.</summary>
    private static void VerifyProduct(float[] a, float[] b, int rows, bool identity, int? length = null)
    {
        int columns = length ?? a.Length / rows;
        for (int i = 0; i < a.Length / columns; i++)
        {
            for (int j = 0; j < b.Length / columns; j++)
            {
                Assert.That(
                    Enumerable.Range(0, columns).Sum(c => (double)a[i * columns + c] * b[j * columns + c]),
                    Is.EqualTo(identity && i == j ? 1 : 0).Within(Tolerance),
                    $"[{i}, {j}]"
                );
            }
        }
    }

    private Adapter Attach(string method, params (string Name, double Value)[] settings) =>
        Keep(Adapter.Attach(Model, AdapterMethods.Find(method), With(settings)));

    private void Train(Adapter adapter)
    {
        using Trainer trainer = new(
            Model,
            new TrainerOptions
            {
                Steps = 4,
                Batch = 4,
                LearningRate = 2e-2,
                LogEvery = 0,
            }
        );
        TrainingResult result = trainer.Run(Records);
        Assert.That(double.IsFinite(result.FinalLoss), Is.True, adapter.Method.Name);
    }
}
