using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Prompts;

/// <summary>
/// Virtual tokens beside an adapter of layers: values and gradients of both against the double reference, files, the
/// state of a run, and the layers that TAP-SLF leaves out.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class PromptBesideTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Step = 1e-5;
    private const double Tolerance = 2e-5; // as for the whole model (ModelGradientTests)
    private const string Tokens = $"{PromptMethod.Module}.{PromptMethod.TensorName}";
    private const string Layer = "model.layers.1.mlp.down_proj";

    private static readonly string[] Prompts = ["prompt-tuning", "p-tuning", "prefix-tuning"];
    private static readonly ModelConfig Config = TinyModels.Everything;

    private string Saved => Path.Combine(Folder.Path, "adapter");

    [Test]
    public void LossAndGradientsOfBothFollowTheReference([Values("prompt-tuning", "prefix-tuning")] string prompt)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        AdapterOptions options = Options(prompt) with { TargetModules = ["q_proj", "down_proj"] };
        Adapter adapter = Keep(Adapter.Attach(model, AdapterMethods.Find("lora"), options));
        TestAdapters.Randomize(adapter, 7);
        adapter.Parameters.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(3, Config, new Random(3)), 0);
        double loss = Losses.WithGradients(model, batch);

        var values = adapter.Parameters.Parameters.ToDictionary(
            factor => factor.Name,
            factor => Array.ConvertAll(factor.Master.ToArray(), value => (double)value)
        );
        double expected = Reference().LossSum(batch);
        Assert.That(loss, Is.EqualTo(expected).Within(2e-6 * expected));
        foreach (string name in new[] { Tokens, $"{Layer}.lora_A.weight", $"{Layer}.lora_B.weight" })
        {
            Parameter factor = adapter.Parameters.Parameters.Single(parameter => parameter.Name == name);
            double[] differences = CentralDifferences.Of(values[name], Step, () => Reference().LossSum(batch));
            VerifyGradient(factor.Gradient!.ToArray(), differences, Tolerance, name);
        }

        ReferenceModel Reference()
        {
            double[] rows = values[Tokens];
            return new ReferenceModel(model.Config, TestAdapters.Weights(Folder.Path))
            {
                Prompt = prompt == "prompt-tuning" ? rows : [],
                Prefix = prompt == "prefix-tuning" ? rows : [],
                WeightChange = linear => TestAdapters.Dense(adapter, linear, values),
            };
        }
    }

    [Test]
    public void OneFolderHoldsBoth(
        [ValueSource(nameof(Prompts))] string prompt,
        [Values("lora", "dora", "ia3", "shira", "speclora")] string layers
    )
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        var batch = Batch.Create(TinyModels.Records(4, Config, new Random(7)), 0);
        double expected;
        using (var adapter = Adapter.Attach(model, AdapterMethods.Find(layers), Options(prompt)))
        {
            TestAdapters.Perturb(adapter, 3);
            adapter.Save(Saved);
            expected = Losses.Of(model, batch);
        }

        using var loaded = Adapter.Load(model, Saved);
        Assert.That(Losses.Of(model, batch), Is.EqualTo(expected));
        Assert.That(loaded.VirtualTokens, Is.EqualTo(3));
        Assert.That(loaded.Options.SoftPrompt!.Method.Name, Is.EqualTo(prompt));
        loaded.Save(Saved + "2");
        Assert.That(
            File.ReadAllBytes(Path.Combine(Saved + "2", "adapter_config.json")),
            Is.EqualTo(File.ReadAllBytes(Path.Combine(Saved, "adapter_config.json")))
        );
    }

    /// <summary>The layers merged into the model, and the prompt by itself on that.</summary>
    [Test]
    public void MergedLayersWithThePromptAloneGiveTheSameLoss([ValueSource(nameof(Prompts))] string prompt)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        var batch = Batch.Create(TinyModels.Records(4, Config, new Random(7)), 0);
        double expected;
        using (var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), Options(prompt)))
        {
            TestAdapters.Perturb(adapter, 3);
            adapter.Save(Saved);
            expected = Losses.Of(model, batch);
        }

        string merged = Directory.CreateDirectory(Path.Combine(Folder.Path, "merged")).FullName;
        using (var plain = ModelFolder.Open(Folder.Path))
        {
            using (AdapterReader read = new(Saved, plain))
            {
                Assert.That(
                    read.Warnings,
                    Has.One.Contains($"the soft prompt beside the layers ({prompt}) is no change of weights")
                );
            }

            Merger.Merge(plain, Saved, merged, Device);
        }

        SoftPromptExporter.Export(Saved, Path.Combine(Folder.Path, "prompt"));
        using var folder = ModelFolder.Open(merged);
        using var whole = CausalLanguageModel.Load(folder, Device, DType.F32);
        using var alone = Adapter.Load(whole, Path.Combine(Folder.Path, "prompt"));
        Assert.That(alone.Method.Name, Is.EqualTo(prompt));
        Assert.That(Losses.Of(whole, batch), Is.EqualTo(expected).Within(1e-5 * expected));
    }

    [Test]
    public void ABrokenOffRunEndsWithTheSameBits(
        [ValueSource(nameof(Prompts))] string prompt,
        [Values("lora", "adalora", "taps")] string layers
    )
    {
        TrainerOptions training = new()
        {
            Steps = 5,
            Batch = 3,
            LearningRate = 1e-2,
            LogEvery = 0,
        };
        EncodedRecord[] records = TinyModels.Records(10, Config, new Random(31));
        string state = Path.Combine(Folder.Path, "state.safetensors");
        AdapterMethod method = AdapterMethods.Find(layers);
        float[] whole;
        using (CausalLanguageModel model = TinyModels.Frozen(Config, Device, Folder))
        using (var adapter = Adapter.Attach(model, method, Options(prompt)))
        using (Trainer trainer = new(model, training))
        {
            trainer.Run(records, callbacks: [new Saving(3, () => trainer.Save(state))]);
            whole = Masters(adapter);
        }

        using CausalLanguageModel other = TinyModels.Frozen(Config, Device, Folder);
        using var saved = TrainerState.Open(state);
        using Adapter resumed = saved.RestoreAdapter(other, method, Options(prompt));
        using (Trainer trainer = new(other, training))
        {
            trainer.Restore(saved);
            trainer.Run(records);
        }

        Assert.That(Masters(resumed), Is.EqualTo(whole));
    }

    [TestCase(0, 1)]
    [TestCase(1, 1)]
    [TestCase(2, 2)]
    public void TapSlfHasAPromptAndTheLastLayersAlone(int count, int layers)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        AdapterOptions options = new()
        {
            Rank = 2,
            Settings = new Dictionary<string, double> { ["layers"] = count, ["virtual-tokens"] = 4 },
        };
        Adapter adapter = Keep(Adapter.Attach(model, AdapterMethods.Find("tap-slf"), options));
        string[] trained =
        [
            .. Enumerable
                .Range(Config.Layers - layers, layers)
                .SelectMany(layer => Config.Family.Linears(Config, layer))
                .SelectMany(linear => new[] { $"{linear.Name}.lora_A.weight", $"{linear.Name}.lora_B.weight" })
                .Append(Tokens),
        ];
        Assert.That(adapter.Parameters.Parameters.Select(parameter => parameter.Name), Is.EquivalentTo(trained));
        Assert.That(adapter.VirtualTokens, Is.EqualTo(4));
        Assert.That(
            AdapterSize.Trainable(adapter.Method, AdapterTargets.Of(Config, adapter.Method, options), options),
            Is.EqualTo(adapter.TrainableCount)
        );
        adapter.Save(Saved);
        adapter.Dispose();
        using var loaded = Adapter.Load(model, Saved);
        Assert.That(loaded.Method.Name, Is.EqualTo("tap-slf"));
        Assert.That(loaded.Parameters.Parameters.Select(parameter => parameter.Name), Is.EquivalentTo(trained));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        using (var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), Options("prompt-tuning")))
            adapter.Save(Saved);
        using (AdapterSet set = new(model))
        {
            set.Add("both", Saved);
            Assert.That(set.WhyAlone("both"), Is.EqualTo("it puts virtual tokens before every record"));
        }

        Refused(name => name == PromptMethod.TensorName ? [] : null, "no virtual tokens, expected a tensor");
        Refused(name => name == PromptMethod.TensorName ? [2, 12] : null, "is [2, 12], expected [3, 12]");
        Assert.That(
            () => new SoftPrompt(AdapterMethods.Find("lora"), new AdapterOptions()),
            Throws
                .TypeOf<InputException>()
                .With.Message.EqualTo(
                    "soft prompt lora: it changes layers, expected one of p-tuning, prefix-tuning, prompt-tuning"
                )
        );
        Assert.That(
            () => Options("prompt-tuning", ("tokens", 3)),
            Throws.TypeOf<InputException>().With.Message.Contains("prompt-tuning has no such setting")
        );

        // Writes the file again, with another shape of some tensors, none for an empty one.
        void Refused(Func<string, long[]?> shapes, string message)
        {
            string other = Path.Combine(Folder.Path, "other");
            Directory.CreateDirectory(other);
            File.Copy(Path.Combine(Saved, "adapter_config.json"), Path.Combine(other, "adapter_config.json"), true);
            using (var file = SafetensorsFile.Open(Path.Combine(Saved, "adapter_model.safetensors")))
            {
                TensorToWrite[] tensors =
                [
                    .. file
                        .Tensors.Values.Select(tensor => (tensor, Shape: shapes(tensor.Name) ?? [.. tensor.Shape]))
                        .Where(pair => pair.Shape.Length > 0)
                        .Select(pair =>
                            TensorToWrite.Floats(
                                pair.tensor.Name,
                                StoredType.F32,
                                pair.Shape,
                                () => pair.tensor.ToFloats()[..(int)(pair.Shape[0] * pair.Shape[1])]
                            )
                        ),
                ];
                SafetensorsWriter.Write(Path.Combine(other, "adapter_model.safetensors"), tensors, file.Metadata);
            }

            Assert.That(
                () => Adapter.Load(model, other),
                Throws.TypeOf<InputException>().With.Message.Contains(message)
            );
        }
    }

    private static AdapterOptions Options(string prompt, params (string Name, double Value)[] settings) =>
        new()
        {
            Rank = 2,
            TopK = 2,
            Seed = 5,
            SoftPrompt = new SoftPrompt(
                AdapterMethods.Find(prompt),
                new AdapterOptions
                {
                    Settings = settings
                        .Append(("virtual-tokens", 3))
                        .ToDictionary(setting => setting.Item1, setting => setting.Item2),
                }
            ),
        };

    private static float[] Masters(Adapter adapter) =>
        [.. adapter.Parameters.Parameters.SelectMany(parameter => parameter.Master.ToArray())];

    private sealed class Saving(int at, Action save) : ITrainerCallback
    {
        public void OnStepEnd(int step, bool isLast)
        {
            if (step == at)
                save();
        }
    }
}
