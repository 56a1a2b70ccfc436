using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Generation;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>Adapters of the output head and of the token embedding, tied and not.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class HeadAndEmbeddingTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Step = 1e-5; // of the differences in double
    private const double LossTolerance = 2e-6;
    private const double Tolerance = 2e-5; // F32 sums over a few dozen terms through two layers

    private static readonly string[][] Targets =
    [
        ["lm_head"],
        ["embed_tokens"],
        ["embed_tokens", "lm_head", "v_proj"],
    ];

    private static readonly ModelConfig[] Configs = [TinyModels.Qwen2, TinyModels.Everything];

    /// <summary>What PEFT computes: E[id] + s·(Aᵀ[id])·Bᵀ, and x·(W + s·B·A)ᵀ.</summary>
    [Test]
    public void GradientsAreThoseOfTheReference([Range(0, 2)] int targets, [Range(0, 1)] int config, [Values] bool bf16)
    {
        DType type = bf16 ? DType.BF16 : DType.F32;
        CausalLanguageModel model = Keep(TinyModels.Frozen(Configs[config], Device, Folder, type));
        Adapter adapter = Keep(Attach(model, "lora", Targets[targets]));
        TestAdapters.Randomize(adapter, 23);
        adapter.Parameters.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        double loss = Losses.WithGradients(model, batch);

        Dictionary<string, double[]> factors = TinyModels.Values(adapter.Parameters);
        ReferenceModel reference = new(model.Config, TestAdapters.Weights(Folder.Path))
        {
            WeightChange = linear => TestAdapters.Dense(adapter, linear, factors),
        };
        // In BF16 values of 8 bits go through two layers.
        double expectedLoss = reference.LossSum(batch);
        Assert.That(loss, Is.EqualTo(expectedLoss).Within((bf16 ? 0.02 : LossTolerance) * expectedLoss));
        foreach (Parameter parameter in adapter.Parameters.Parameters)
        {
            double[] expected = CentralDifferences.Of(factors[parameter.Name], Step, () => reference.LossSum(batch));
            float[] actual = parameter.Gradient!.ToArray();
            if (bf16)
                Assert.That(Losses.Cosine(actual, expected), Is.GreaterThan(0.99), parameter.Name);
            else
                VerifyGradient(actual, expected, Tolerance, parameter.Name);
        }
    }

    [Test]
    public void ALossThatFailsLeavesNoMemoryBehind()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Everything, Device, Folder, DType.BF16));
        Adapter adapter = Keep(Attach(model, "lora", ["lm_head"]));
        adapter.Parameters.EnableGradients();
        long before = Device.Memory.InUse;
        using (var tape = new Tape(Device))
        using (var losses = Tensor.Empty(Device, 4))
        {
            var rows = Tensor.Zeros(Device, (4, model.Config.HiddenSize), DType.BF16);
            using var hidden = new Variable(rows, tape.Record(new LeafNode()));
            Assert.That(
                () => LossHead.Run(tape, hidden, model.Head, targets: losses, losses),
                Throws.ArgumentException,
                "targets of the wrong type"
            );
        }
        Assert.That(Device.Memory.InUse, Is.EqualTo(before));
    }

    /// <summary>
    /// The derivative along a random direction, by differences of F32 losses: an error of 2⁻²³ of the loss over twice
    /// the step, and a third-order term of the step, which is short enough to cross no kink of a rectifier.
    /// </summary>
    [Test]
    public void EveryFormOfAMethodTrainsTheHead(
        [Values("dora", "speclora", "oft", "ia3", "vera", "hra", "bitfit", "parallel", "loha", "svdiff")] string method,
        [Range(0, 1)] int config
    )
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Configs[config], Device, Folder));
        // DoRA's length is a constant in backward unless asked for.
        AdapterOptions options = Options(["lm_head"]) with
        {
            Settings = method == "dora" ? new Dictionary<string, double> { ["norm"] = 1 } : [],
        };
        Adapter adapter = Keep(TestAdapters.Attach(model, AdapterMethods.Find(method), options));
        TestAdapters.Perturb(adapter, 6);
        adapter.Parameters.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(6, model.Config, new Random(4)), 0);
        Losses.WithGradients(model, batch);
        Random random = new(8);
        IReadOnlyList<Parameter> parameters = adapter.Parameters.Parameters;
        float[][] at = [.. parameters.Select(parameter => parameter.Master.ToArray())];
        float[][] direction =
        [
            .. at.Select(values => Array.ConvertAll(values, _ => (float)(random.NextDouble() - 0.5))),
        ];
        double slope = 0;
        for (int i = 0; i < at.Length; i++)
        {
            slope += parameters[i]
                .Gradient!.ToArray()
                .Zip(direction[i], (gradient, along) => (double)gradient * along)
                .Sum();
        }

        const float Length = 1e-3f;
        double difference = (LossAt(Length) - LossAt(-Length)) / (2 * Length);
        Assert.That(difference, Is.EqualTo(slope).Within(0.01 * Math.Abs(slope) + 0.01), method);

        double LossAt(float length)
        {
            for (int i = 0; i < at.Length; i++)
                parameters[i].Master.CopyFrom([.. at[i].Zip(direction[i], (value, along) => value + length * along)]);
            adapter.Parameters.NotifyChanged();
            return Losses.Of(model, batch);
        }
    }

    [Test]
    public void SavedAndLoadedTheLossIsTheSameAndMergedAndExportedNearlySo(
        [Range(0, 2)] int targets,
        [Range(0, 1)] int config
    )
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Configs[config], Device, Folder));
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        using TemporaryFolder saved = new();
        using TemporaryFolder merged = new();
        using TemporaryFolder exported = new();
        double trained;
        int[] greedy;
        using (Adapter adapter = Attach(model, "lora", Targets[targets]))
        {
            TestAdapters.Perturb(adapter, 3);
            trained = Losses.Of(model, batch);
            adapter.Save(saved.Path);
        }
        using (var adapter = Adapter.Load(model, saved.Path))
        {
            Assert.That(Losses.Of(model, batch), Is.EqualTo(trained));
            greedy = TextGenerator.Generate(model, [1, 2, 3], new GenerationOptions { MaxTokens = 12 });
        }
        using var folder = ModelFolder.Open(Folder.Path);
        LoraExporter.Export(saved.Path, exported.Path, Device);
        using (var adapter = Adapter.Load(model, exported.Path))
            Assert.That(Losses.Of(model, batch), Is.EqualTo(trained).Within(LossTolerance * trained));
        Merger.Merge(folder, saved.Path, merged.Path, Device);
        using var opened = ModelFolder.Open(merged.Path);
        Assert.That((opened.Config.TieWordEmbeddings, opened.Warnings.Count), Is.EqualTo((false, 0)));
        using var plain = CausalLanguageModel.Load(opened, Device, DType.F32);
        Assert.That(Losses.Of(plain, batch), Is.EqualTo(trained).Within(LossTolerance * trained));
        Assert.That(
            TextGenerator.Generate(plain, [1, 2, 3], new GenerationOptions { MaxTokens = 12 }),
            Is.EqualTo(greedy)
        );
    }

    /// <summary>The names and shapes of PEFT's Embedding and Linear layers.</summary>
    [Test]
    public void TheFileHasPeftsNames()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        using TemporaryFolder saved = new();
        using (Adapter adapter = Attach(model, "lora", ["embed_tokens", "lm_head"]))
            adapter.Save(saved.Path);
        using var file = SafetensorsFile.Open(saved.File("adapter_model.safetensors"));
        Assert.That(
            file.Tensors.Values.Select(tensor => $"{tensor.Name} {string.Join(',', tensor.Shape)}"),
            Is.EquivalentTo(
                new[]
                {
                    "base_model.model.model.embed_tokens.lora_embedding_A 2,13",
                    "base_model.model.model.embed_tokens.lora_embedding_B 12,2",
                    "base_model.model.lm_head.lora_A.weight 2,12",
                    "base_model.model.lm_head.lora_B.weight 13,2",
                }
            )
        );
        Assert.That(file.Tensors["base_model.model.model.embed_tokens.lora_embedding_A"].ToFloats(), Is.All.Zero);
        Assert.That(
            file.Tensors["base_model.model.model.embed_tokens.lora_embedding_B"].ToFloats().Max(Math.Abs),
            Is.InRange(0.5, 5)
        );
    }

    /// <summary>More rows than one chunk of logits has give the gradients of the same rows a chunk at a time.</summary>
    [Test]
    public void ChunksOfLogitsAddUp([Values("lora", "dora")] string method)
    {
        int vocabulary = Device.Kind == DeviceKind.Cpu ? 400_000 : 1_600_000; // about 20 rows
        ModelConfig large = TinyModels.Llama with
        {
            VocabularySize = vocabulary,
            Layers = 1,
            HiddenSize = 4,
            Heads = 1,
            KeyValueHeads = 1,
        };
        using var model = CausalLanguageModel.Initialize(large, Device, DType.F32, 3, false);
        using Adapter adapter = Attach(model, method, ["lm_head", "q_proj"]);
        TestAdapters.Perturb(adapter, 3);
        adapter.Parameters.EnableGradients();
        EncodedRecord[] records = TinyModels.Records(10, large, new Random(4));
        double whole = Losses.WithGradients(model, Batch.Create(records, 0));
        float[][] expected = [.. adapter.Parameters.Gradients.Select(gradient => gradient.ToArray())];
        adapter.Parameters.ClearGradients();
        double parts = records.Sum(record => Losses.WithGradients(model, Batch.Create([record], 0)));
        Assert.That(whole, Is.EqualTo(parts).Within(LossTolerance * parts));
        foreach ((Tensor actual, float[] values) in adapter.Parameters.Gradients.Zip(expected))
            VerifyGradient(actual.ToArray(), Array.ConvertAll(values, value => (double)value), Tolerance, method);
    }

    [Test]
    public void ARunThatIsBrokenOffEndsWithTheSameBits(
        [Range(0, 1)] int config,
        [Values] bool bf16,
        [Values] bool graph
    )
    {
        AdapterOptions options = Options(Targets[2]) with { Dropout = 0.2, ModulesToSave = ["norm"] };
        DType type = bf16 ? DType.BF16 : DType.F32;
        BrokenRun.MustEndWithTheSameBits(Configs[config], Device, Folder, type, options, graph);
    }

    /// <summary>
    /// PEFT stores the base weights of adapted embeddings and heads beside their factors, and loads them over the
    /// model's.
    /// </summary>
    [Test]
    public void BaseWeightsInTheFileStandInForTheModels()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        using TemporaryFolder saved = new();
        using TemporaryFolder merged = new();
        Dictionary<string, double[]> factors;
        double plain;
        using (Adapter adapter = Attach(model, "lora", ["lm_head"]))
        {
            TestAdapters.Perturb(adapter, 3);
            factors = TinyModels.Values(adapter.Parameters);
            plain = Losses.Of(model, batch);
            adapter.Save(saved.Path);
        }
        TensorToWrite head = TinyModel.Numbered("base_model.model.lm_head.base_layer.weight", [13, 12], 6);
        string path = saved.File("adapter_model.safetensors");
        float[] values;
        using (var file = SafetensorsFile.Open(path))
        {
            IEnumerable<TensorToWrite> written = file.Tensors.Values.Select(tensor => TensorToWrite.Copy(tensor));
            SafetensorsWriter.Write(saved.File("both"), [.. written, head]);
            using var both = SafetensorsFile.Open(saved.File("both"));
            values = both.Tensors[head.Name].ToFloats();
        }
        File.Move(saved.File("both"), path, overwrite: true);

        using var loaded = Adapter.Load(model, saved.Path);
        Dictionary<string, double[]> weights = TestAdapters.Weights(Folder.Path);
        weights["lm_head.weight"] = Array.ConvertAll(values, value => (double)value);
        ReferenceModel reference = new(model.Config, weights)
        {
            WeightChange = layer => TestAdapters.Dense(loaded, layer, factors),
        };
        double expected = reference.LossSum(batch);
        Assert.That(expected, Is.Not.EqualTo(plain).Within(0.1));
        Assert.That(Losses.Of(model, batch), Is.EqualTo(expected).Within(LossTolerance * expected));
        using var folder = ModelFolder.Open(Folder.Path);
        Merger.Merge(folder, saved.Path, merged.Path, Device);
        using var opened = ModelFolder.Open(merged.Path);
        using var result = CausalLanguageModel.Load(opened, Device, DType.F32);
        Assert.That(Losses.Of(result, batch), Is.EqualTo(expected).Within(LossTolerance * expected));
    }

    [Test]
    public void WhatCannotBeIsRefusedByName()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Refuses("dora", ["embed_tokens"], "model.embed_tokens: dora adapts no embeddings, lora does");
        Refuses("eva", ["lm_head"], "eva starts from data, which it does not see at lm_head");
        Refuses("lora", ["lm_haed"], "target 'lm_haed' matches no layer");

        void Refuses(string method, string[] targets, string text) =>
            Assert.That(
                () => Attach(model, method, targets),
                Throws.TypeOf<InputException>().With.Message.Contains(text)
            );
    }

    private static AdapterOptions Options(string[] targets) =>
        new()
        {
            Rank = 2,
            Alpha = 5,
            TopK = 2,
            Seed = 9,
            TargetModules = targets,
        };

    private static Adapter Attach(CausalLanguageModel model, string method, string[] targets) =>
        TestAdapters.Attach(model, AdapterMethods.Find(method), Options(targets));
}
