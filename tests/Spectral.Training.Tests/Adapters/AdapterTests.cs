using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AdapterTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly AdapterOptions Options = new()
    {
        Rank = 4,
        Alpha = 8,
        TopK = 2,
        Seed = 5,
    };

    private Batch Data { get; } = Batch.Create(TinyModels.Records(4, TinyModels.Llama, new Random(7)), 0);

    [Test]
    public void StartValuesDependOnSeedAndLayerAlone()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Dictionary<string, float[]> Start(AdapterOptions options)
        {
            using var adapter = Adapter.Attach(model, AdapterMethods.Find("speclora"), options);
            return adapter
                .Modules.SelectMany(module => module.Factors.Values)
                .ToDictionary(factor => factor.Name, factor => factor.Master.ToArray());
        }
        Dictionary<string, float[]> all = Start(Options);
        Dictionary<string, float[]> some = Start(Options with { TargetModules = ["down_proj", "k_proj"] });
        Dictionary<string, float[]> other = Start(Options with { Seed = 6 });
        const string A = "model.layers.1.mlp.down_proj.lora_A.weight";
        float bound = 1 / MathF.Sqrt(TinyModels.Llama.IntermediateSize);
        Assert.Multiple(() =>
        {
            foreach ((string name, float[] values) in some)
                Assert.That(values, Is.EqualTo(all[name]), name);
            Assert.That(other[A], Is.Not.EqualTo(all[A]));
            Assert.That(all["model.layers.0.mlp.down_proj.lora_A.weight"], Is.Not.EqualTo(all[A]));
            Assert.That(all[A], Is.All.InRange(-bound, bound));
            Assert.That(all[A].Max(), Is.GreaterThan(bound / 2));
            Assert.That(all["model.layers.1.mlp.down_proj.lora_B.weight"], Is.All.Zero);
        });
    }

    [Test]
    public void TheSpectralPartHoldsTheLeadingTriplets([Values] SvdMethod svd)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Adapter adapter = Keep(
            Adapter.Attach(model, AdapterMethods.Find("speclora"), Options with { Rank = 0, Svd = svd })
        );
        foreach (AdaptedModule module in adapter.Modules)
        {
            float[] weight = model.Linears.First(linear => linear.Name == module.Shape.Name).Weight.Value.ToArray();
            (float[] u, float[] s, float[] v) = (
                module.Factors["spec_U"].Master.ToArray(),
                module.Factors["spec_S"].Master.ToArray(),
                module.Factors["spec_V"].Master.ToArray()
            );
            Assert.That(s[0], Is.GreaterThanOrEqualTo(s[1]));
            for (int i = 0; i < 2; i++)
            {
                for (int row = 0; row < module.Shape.Out; row++)
                {
                    double product = Enumerable
                        .Range(0, module.Shape.In)
                        .Sum(column =>
                            (double)weight[row * module.Shape.In + column] * v[i * module.Shape.In + column]
                        );
                    Assert.That(product, Is.EqualTo(s[i] * u[row * 2 + i]).Within(2e-3 * s[0]), "W v = σ u");
                }
            }
        }
    }

    [Test]
    public void MistakesAreNamed()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        AdapterMethod lora = AdapterMethods.Find("lora");
        AdapterMethod spectral = AdapterMethods.Find("speclora");
        Assert.Multiple(() =>
        {
            Assert.That(
                () => AdapterMethods.Find("nonsense"),
                Throws
                    .TypeOf<InputException>()
                    .With.Message.Contains("known: ")
                    .And.Message.Contains("lora, ")
                    .And.Message.Contains("speclora")
            );
            Assert.That(
                () => Adapter.Attach(model, lora, Options with { TargetModules = ["q_proj", "wq"] }),
                Throws.TypeOf<InputException>().With.Message.Contains("'wq'").And.Message.Contains("gate_proj")
            );
            Assert.That(
                () => Adapter.Attach(model, lora, Options with { Rank = 0 }),
                Throws.TypeOf<InputException>().With.Message.Contains("at least 1")
            );
            Assert.That(
                () => Adapter.Attach(model, spectral, Options with { Rank = -1 }),
                Throws.TypeOf<InputException>()
            );
            Assert.That(
                () => Adapter.Attach(model, spectral, Options with { TopK = 9 }),
                Throws.TypeOf<InputException>().With.Message.Contains("k_proj, which is [8, 12]")
            );
            Assert.That(Adapter.Of(model), Is.Null);
        });
        using var first = Adapter.Attach(model, lora, Options);
        Assert.That(
            () => Adapter.Attach(model, lora, Options),
            Throws.InvalidOperationException.With.Message.Contains("already")
        );
    }

    [Test]
    public void AnAdapterOfAnotherModelIsRefused()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        string directory = Create("adapter");
        AdaptedLogits(model, "speclora", directory);

        using TemporaryFolder narrow = new();
        CausalLanguageModel other = Keep(
            TinyModels.Frozen(TinyModels.Llama with { IntermediateSize = 9 }, Device, narrow)
        );
        Assert.That(
            () => Adapter.Load(other, directory),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("gate_proj")
                .And.Message.Contains("[10, 2]")
                .And.Message.Contains("[9, 12]")
        );

        using TemporaryFolder shallow = new();
        CausalLanguageModel one = Keep(TinyModels.Frozen(TinyModels.Llama with { Layers = 1 }, Device, shallow));
        Assert.That(
            () => Adapter.Load(one, directory),
            Throws.TypeOf<InputException>().With.Message.Contains("model.layers.1.")
        );

        using TemporaryFolder changed = new();
        CausalLanguageModel values = Keep(
            TinyModels.Frozen(TinyModels.Llama with { InitializerRange = 0.3 }, Device, changed)
        );
        Assert.That(
            () => Adapter.Load(values, directory),
            Throws.TypeOf<InputException>().With.Message.Contains("proj.weight").And.Message.Contains("SHA-256")
        );
    }

    private string Create(string name) => Directory.CreateDirectory(Path.Combine(Folder.Path, name)).FullName;

    private float[] AdaptedLogits(CausalLanguageModel model, string method, string directory)
    {
        using Adapter adapter = TestAdapters.Attach(model, AdapterMethods.Find(method), Options);
        TestAdapters.Randomize(adapter, 11);
        adapter.Save(directory);
        return Losses.Logits(model, Data);
    }
}
