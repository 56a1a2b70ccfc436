using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>O-LoRA over two tasks: the first one's change stays and is stepped around.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class OrthogonalTasksTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly AdapterOptions Options = new()
    {
        Rank = 3,
        Alpha = 6,
        TopK = 2,
        Seed = 5,
        TargetModules = ["q_proj", "down_proj"],
    };

    [TestCase("lora", 3)]
    [TestCase("speclora", 5)]
    public void ASecondTaskStartsFromTheFirstAndKeepsClearOfIt(string first, int rank)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        string before = Path.Combine(Folder.Path, "first");
        string after = Path.Combine(Folder.Path, "second");
        float[] expected;
        using (var adapter = Adapter.Attach(model, AdapterMethods.Find(first), Options))
        {
            TestAdapters.Perturb(adapter, 3);
            adapter.Save(Directory.CreateDirectory(before).FullName);
            expected = Logits(model);
        }
        AdapterOptions second = Options with
        {
            PreviousAdapter = before,
            Settings = new Dictionary<string, double> { ["previous-rank"] = rank, ["weight"] = 1 },
        };
        using (var adapter = Adapter.Attach(model, AdapterMethods.Find("o-lora"), second))
        {
            Assert.That(
                Logits(model),
                Is.EqualTo(expected).Within(1e-5f * expected.Max(Math.Abs)),
                "the first task's change is all there is"
            );
            double overlap = Overlap(adapter);
            using (
                Trainer trainer = new(
                    model,
                    new TrainerOptions
                    {
                        Steps = 60,
                        Batch = 4,
                        LearningRate = 5e-3,
                        LogEvery = 0,
                        Optimizer = new AdamWOptions { GradientClip = 0 },
                    }
                )
            )
            {
                trainer.Run(TinyModels.Records(4, TinyModels.Llama, new Random(7)));
            }

            Assert.That(Overlap(adapter), Is.LessThan(overlap / 3));
            adapter.Save(Directory.CreateDirectory(after).FullName);
            expected = Logits(model);
        }
        using var loaded = Adapter.Load(model, after);
        Assert.That(Logits(model), Is.EqualTo(expected), "the folder is complete without the first");
    }

    [Test]
    public void ThePenaltyAndItsGradientAreTheFormulas()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        string before = Directory.CreateDirectory(Path.Combine(Folder.Path, "first")).FullName;
        using (var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), Options))
        {
            TestAdapters.Perturb(adapter, 3);
            adapter.Save(before);
        }
        using var second = Adapter.Attach(
            model,
            AdapterMethods.Find("o-lora"),
            Options with
            {
                PreviousAdapter = before,
                Settings = new Dictionary<string, double> { ["previous-rank"] = 3, ["weight"] = 0.7 },
            }
        );
        second.Parameters.EnableGradients();
        using AdamWOptimizer optimizer = new(second.Parameters, new AdamWOptions());
        optimizer.GradientNorm(); // takes the penalty in, and nothing else has a gradient
        foreach (AdaptedModule module in second.Modules)
        {
            float[] actual = module.Factors["lora_A.weight"].Gradient!.ToArray();
            double[] a = Values(module, "lora_A.weight");
            double[] previous = Values(module, "lora_A_previous.weight");
            double[] expected = CentralDifferences.Of(a, 1e-6, () => 0.7 * Overlap(previous, a, 3, 3, module.Shape.In));
            VerifyGradient(actual, expected, 1e-5, module.Shape.Name);
            Assert.That(module.Factors["lora_B.weight"].Gradient!.ToArray(), Is.All.Zero);
        }
    }

    [Test]
    public void MistakesAreNamed()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        AdapterMethod method = AdapterMethods.Find("o-lora");
        string before = Directory.CreateDirectory(Path.Combine(Folder.Path, "first")).FullName;
        using (var adapter = Adapter.Attach(model, AdapterMethods.Find("dora"), Options))
            adapter.Save(before);
        AdapterOptions With(double rank, string? previous) =>
            Options with
            {
                PreviousAdapter = previous,
                Settings = new Dictionary<string, double> { ["previous-rank"] = rank },
            };
        Assert.Multiple(() =>
        {
            Assert.That(
                () => Adapter.Attach(model, method, With(2, null)),
                Throws.TypeOf<InputException>().With.Message.Contains("expected an adapter of the tasks before")
            );
            Assert.That(
                () => Adapter.Attach(model, method, With(3, before)),
                Throws.TypeOf<InputException>().With.Message.Contains("no plain LoRA's equal")
            );
        });
    }

    private static double Overlap(Adapter adapter) =>
        adapter.Modules.Sum(module =>
        {
            double[] previous = Values(module, "lora_A_previous.weight");
            return Overlap(
                previous,
                Values(module, "lora_A.weight"),
                previous.Length / module.Shape.In,
                module.Options.Rank,
                module.Shape.In
            );
        });

    private static double Overlap(double[] previous, double[] a, int p, int rank, int inputs)
    {
        double sum = 0;
        for (int i = 0; i < p; i++)
        {
            for (int j = 0; j < rank; j++)
                sum += Math.Abs(Enumerable.Range(0, inputs).Sum(k => previous[i * inputs + k] * a[j * inputs + k]));
        }

        return sum;
    }

    private static double[] Values(AdaptedModule module, string factor) =>
        Array.ConvertAll(module.Factors[factor].Master.ToArray(), value => (double)value);

    private static float[] Logits(CausalLanguageModel model) =>
        Losses.Logits(model, Batch.Create(TinyModels.Records(4, TinyModels.Llama, new Random(7)), 0));
}
