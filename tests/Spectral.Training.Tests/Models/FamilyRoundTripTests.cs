using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Models;

/// <summary>Models of each family through their files: saved, with an adapter, merged and exported.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class FamilyRoundTripTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Tolerance = 1e-5; // F32 weights with the change added once

    private string Saved => Path.Combine(Folder.Path, "adapter");

    [Test]
    public void ASavedModelIsTheSame([ValueSource(nameof(Types))] string type)
    {
        ModelConfig config = Config(type);
        CausalLanguageModel model = Keep(TinyModels.Trainable(config, Device));
        model.Save(Folder.Path, null);
        using var folder = ModelFolder.Open(Folder.Path);
        Assert.That(folder.Config.Warnings, Is.Empty);
        CausalLanguageModel again = Keep(CausalLanguageModel.Load(folder, Device, DType.F32));
        Batch data = Data(config);
        Assert.That(Losses.Logits(again, data), Is.EqualTo(Losses.Logits(model, data)));
    }

    [Test]
    public void AnAdapterIsLoadedMergedAndExported([ValueSource(nameof(Types))] string type)
    {
        ModelConfig config = Config(type);
        CausalLanguageModel model = Keep(TinyModels.Frozen(config, Device, Folder));
        Batch data = Data(config);
        string[] linears = [.. ModelTensors.Linears(config).Select(linear => linear.Name)];
        float[] expected;
        using (
            var adapter = Adapter.Attach(
                model,
                AdapterMethods.Find("speclora"),
                new AdapterOptions
                {
                    Rank = 2,
                    TopK = 2,
                    Alpha = 3,
                    // All linear layers of a model without experts are adapted by default.
                    TargetModules = config.Experts is null ? AdapterOptions.AllProjections : linears,
                }
            )
        )
        {
            TestAdapters.Randomize(adapter, 4);
            Assert.That(adapter.Modules.Select(module => module.Shape.Name), Is.EqualTo(linears));
            expected = Losses.Logits(model, data);
            adapter.Save(Saved);
        }
        float[] plain = Losses.Logits(model, data);
        Assert.That(plain.Zip(expected, (x, y) => Math.Abs(x - y)).Max(), Is.GreaterThan(0.01), "it changes something");

        using (var loaded = Adapter.Load(model, Saved))
            Assert.That(Losses.Logits(model, data), Is.EqualTo(expected));
        using var folder = ModelFolder.Open(Folder.Path);
        string exported = Directory.CreateDirectory(Path.Combine(Folder.Path, "exported")).FullName;
        LoraExporter.Export(Saved, exported, Device, folder);
        using (var lora = Adapter.Load(model, exported))
            Assert.That(Losses.Logits(model, data), Is.EqualTo(expected).Within(Tolerance));

        string merged = Directory.CreateDirectory(Path.Combine(Folder.Path, "merged")).FullName;
        Merger.Merge(folder, Saved, merged, Device);
        using var opened = ModelFolder.Open(merged);
        CausalLanguageModel whole = Keep(CausalLanguageModel.Load(opened, Device, DType.F32));
        Assert.That(Losses.Logits(whole, data), Is.EqualTo(expected).Within(Tolerance));
    }

    /// <summary>As in PEFT, a fused projection is one module with one pair of factors.</summary>
    [Test]
    public void AFusedProjectionHasOneAdapter()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Phi3, Device, Folder));
        using var adapter = Adapter.Attach(
            model,
            AdapterMethods.Find("lora"),
            new AdapterOptions { Rank = 2, TargetModules = ["qkv_proj"] }
        );
        adapter.Save(Saved);
        using var file = SafetensorsFile.Open(Path.Combine(Saved, "adapter_model.safetensors"));
        Assert.That(
            file.Tensors.Values.Select(tensor => $"{tensor.Name} {InputText.Shape([.. tensor.Shape])}"),
            Is.EquivalentTo(
                new[] { 0, 1 }.SelectMany(layer =>
                    new[]
                    {
                        $"base_model.model.model.layers.{layer}.self_attn.qkv_proj.lora_A.weight [2, 12]",
                        $"base_model.model.model.layers.{layer}.self_attn.qkv_proj.lora_B.weight [64, 2]",
                    }
                )
            )
        );
    }

    private static IEnumerable<string> Types => TinyModels.All.Select(config => config.ModelType).Distinct();

    private static ModelConfig Config(string type) => TinyModels.All.First(config => config.ModelType == type);

    private static Batch Data(ModelConfig config) => Batch.Create(TinyModels.Records(4, config, new Random(7)), 0);
}
