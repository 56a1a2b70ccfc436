using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Adapters.Methods;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Files;

/// <summary>
/// Every method's files: read back bit for bit, merged and exported to what computes the same, and told by name where
/// they cannot be.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AdapterRoundTripTests(DeviceKind kind) : TrainingTest(kind)
{
    // Even, as some methods want; divides the sizes of the model.
    private static readonly AdapterOptions Options = new()
    {
        InvocationTokens = [3],
        Rank = 2,
        Alpha = 6,
        TopK = 2,
        Seed = 5,
    };

    private static readonly ModelConfig Model = TinyModels.Everything;

    private Batch Data { get; } = Batch.Create(TinyModels.Records(4, Model, new Random(7)), 0);

    private string Saved => Path.Combine(Folder.Path, "adapter");

    [TestCaseSource(nameof(Methods))]
    public void LoadedItHasTheSameBits(string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Model, Device, Folder));
        Dictionary<string, float[]> Values(Adapter adapter) =>
            adapter
                .Modules.SelectMany(module =>
                    module.Factors.Select(pair => (Key: $"{module.Shape.Name} {pair.Key}", pair.Value))
                )
                .ToDictionary(pair => pair.Key, pair => TestAdapters.Numbers(pair.Value));
        (float[] expected, Dictionary<string, float[]> values) = Save(model, method, Values);
        using var loaded = Adapter.Load(model, Saved);
        Assert.Multiple(() =>
        {
            Assert.That(loaded.Method.Name, Is.EqualTo(method));
            if (
                loaded.Method.PeftFields?.Any(field =>
                    field.Write is not null && field.Key.EndsWith("alpha", StringComparison.Ordinal)
                )
                ?? true
            )
            {
                Assert.That(loaded.Options.Scale, Is.EqualTo(Options.Scale));
            }

            Dictionary<string, float[]> again = Values(loaded);
            // Files leave out layers that the method has closed.
            var stored = loaded.Modules.Select(module => module.Shape.Name).ToHashSet();
            string[] kept = [.. values.Keys.Where(name => stored.Contains(name.Split(' ')[0]))];
            Assert.That(again.Keys, Is.EquivalentTo(kept));
            foreach (string name in kept)
                Assert.That(again[name].AsSpan().SequenceEqual(values[name]), Is.True, name);
            Assert.That(Losses.Logits(model, Data), Is.EqualTo(expected));
        });
        using AdapterReader reader = new(Saved, model.Config);
        Assert.That(reader.Warnings, Is.Empty);
    }

    [TestCaseSource(nameof(Methods))]
    public void SettingsComeBack(string name)
    {
        AdapterMethod method = AdapterMethods.Find(name);
        // Each setting as far from its default as it goes in small steps; those that do not suit the layers stay, and
        // those that take another's place.
        AdapterOptions options = Options with
        {
            Dropout = 0.125,
        };
        foreach (AdapterSetting setting in method.Settings.Where(setting => setting.InPlaceOf is null))
        {
            double changed = new[]
            {
                setting.Default + 1,
                setting.Default / 2,
                setting.Default * 2,
                setting.Default + 0.01,
                setting.Least,
                setting.Most,
            }.First(value => value != setting.Default && setting.Allows(value));
            AdapterOptions tried = options with
            {
                Settings = new Dictionary<string, double>(options.Settings) { [setting.Name] = changed },
            };
            try
            {
                AdaptedModule.Describe(method, tried, Shapes);
                options = tried;
            }
            catch (InputException) { }
        }
        if (method.Settings.Count > 0)
            Assert.That(options.Settings, Is.Not.Empty, "the test means something");
        AdapterConfig config = AdapterFiles.Config(name, options);
        folder(config);
        using var read = AdapterFolder.Open(Saved);
        Assert.Multiple(() =>
        {
            Assert.That(read.Warnings, Is.Empty);
            Assert.That(read.Config.Method.Name, Is.EqualTo(name));
            Assert.That(
                read.Config.Options.Dropout,
                Is.EqualTo(method.PeftFields is null || Has("dropout") ? 0.125 : 0)
            );
            foreach (AdapterSetting setting in method.Settings)
            {
                Assert.That(
                    read.Config.Options.Setting(method, setting.Name),
                    Is.EqualTo(options.Setting(method, setting.Name)),
                    setting.Name
                );
            }
        });

        void folder(AdapterConfig written) => AdapterFolder.Write(Saved, written, [TinyModel.Numbered("x", [1])]);
        bool Has(string end)
        {
            JsonNode json = JsonNode.Parse(File.ReadAllText(Path.Combine(Saved, "adapter_config.json")))!;
            return json.AsObject().Any(pair => pair.Key.EndsWith(end, StringComparison.Ordinal));
        }
    }

    [TestCaseSource(nameof(Methods))]
    public void MergedItIsThePlainModelWithTheSameLogits(string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Model, Device, Folder));
        (float[] expected, bool mergeable) = Save(
            model,
            method,
            adapter => adapter.Modules.All(module => module.Form.IsMergeable)
        );
        string merged = Directory.CreateDirectory(Path.Combine(Folder.Path, "merged")).FullName;
        using var folder = ModelFolder.Open(Folder.Path);
        if (!mergeable)
        {
            Assert.That(
                () => Merger.Merge(folder, Saved, merged, Device),
                Throws.TypeOf<InputException>().With.Message.Contains("cannot be merged")
            );
            return;
        }
        Merger.Merge(folder, Saved, merged, Device);
        using var opened = ModelFolder.Open(merged);
        CausalLanguageModel plain = Keep(CausalLanguageModel.Load(opened, Device, DType.F32));
        Assert.That(Losses.Logits(plain, Data), Is.EqualTo(expected).Within(Tolerance(expected)));
        foreach (string name in folder.TensorNames.Where(name => !name.Contains("proj.")))
            Assert.That(opened[name].Data.SequenceEqual(folder[name].Data), Is.True, $"{name} is copied bit for bit");
    }

    [TestCaseSource(nameof(Methods))]
    public void ExportedItIsAPlainLoraWithTheSameLogits(string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Model, Device, Folder));
        (float[] expected, bool lowRank) = Save(
            model,
            method,
            adapter => adapter.Modules.All(module => module.Form.IsLowRank)
        );
        string exported = Directory.CreateDirectory(Path.Combine(Folder.Path, "exported")).FullName;
        using var folder = ModelFolder.Open(Folder.Path);
        if (!lowRank)
        {
            Assert.That(
                () => LoraExporter.Export(Saved, exported, Device, folder),
                Throws.TypeOf<InputException>().With.Message.Contains("no plain LoRA's equal")
            );
            return;
        }
        LoraExporter.Export(Saved, exported, Device, folder);
        using var lora = Adapter.Load(model, exported);
        Assert.That(lora.Method, Is.InstanceOf<LoraMethod>());
        Assert.That(Losses.Logits(model, Data), Is.EqualTo(expected).Within(Tolerance(expected)));
    }

    [TestCaseSource(nameof(LoraLike))]
    public void WhatPeftReadsAsLoraIsOne(string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Model, Device, Folder));
        (float[] expected, bool lowRank) = Save(
            model,
            method,
            adapter => adapter.Modules.All(module => module.Form.IsLowRank)
        );
        WithoutMetadata();
        using var lora = Adapter.Load(model, Saved);
        // Of these KaSA's config alone has a key of its own.
        Assert.That(lora.Method.Name, lowRank && method != "kasa" ? Is.EqualTo("lora") : Is.EqualTo(method));
        Assert.That(Losses.Logits(model, Data), Is.EqualTo(expected).Within(Tolerance(expected)));
    }

    [TestCase("pissa")]
    [TestCase("olora")]
    public void WithoutItsStartItIsReadAsPeftLeavesIt(string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Model, Device, Folder));
        (float[] expected, Dictionary<string, float[]> values) = Save(
            model,
            method,
            adapter =>
                adapter
                    .Modules.SelectMany(module =>
                        new[] { "lora_A.weight", "lora_B.weight" }.Select(leaf =>
                            (
                                Key: AdapterFolder.KeyOf(module.Shape.Name, leaf),
                                Values: module.Factors[leaf].Master.ToArray()
                            )
                        )
                    )
                    .ToDictionary(pair => pair.Key, pair => pair.Values)
        );
        AdapterFolder.Write(
            Saved,
            AdapterFiles.Config("lora", Options, [.. Options.TargetModules]),
            [
                .. values.Select(pair =>
                    TensorToWrite.Floats(
                        pair.Key,
                        StoredType.F32,
                        pair.Key.Contains("lora_A")
                            ? [Options.Rank, pair.Value.Length / Options.Rank]
                            : [pair.Value.Length / Options.Rank, Options.Rank],
                        () => pair.Value
                    )
                ),
            ]
        );
        WithoutMetadata();
        string file = Path.Combine(Saved, "adapter_config.json");
        JsonObject config = JsonNode.Parse(File.ReadAllText(file))!.AsObject();
        config["init_lora_weights"] = method;
        File.WriteAllText(file, config.ToJsonString());
        using var loaded = Adapter.Load(model, Saved);
        Assert.That(loaded.Method.Name, Is.EqualTo(method));
        Assert.That(Losses.Logits(model, Data), Is.EqualTo(expected).Within(Tolerance(expected)));
        using var folder = ModelFolder.Open(Folder.Path);
        string exported = Directory.CreateDirectory(Path.Combine(Folder.Path, "exported")).FullName;
        Assert.That(
            () => LoraExporter.Export(Saved, exported, Device),
            Throws.TypeOf<InputException>().With.Message.Contains("--model")
        );
        LoraExporter.Export(Saved, exported, Device, folder);
        loaded.Dispose();
        using var lora = Adapter.Load(model, exported);
        Assert.That(Losses.Logits(model, Data), Is.EqualTo(expected).Within(Tolerance(expected)));
    }

    [Test]
    public void TrainedBiasesArePartOfTheAdapter([Values(AdapterBias.Adapted, AdapterBias.All)] AdapterBias bias)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Model, Device, Folder));
        float[] before = Losses.Logits(model, Data);
        float[] expected;
        using (var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), Options with { Bias = bias }))
        {
            Assert.That(Losses.Logits(model, Data), Is.EqualTo(before).Within(1e-6f));
            TestAdapters.Randomize(adapter, 3);
            expected = Losses.Logits(model, Data);
            adapter.Save(Saved);
        }
        using (var loaded = Adapter.Load(model, Saved))
        {
            Assert.That(loaded.Options.Bias, Is.EqualTo(bias));
            Assert.That(Losses.Logits(model, Data), Is.EqualTo(expected));
        }
        using var folder = ModelFolder.Open(Folder.Path);
        foreach (ModelFolder? beside in new[] { null, folder })
        {
            string exported = Directory.CreateDirectory(Path.Combine(Folder.Path, "exported")).FullName;
            LoraExporter.Export(Saved, exported, Device, beside);
            using var lora = Adapter.Load(model, exported);
            Assert.That(lora.Options.Bias, Is.EqualTo(bias));
            Assert.That(Losses.Logits(model, Data), Is.EqualTo(expected).Within(Tolerance(expected)));
        }
        Assert.That(
            () => Adapter.Attach(model, AdapterMethods.Find("bitfit"), Options with { Bias = bias }),
            Throws.TypeOf<InputException>().With.Message.Contains("bitfit changes biases")
        );
    }

    [Test]
    public void PatternsGiveEachLayerItsOwn()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Model, Device, Folder));
        AdapterOptions options = Options with
        {
            RankPattern = [new(@"layers\.1\..*", 3)],
            AlphaPattern = [new("q_proj", 9)],
            RankStabilized = true,
        };
        foreach (string method in new[] { "lora", "pissa" })
        {
            float[] expected;
            using (var adapter = Adapter.Attach(model, AdapterMethods.Find(method), options))
            {
                Assert.That(
                    adapter.Modules.Select(module => module.Options.Rank),
                    Is.EqualTo(adapter.Modules.Select(module => module.Shape.Name.Contains(".1.") ? 3 : 2))
                );
                TestAdapters.Randomize(adapter, 3);
                expected = Losses.Logits(model, Data);
                adapter.Save(Saved);
            }
            using var loaded = Adapter.Load(model, Saved);
            Assert.That(
                loaded.Modules.Select(module => (module.Options.Rank, module.Options.Alpha)),
                Is.EqualTo(
                    loaded.Modules.Select(module =>
                        (module.Shape.Name.Contains(".1.") ? 3 : 2, module.Shape.Name.Contains("q_proj") ? 9.0 : 6.0)
                    )
                )
            );
            Assert.That(Losses.Logits(model, Data), Is.EqualTo(expected), method);
        }
    }

    [TestCaseSource(nameof(Methods))]
    public void EveryKeyIsWrittenOnce(string name)
    {
        AdapterFolder.Write(Saved, AdapterFiles.Config(name, Options), [TinyModel.Numbered("x", [1])]);
        string[] keys =
        [
            .. JsonNode
                .Parse(File.ReadAllText(Path.Combine(Saved, "adapter_config.json")))!
                .AsObject()
                .Select(pair => pair.Key),
        ];
        AdapterMethod method = AdapterMethods.Find(name);
        string[] declared =
        [
            .. (method.PeftFields ?? []).Select(field => field.Key),
            .. method.Settings.Select(setting => setting.PeftKey).OfType<string>(),
        ];
        Assert.That(declared, Is.Unique);
        Assert.That(keys, Is.Ordered.Using((System.Collections.IComparer)StringComparer.Ordinal).And.Unique);
    }

    // Of a size that most settings divide.
    private static IReadOnlyList<ModuleShape> Shapes =>
        [new("model.layers.0.self_attn.q_proj", 96, 96, true), new("model.layers.0.mlp.down_proj", 96, 96)];

    private static string[] Methods() => TestAdapters.LayerMethods;

    // PEFT has no LoRA with a prompt beside it, as TAP-SLF is.
    private static string[] LoraLike() =>
        [
            .. AdapterMethods
                .All.Where(method => method.PeftType == AdapterConfig.Lora && method is not TapSlfMethod)
                .Select(method => method.Name),
        ];

    // F32 sums in another order.
    private static float Tolerance(float[] expected) => 2e-5f * expected.Max(Math.Abs);

    private (float[] Logits, T Seen) Save<T>(CausalLanguageModel model, string method, Func<Adapter, T> look)
    {
        using Adapter adapter = TestAdapters.Attach(model, AdapterMethods.Find(method), Options);
        TestAdapters.Randomize(adapter, 11);
        adapter.Save(Saved);
        return (Losses.Logits(model, Data), look(adapter));
    }

    private void WithoutMetadata()
    {
        string path = Path.Combine(Saved, "adapter_model.safetensors");
        List<TensorToWrite> tensors = [];
        using (var file = SafetensorsFile.Open(path))
        {
            tensors.AddRange(
                file.Tensors.Values.Select(tensor =>
                {
                    float[] values = tensor.ToFloats();
                    return TensorToWrite.Floats(tensor.Name, StoredType.F32, tensor.Shape, () => values);
                })
            );
        }

        SafetensorsWriter.Write(path, tensors);
    }
}
