using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Merging;

public sealed class LoraExporterTests
{
    private TemporaryFolder _source = null!;
    private TemporaryFolder _target = null!;

    [SetUp]
    public void SetUp() => (_source, _target) = (new TemporaryFolder(), new TemporaryFolder());

    [TearDown]
    public void TearDown()
    {
        _source.Dispose();
        _target.Dispose();
    }

    // The change of a weight as the methods define it, and the sum of its terms' magnitudes, entry by entry in double.
    private static (double[] Delta, double[] Magnitude) Delta(SafetensorsFile file, AdaptedModule module)
    {
        (int outputs, int inputs) = (module.Shape.Out, module.Shape.In);
        (double[] delta, double[] magnitude) = (new double[outputs * inputs], new double[outputs * inputs]);
        float[]? Values(string leaf) =>
            file.Tensors.GetValueOrDefault(AdapterFolder.KeyOf(module.Shape.Name, leaf))?.ToFloats();
        void Add(float[] left, float[] right, Func<int, double> factor)
        {
            int rank = left.Length / outputs;
            for (int row = 0; row < outputs; row++)
            {
                for (int column = 0; column < inputs; column++)
                {
                    for (int i = 0; i < rank; i++)
                    {
                        double term = factor(i) * left[(row * rank) + i] * right[(i * inputs) + column];
                        delta[(row * inputs) + column] += term;
                        magnitude[(row * inputs) + column] += Math.Abs(term);
                    }
                }
            }
        }
        if (Values("lora_A.weight") is { } a)
            Add(Values("lora_B.weight")!, a, _ => module.Options.Scale);
        if (Values("spec_U") is { } u)
        {
            (float[] sigma, float[] change) = (Values("spec_S")!, Values("spec_delta")!);
            Add(u, Values("spec_V")!, i => (double)sigma[i] * change[i]);
        }
        return (delta, magnitude);
    }

    private void ExportMustPreserve(int rank)
    {
        int written = LoraExporter.Export(_source.Path, _target.Path, Devices.Get(DeviceKind.Cpu));
        using AdapterReader before = new(_source.Path);
        using AdapterReader after = new(_target.Path);
        using var stored = SafetensorsFile.Open(_source.File("adapter_model.safetensors"));
        using var exported = SafetensorsFile.Open(_target.File("adapter_model.safetensors"));
        Assert.That(after.Warnings, Is.Empty);
        Assert.That(
            (after.Method.Name, after.Options.Rank, after.Options.Alpha),
            Is.EqualTo(("lora", rank, (double)rank))
        );
        Assert.That(
            after.Modules.Select(module => module.Shape),
            Is.EqualTo(before.Modules.Select(module => module.Shape))
        );
        Assert.That(written, Is.EqualTo(2 * after.Modules.Count));
        foreach ((AdaptedModule from, AdaptedModule to) in before.Modules.Zip(after.Modules))
        {
            Assert.That((to.Options.Scale, to.Form.Rank), Is.EqualTo((1.0, rank)));
            (double[] expected, double[] magnitude) = Delta(stored, from);
            (double[] actual, _) = Delta(exported, to);
            for (int i = 0; i < expected.Length; i++)
            {
                Assert.That(
                    actual[i],
                    Is.EqualTo(expected[i]).Within(magnitude[i] * Math.Pow(2, -23)),
                    $"{from.Shape.Name} entry {i}: two F32 roundings per term"
                );
            }
        }
    }

    [Test]
    public void SpecloraBecomesALoraOfRankKPlusR()
    {
        AdapterFolder.Write(
            _source.Path,
            AdapterFiles.SpecLora(rank: 2, topK: 3),
            [
                .. AdapterFiles.Spectral(AdapterFiles.Module, 3),
                .. AdapterFiles.LowRank(AdapterFiles.Module, 2),
                .. AdapterFiles.Spectral(AdapterFiles.Other, 3),
                .. AdapterFiles.LowRank(AdapterFiles.Other, 2),
            ]
        );
        ExportMustPreserve(rank: 5);
    }

    /// <summary>
    /// vLLM refuses trained biases, whole modules and DoRA, and does not read ranks of single layers
    /// (<c>vllm/lora/peft_helper.py</c>); it finds layers by PEFT's keys.
    /// </summary>
    [Test]
    public void TheConfigIsWithinWhatVllmReads()
    {
        AdapterFolder.Write(
            _source.Path,
            AdapterFiles.SpecLora(rank: 2, topK: 3),
            [
                .. AdapterFiles.Spectral(AdapterFiles.Module, 3),
                .. AdapterFiles.LowRank(AdapterFiles.Module, 2),
                .. AdapterFiles.Spectral(AdapterFiles.Other, 3),
                .. AdapterFiles.LowRank(AdapterFiles.Other, 2),
            ]
        );
        LoraExporter.Export(_source.Path, _target.Path, Devices.Get(DeviceKind.Cpu));
        JsonNode config = JsonNode.Parse(File.ReadAllText(_target.File("adapter_config.json")))!;
        Assert.That((string?)config["peft_type"], Is.EqualTo("LORA"));
        Assert.That(((int?)config["r"], (double?)config["lora_alpha"]), Is.EqualTo(((int?)5, (double?)5)));
        Assert.That((string?)config["bias"] ?? "none", Is.EqualTo("none"));
        Assert.That(config["modules_to_save"], Is.Null);
        Assert.That((bool?)config["use_dora"] ?? false, Is.False);
        Assert.That((bool?)config["use_rslora"] ?? false, Is.False);
        Assert.That(config["rank_pattern"]?.AsObject() ?? [], Is.Empty);
        Assert.That(config["target_modules"], Is.InstanceOf<JsonArray>());
        Assert.That(config["base_model_name_or_path"], Is.Not.Null);
        using var exported = SafetensorsFile.Open(_target.File("adapter_model.safetensors"));
        Assert.That(
            exported.Tensors.Keys,
            Has.All.Match(@"^base_model\.model\.model\.layers\.\d+\.\w+\.\w+\.lora_[AB]\.weight$")
        );
    }

    [Test]
    public void SpecloraWithoutLowRankPart()
    {
        AdapterFolder.Write(
            _source.Path,
            AdapterFiles.SpecLora(rank: 0, topK: 3),
            [.. AdapterFiles.Spectral(AdapterFiles.Module, 3)]
        );
        ExportMustPreserve(rank: 3);
    }

    [Test]
    public void DifferentRanksScalesAndTypesBecomeOne()
    {
        AdapterConfig config = AdapterFiles.Config(
            "lora",
            new AdapterOptions
            {
                Rank = 2,
                Alpha = 3,
                RankStabilized = true,
                RankPattern = [new("down_proj", 4)],
                AlphaPattern = [new("q_proj", 0.7)],
            }
        );
        AdapterFolder.Write(
            _source.Path,
            config,
            [
                .. AdapterFiles.LowRank(AdapterFiles.Module, 2, StoredType.BF16),
                .. AdapterFiles.LowRank(AdapterFiles.Other, 4, StoredType.F16),
            ]
        );
        ExportMustPreserve(rank: 4);
    }

    [Test]
    public void WhatNoLoraEqualsIsRefusedWithTheReason()
    {
        AdapterFolder.Write(
            _source.Path,
            AdapterFiles.SpecLora(rank: 2, topK: 3),
            [.. AdapterFiles.Spectral(AdapterFiles.Module, 3)]
        );
        Assert.That(
            () => LoraExporter.Export(_source.Path, _target.Path, Devices.Get(DeviceKind.Cpu)),
            Throws.TypeOf<InputException>().With.Message.Contains("expected the model beside the adapter"),
            "there is no layer with these tensors"
        );
    }

    /// <summary>
    /// Some methods count layers: without a model their order is told by their names, and 10 comes after 9.
    /// </summary>
    [Test]
    public void WithoutAModelLayersAreInItsOrder()
    {
        Device device = Devices.Get(DeviceKind.Cpu);
        using TemporaryFolder models = new();
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama with { Layers = 12 }, device, models);
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), new AdapterOptions { Rank = 2 });
        adapter.Save(_source.Path);
        using AdapterReader reader = new(_source.Path);
        Assert.That(
            reader.Modules.Select(module => module.Shape),
            Is.EqualTo(adapter.Modules.Select(module => module.Shape))
        );
    }
}
