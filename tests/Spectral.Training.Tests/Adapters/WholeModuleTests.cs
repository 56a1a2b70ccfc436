using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>Modules of the model that train whole beside an adapter (PEFT's modules_to_save).</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class WholeModuleTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Step = 1e-5; // of the differences in double
    private const double LossTolerance = 2e-6;
    private const double Tolerance = 2e-5; // F32 sums over a few dozen terms through two layers

    private static readonly string[][] Sets =
    [
        ["lm_head"],
        ["embed_tokens"],
        ["embed_tokens", "lm_head"],
        ["norm"],
        ["q_proj", "post_attention_layernorm"],
        ["mlp"],
    ];

    /// <summary>A tied head, and one of its own beside all biases there are.</summary>
    private static readonly ModelConfig[] Configs = [TinyModels.Qwen2, TinyModels.Everything];

    [Test]
    public void GradientsAreThoseOfTheReference([Range(0, 5)] int set, [Range(0, 1)] int config)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Configs[config], Device, Folder));
        Adapter adapter = Keep(Attach(model, Sets[set]));
        TestAdapters.Randomize(adapter, 23);
        adapter.Parameters.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        double loss = Losses.WithGradients(model, batch);

        Dictionary<string, double[]> values = TinyModels.Values(adapter.Parameters);
        ReferenceModel reference = Reference(model, adapter, values);
        Assert.That(loss, Is.EqualTo(reference.LossSum(batch)).Within(LossTolerance * loss));
        Assert.That(adapter.WholeWeights.Select(weight => weight.Name), Is.Not.Empty);
        foreach (Parameter parameter in adapter.Parameters.Parameters)
        {
            double[] expected = CentralDifferences.Of(values[parameter.Name], Step, () => reference.LossSum(batch));
            VerifyGradient(parameter.Gradient!.ToArray(), expected, Tolerance, parameter.Name);
        }
    }

    [Test]
    public void Bf16FollowsTheReference([Range(0, 1)] int config)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Configs[config], Device, Folder, DType.BF16));
        Adapter adapter = Keep(Attach(model, ["embed_tokens", "lm_head", "norm", "q_proj"]));
        adapter.Parameters.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        double loss = Losses.WithGradients(model, batch);

        Dictionary<string, double[]> values = TinyModels.Values(adapter.Parameters);
        ReferenceModel reference = Reference(model, adapter, values);
        // values of 8 bits through two layers
        Assert.That(loss, Is.EqualTo(reference.LossSum(batch)).Within(2).Percent);
        foreach (Parameter parameter in adapter.WholeWeights)
        {
            double[] expected = CentralDifferences.Of(values[parameter.Name], Step, () => reference.LossSum(batch));
            Assert.That(Losses.Cosine(parameter.Gradient!.ToArray(), expected), Is.GreaterThan(0.99), parameter.Name);
        }
    }

    [Test]
    public void TheyBeginAsTheModelAndLeaveItAsItWas([Range(0, 1)] int config, [Values] bool bf16)
    {
        CausalLanguageModel model = Keep(
            TinyModels.Frozen(Configs[config], Device, Folder, bf16 ? DType.BF16 : DType.F32)
        );
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        double before = Losses.Of(model, batch);
        using (Adapter adapter = Attach(model, ["embed_tokens", "lm_head", "norm", "self_attn"]))
        {
            Assert.That(Losses.Of(model, batch), Is.EqualTo(before));
            TestAdapters.Perturb(adapter, 3);
            Assert.That(Losses.Of(model, batch), Is.Not.EqualTo(before));
        }
        Assert.That(Losses.Of(model, batch), Is.EqualTo(before));
    }

    [Test]
    public void SavedAndLoadedTheLossIsTheSameAndMergedNearlySo([Range(0, 5)] int set, [Range(0, 1)] int config)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Configs[config], Device, Folder));
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        using TemporaryFolder saved = new();
        using TemporaryFolder merged = new();
        double trained;
        using (Adapter adapter = Attach(model, Sets[set]))
        {
            TestAdapters.Perturb(adapter, 3);
            trained = Losses.Of(model, batch);
            adapter.Save(saved.Path);
        }
        using (var adapter = Adapter.Load(model, saved.Path))
        {
            Assert.That(Losses.Of(model, batch), Is.EqualTo(trained));
            Assert.That(adapter.Options.ModulesToSave, Is.EqualTo(Sets[set]));
        }
        using var folder = ModelFolder.Open(Folder.Path);
        Merger.Merge(folder, saved.Path, merged.Path, Device);
        using var opened = ModelFolder.Open(merged.Path);
        using var plain = CausalLanguageModel.Load(opened, Device, DType.F32);
        Assert.That(Losses.Of(plain, batch), Is.EqualTo(trained).Within(LossTolerance * trained));
        bool parts = model.Config.TieWordEmbeddings && Sets[set].Any(name => name is "embed_tokens" or "lm_head");
        Assert.That(opened.Config.TieWordEmbeddings, Is.EqualTo(model.Config.TieWordEmbeddings && !parts));
    }

    /// <summary>Tied weights that train together through a file of equal copies stay tied when merged.</summary>
    [Test]
    public void EqualCopiesOfTiedEmbeddingsStayTied()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Qwen2, Device, Folder));
        using TemporaryFolder saved = new();
        using TemporaryFolder merged = new();
        using (Adapter adapter = Attach(model, ["embed_tokens", "lm_head"]))
            adapter.Save(saved.Path);
        using var folder = ModelFolder.Open(Folder.Path);
        Merger.Merge(folder, saved.Path, merged.Path, Device);
        using var opened = ModelFolder.Open(merged.Path);
        Assert.That(
            (opened.Config.TieWordEmbeddings, opened.TensorNames.Contains("lm_head.weight")),
            Is.EqualTo((true, false))
        );
    }

    [Test]
    public void ARunThatIsBrokenOffEndsWithTheSameBits(
        [Range(0, 1)] int config,
        [Values] bool bf16,
        [Values] bool graph
    )
    {
        AdapterOptions options = Options(["embed_tokens", "lm_head", "norm", "q_proj"]);
        BrokenRun.MustEndWithTheSameBits(
            Configs[config],
            Device,
            Folder,
            bf16 ? DType.BF16 : DType.F32,
            options,
            graph
        );
    }

    [Test]
    public void AModuleThatIsNoneOfTheModelIsRefused()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Assert.That(
            () => Attach(model, ["score"]),
            Throws.TypeOf<InputException>().With.Message.Contains("'score'").And.Message.Contains("lm_head")
        );
        Assert.That(
            () => Attach(model, ["v_proj", "down_proj"]),
            Throws.TypeOf<InputException>().With.Message.Contains("trained whole")
        );
    }

    private static AdapterOptions Options(string[] whole) =>
        new()
        {
            Rank = 2,
            Alpha = 5,
            Seed = 9,
            TargetModules = ["v_proj", "down_proj"],
            ModulesToSave = whole,
        };

    private static Adapter Attach(CausalLanguageModel model, string[] whole) =>
        Adapter.Attach(
            model,
            AdapterMethods.Find("lora"),
            Options(whole) with
            {
                TargetModules = whole switch
                {
                    _ when whole.Contains("mlp") => ["v_proj"],
                    _ when whole.Contains("self_attn") => ["down_proj"],
                    _ => ["v_proj", "down_proj"],
                },
            }
        );

    /// <summary>
    /// The base's weights with those of the adapter in their place; the head has its own from the start.
    /// </summary>
    private ReferenceModel Reference(CausalLanguageModel model, Adapter adapter, Dictionary<string, double[]> values)
    {
        Dictionary<string, double[]> weights = TestAdapters.Weights(Folder.Path);
        weights.TryAdd("lm_head.weight", weights["model.embed_tokens.weight"]);
        foreach (Parameter whole in adapter.WholeWeights)
            weights[whole.Name] = values[whole.Name];
        return new ReferenceModel(model.Config with { TieWordEmbeddings = false }, weights)
        {
            WeightChange = linear => TestAdapters.Dense(adapter, linear, values),
        };
    }
}
