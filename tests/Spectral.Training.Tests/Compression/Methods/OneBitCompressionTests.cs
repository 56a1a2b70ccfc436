using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Compression;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Merging;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Compression.Methods;

/// <summary>Factors in a few bits are those of the formula, and those that were trained in them are exact.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class OneBitCompressionTests(DeviceKind kind) : MergeTest(kind)
{
    private static readonly double[] Levels =
    [
        -1.2657203250220042,
        -0.37775416114944965,
        0.37775416114944965,
        1.2657203250220042,
    ];

    private string Adapter => Folder.File("adapter");

    private string Packed => Folder.File("packed");

    [Test]
    public void FactorsAreRoundedToTheLevels([Values(1, 2)] int bits)
    {
        AdapterOf("lora", 5, 1, Adapter);
        CompressionResult made = Compress(bits);
        double[] levels = bits == 1 ? [-0.6744897501960817, 0.6744897501960817] : Levels;
        Dictionary<string, (Dense Left, Dense Right)> before = FactorsOf(Adapter);
        Dictionary<string, (Dense Left, Dense Right)> after = FactorsOf(Packed);
        Assert.That(made.Layers.Select(layer => layer.Name), Is.EquivalentTo(before.Keys));
        (double lost, double all) = (0, 0);
        foreach (CompressedLayer layer in made.Layers)
        {
            (Dense left, Dense right) = before[layer.Name];
            (Dense l, Dense r) = after[layer.Name];
            Compare(l.Values, Rounded(left.Values, levels), 1e-6, layer.Name);
            Compare(r.Values, Rounded(right.Values, levels), 1e-6, layer.Name);
            double own = ((left * right) - (l * r)).Values.Sum(x => x * x);
            double norm = (left * right).Values.Sum(x => x * x);
            Assert.That(layer.Error, Is.EqualTo(Math.Sqrt(own / norm)).Within(1e-6), layer.Name);
            Assert.That((layer.RankBefore, layer.Rank), Is.EqualTo((5, 5)));
            (lost, all) = (lost + own, all + norm);
        }
        Assert.That(made.Error, Is.EqualTo(Math.Sqrt(lost / all)).Within(1e-6));
    }

    [Test]
    public void AnAdapterThatTrainedInTheseBitsLosesNothing([Values(1, 2)] int bits)
    {
        using (var folder = ModelFolder.Open(Base))
        using (var model = CausalLanguageModel.Load(folder, Device, DType.F32))
        {
            AdapterOptions options = new()
            {
                Rank = 5,
                TargetModules = ["q_proj", "down_proj"],
                Settings = new Dictionary<string, double> { ["bits"] = bits },
            };
            using var adapter = Training.Adapters.Adapter.Attach(model, AdapterMethods.Find("one-bit"), options);
            TestAdapters.Perturb(adapter, 3);
            Directory.CreateDirectory(Adapter);
            adapter.Save(Adapter);
        }
        CompressionResult made = Compress(bits);
        Assert.That(made.Error, Is.LessThan(1e-7));
        Dictionary<string, double[]> trained = Merge("linear", null, new MergeInput(Adapter));
        Dictionary<string, double[]> packed = Merge("linear", null, new MergeInput(Packed));
        foreach ((string name, double[] values) in trained)
            Compare(packed[name], values, 1e-6, name);
        Assert.That(Compress(bits, Adapter).BytesAfter, Is.EqualTo(made.BytesAfter));
    }

    [Test]
    public void MoreBitsLoseLess()
    {
        AdapterOf("lora", 5, 1, Adapter);
        double[] errors = [.. Enumerable.Range(1, 4).Select(bits => Compress(bits).Error)];
        Assert.That(errors, Is.Ordered.Descending);
    }

    [Test]
    public void TheSizeIsABitForEachEntryOfTheFactors()
    {
        AdapterOf("lora", 5, 1, Adapter);
        CompressionResult made = Compress(1);
        foreach (CompressedLayer layer in made.Layers)
        {
            // Codes in whole bytes, and two levels in F32, for each of two factors.
            int bytes = (((5 * layer.Outputs) + 7) / 8) + (((5 * layer.Inputs) + 7) / 8) + (2 * 8);
            Assert.That(layer.Bits, Is.EqualTo(8.0 * bytes / layer.Outputs / layer.Inputs).Within(1e-9));
        }
    }

    [Test]
    public void WhatIsNoSumOfLowRankTermsIsRefused()
    {
        AdapterOf("dora", 3, 6, Adapter);
        Assert.That(() => Compress(1), Refuses("is no plain LoRA's equal"));
    }

    [TestCase(0)]
    [TestCase(1.5)]
    [TestCase(5)]
    public void BitsOutOfRangeAreRefused(double bits)
    {
        AdapterOf("lora", 3, 6, Adapter);
        Assert.That(() => Compress(bits), Refuses("expected a whole number from 1 to 4"));
    }

    private CompressionResult Compress(double bits, string? input = null)
    {
        if (Directory.Exists(Packed))
            Directory.Delete(Packed, recursive: true);
        Directory.CreateDirectory(Packed);
        using var model = ModelFolder.Open(Base);
        CompressionOptions options = new() { Settings = new Dictionary<string, double> { ["bits"] = bits } };
        CompressionMethod method = CompressionMethods.Find("one-bit");
        return Compressor.Compress(method, input ?? Adapter, Packed, options, Device, model);
    }

    private Dictionary<string, (Dense Left, Dense Right)> FactorsOf(string directory)
    {
        string lora = Folder.File("lora");
        Directory.CreateDirectory(lora);
        LoraExporter.Export(directory, lora, Device);
        using var file = SafetensorsFile.Open(Path.Combine(lora, "adapter_model.safetensors"));
        using AdapterReader read = new(lora);
        return read.Modules.ToDictionary(
            module => module.Shape.Name,
            module =>
                (Read(module, "lora_B.weight", module.Shape.Out, 5), Read(module, "lora_A.weight", 5, module.Shape.In))
        );

        Dense Read(AdaptedModule module, string leaf, int rows, int columns)
        {
            float[] values = file[AdapterFolder.KeyOf(module.Shape.Name, leaf)].ToFloats();
            return Dense.Of(rows, columns, Array.ConvertAll(values, value => (double)value));
        }
    }

    private static double[] Rounded(double[] values, double[] levels)
    {
        double mean = values.Average();
        double deviation = Math.Sqrt(values.Sum(x => (x - mean) * (x - mean)) / (values.Length - 1));
        return
        [
            .. values.Select(x =>
                mean + (deviation * levels.MinBy(level => Math.Abs(level - ((x - mean) / deviation))))
            ),
        ];
    }
}
