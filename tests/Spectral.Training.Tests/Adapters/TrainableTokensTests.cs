using System.Text.Json.Nodes;
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

/// <summary>Rows of the embedding that train while the others stay (PEFT's trainable_token_indices).</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class TrainableTokensTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Step = 1e-5; // of the differences in double
    private const double LossTolerance = 2e-6;
    private const double Tolerance = 2e-5; // F32 sums over a few dozen terms through two layers

    private const string Rows = "model.embed_tokens.token_adapter.trainable_tokens_delta";

    // A block of two that follow one another, given last, and one that no record has.
    private static readonly int[] Tokens = [7, 12, 2, 3];

    private static readonly ModelConfig[] Configs = [TinyModels.Qwen2, TinyModels.Everything];

    /// <summary>PEFT puts the rows into the table; a tied head uses the same.</summary>
    [Test]
    public void GradientsAreThoseOfTheReference([Range(0, 1)] int config, [Values] bool bf16)
    {
        DType type = bf16 ? DType.BF16 : DType.F32;
        CausalLanguageModel model = Keep(TinyModels.Frozen(Configs[config], Device, Folder, type));
        Adapter adapter = Keep(Attach(model));
        TestAdapters.Perturb(adapter, 23);
        adapter.Parameters.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(4, model.Config, new Random(4)), 0);
        double loss = Losses.WithGradients(model, batch);

        Dictionary<string, double[]> values = TinyModels.Values(adapter.Parameters);
        Dictionary<string, double[]> weights = TestAdapters.Weights(Folder.Path);
        ReferenceModel reference = new(model.Config, weights)
        {
            WeightChange = linear => TestAdapters.Dense(adapter, linear, values),
        };
        double expectedLoss = LossSum();
        Assert.That(loss, Is.EqualTo(expectedLoss).Within((bf16 ? 0.02 : LossTolerance) * expectedLoss));
        foreach (Parameter parameter in adapter.Parameters.Parameters)
        {
            double[] expected = CentralDifferences.Of(values[parameter.Name], Step, LossSum);
            float[] actual = parameter.Gradient!.ToArray();
            if (bf16)
                Assert.That(Losses.Cosine(actual, expected), Is.GreaterThan(0.99), parameter.Name);
            else
                VerifyGradient(actual, expected, Tolerance, parameter.Name);
        }

        double LossSum()
        {
            int columns = model.Config.HiddenSize;
            for (int i = 0; i < Tokens.Length; i++)
            {
                values[Rows]
                    .AsSpan(i * columns, columns)
                    .CopyTo(weights["model.embed_tokens.weight"].AsSpan(Tokens[i] * columns));
            }

            return reference.LossSum(batch);
        }
    }

    [Test]
    public void SavedAndLoadedTheLossIsTheSameAndMergedNearlySo([Range(0, 1)] int config)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Configs[config], Device, Folder));
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        double before = Losses.Of(model, batch);
        double trained;
        using TemporaryFolder saved = new();
        using TemporaryFolder merged = new();
        using TemporaryFolder exported = new();
        using (Adapter adapter = Attach(model))
        {
            Assert.That(Losses.Of(model, batch), Is.EqualTo(before));
            TestAdapters.Perturb(adapter, 3);
            trained = Losses.Of(model, batch);
            Assert.That(trained, Is.Not.EqualTo(before));
            adapter.Save(saved.Path);
        }
        Assert.That(Losses.Of(model, batch), Is.EqualTo(before));
        using (var adapter = Adapter.Load(model, saved.Path))
            Assert.That(Losses.Of(model, batch), Is.EqualTo(trained));
        LoraExporter.Export(saved.Path, exported.Path, Device);
        using (var adapter = Adapter.Load(model, exported.Path))
            Assert.That(Losses.Of(model, batch), Is.EqualTo(trained).Within(LossTolerance * trained));
        using var folder = ModelFolder.Open(Folder.Path);
        Merger.Merge(folder, saved.Path, merged.Path, Device);
        using var opened = ModelFolder.Open(merged.Path);
        Assert.That(opened.Config.TieWordEmbeddings, Is.EqualTo(model.Config.TieWordEmbeddings));
        using var plain = CausalLanguageModel.Load(opened, Device, DType.F32);
        Assert.That(Losses.Of(plain, batch), Is.EqualTo(trained).Within(LossTolerance * trained));
    }

    [Test]
    public void ARunThatIsBrokenOffEndsWithTheSameBits(
        [Range(0, 1)] int config,
        [Values] bool bf16,
        [Values] bool graph
    )
    {
        AdapterOptions options = Options;
        BrokenRun.MustEndWithTheSameBits(
            Configs[config],
            Device,
            Folder,
            bf16 ? DType.BF16 : DType.F32,
            options,
            graph
        );
    }

    /// <summary>A list means the embedding, an object names tables; PEFT 0.15 has the originals beside.</summary>
    [TestCase("[1, 5]", "model.embed_tokens")]
    [TestCase("""{"embed_tokens": [1, 5]}""", "model.embed_tokens")]
    [TestCase("""{"lm_head": [1, 5]}""", "lm_head")]
    public void FilesOfPeftAreRead(string indices, string module)
    {
        Write(
            indices,
            TinyModel.Numbered($"base_model.model.{module}.token_adapter.trainable_tokens_delta", [2, 8], 7),
            TinyModel.Numbered($"base_model.model.{module}.token_adapter.trainable_tokens_original", [2, 8], 8)
        );
        using var opened = ModelFolder.Open(Folder.Path);
        using AdapterReader adapter = new(Folder.Path + "/adapter", opened);
        Assert.That(
            adapter.Saved.Select(saved => saved.Key),
            Is.EqualTo(new[] { $"{module}.token_adapter.trainable_tokens_delta" })
        );
        Assert.That(adapter.Saved[0].Tokens, Is.EqualTo(new[] { 1, 5 }));
    }

    [Test]
    public void WhatDoesNotFitIsRefusedByName()
    {
        TensorToWrite two = TinyModel.Numbered(
            "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta",
            [2, 8]
        );
        MustSay("[1]", "is [2, 8], expected [1, 8]", two);
        MustSay("[1, 11]", "token 11", two);
        MustSay("[1, 1]", "token 1, of which a row is to train, is given twice", two);
        MustSay("[1, 5]", "lacks the rows of trainable_token_indices");
        MustSay("null", "which trainable_token_indices does not name", two);
        MustSay("""{"q_proj": [1, 5]}""", "'q_proj'", two);

        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Qwen2, Device, Folder));
        Refuses(Options with { TargetModules = ["lm_head"] }, "lora", "cannot train while lm_head");
        Refuses(Options with { ModulesToSave = ["embed_tokens"] }, "lora", "cannot train while model.embed_tokens");
        Refuses(Options, "ia3", "--train-tokens: the files of ia3 (PEFT's type IA3) have no place");

        void Refuses(AdapterOptions options, string method, string text) =>
            Assert.That(
                () => Adapter.Attach(model, AdapterMethods.Find(method), options),
                Throws.TypeOf<InputException>().With.Message.Contains(text)
            );
    }

    private static AdapterOptions Options =>
        new()
        {
            Rank = 2,
            Alpha = 5,
            Seed = 9,
            TargetModules = ["v_proj"],
            TrainableTokens = [KeyValuePair.Create("embed_tokens", (IReadOnlyList<int>)Tokens)],
        };

    private static Adapter Attach(CausalLanguageModel model) =>
        Adapter.Attach(model, AdapterMethods.Find("lora"), Options);

    private void MustSay(string indices, string text, params TensorToWrite[] rows)
    {
        Write(indices, rows);
        using var opened = ModelFolder.Open(Folder.Path);
        Assert.That(
            () => new AdapterReader(Folder.Path + "/adapter", opened),
            Throws.TypeOf<InputException>().With.Message.Contains(text)
        );
    }

    private void Write(string indices, params TensorToWrite[] rows)
    {
        TinyModel.Write(Folder);
        string adapter = Directory.CreateDirectory(Folder.File("adapter")).FullName;
        JsonObject config = AdapterFiles.PeftConfig();
        config["target_modules"] = new JsonArray("q_proj");
        config["trainable_token_indices"] = JsonNode.Parse(indices);
        File.WriteAllText(Path.Combine(adapter, "adapter_config.json"), config.ToJsonString());
        IEnumerable<string> layers = Enumerable.Range(0, 2).Select(layer => $"model.layers.{layer}.self_attn.q_proj");
        SafetensorsWriter.Write(
            Path.Combine(adapter, "adapter_model.safetensors"),
            [.. layers.SelectMany(layer => AdapterFiles.LowRank(layer, 2)), .. rows]
        );
    }
}
