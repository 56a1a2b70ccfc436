using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Compression;
using Spectral.Training.Data;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Compression.Methods;

/// <summary>Delta-CoMe gives the leading triplets of each change in fewer bits the smaller they are.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class DeltaComeTests(DeviceKind kind) : ChangeOfBaseTest(kind)
{
    private const string Down = "model.layers.0.mlp.down_proj";

    private protected override (string Method, CompressionOptions Options) Case => ("delta-come", Setting("bits", 6));

    [Test]
    public void TheChangeIsTheSumOfTheRoundedTriplets()
    {
        (string tuned, ModelSizes sizes) = WiderModels();
        CompressionResult made = Compress(tuned, Setting("bits", 4));
        Dictionary<string, double[]> origin = Values(Base);
        Dictionary<string, double[]> wanted = Values(tuned);
        Dictionary<string, double[]> result = Merge("linear", null, new MergeInput(Packed));
        CompressedLayer layer = made.Layers.First(layer => layer.Name == Down);
        double[] change = [.. wanted[$"{Down}.weight"].Zip(origin[$"{Down}.weight"], (a, b) => (double)(float)(a - b))];
        (Dense u, double[] values, Dense v) = JacobiSvd.Of(Dense.Of(sizes.Outputs, sizes.Inputs, change));
        // 4 bits an entry pay for 2 triplets of 8 bits, 32 of 3 and 61 of 2, with their scales and norms.
        int budget = 4 * sizes.Outputs * sizes.Inputs;
        int left = budget - (2 * sizes.CostOf(8)) - (32 * sizes.CostOf(3));
        Assert.That(layer.Rank, Is.EqualTo(34 + (left / sizes.CostOf(2))).And.EqualTo(95));
        double[] expected = new double[change.Length];
        for (int i = 0; i < layer.Rank; i++)
        {
            double root = Math.Sqrt(values[i]);
            int bits = i < 34 ? 3 : 2;
            if (i < 2)
                bits = 8;
            double[] column = BandReference.Round([.. Enumerable.Range(0, u.Rows).Select(j => root * u[j, i])], bits);
            double[] row = BandReference.Round([.. Enumerable.Range(0, v.Rows).Select(j => root * v[j, i])], bits);
            for (int j = 0; j < change.Length; j++)
                expected[j] += column[j / sizes.Inputs] * row[j % sizes.Inputs];
        }
        double[] found = [.. result[$"{Down}.weight"].Zip(origin[$"{Down}.weight"], (a, b) => a - b)];
        Compare(found, expected, 2e-6, Down);
        Assert.That(layer.Bits, Is.EqualTo((budget - (left % sizes.CostOf(2))) / (double)change.Length).Within(0.01));
    }

    [Test]
    public void MoreBitsLoseLess()
    {
        string tuned = WiderModels().Tuned;
        double[] errors = [.. new[] { 0.5, 1, 2, 4 }.Select(bits => Compress(tuned, Setting("bits", bits)).Error)];
        Assert.That(errors, Is.Ordered.Descending);
        Assert.That(errors[0] - errors[3], Is.GreaterThan(0.1));
    }

    [Test]
    public void WithDataTheOutputsOfEachLayerChangeLess()
    {
        string tuned = WiderModels().Tuned;
        EncodedRecord[] records = TinyModels.Records(5, ModelConfig.Load(Base), new Random(1), longest: 9);
        (CompressionResult plain, double[] nearest) = OutputErrors(tuned, Setting("bits", 6), records);
        CompressionOptions options = Setting("bits", 6) with { Data = records, Batch = 2 };
        (CompressionResult made, double[] calibrated) = OutputErrors(tuned, options, records);
        Assert.That(calibrated[0], Is.Positive.And.LessThan(0.9 * nearest[0]));
        Assert.That(plain.Calibrated, Is.Null);
        Assert.That(plain.Layers.Select(layer => layer.Calibrated), Is.All.Null);
        IsOf(made.Calibrated!, calibrated[0], plain.Error, nearest[0]);
        for (int i = 0; i < made.Layers.Count; i++)
            IsOf(made.Layers[i].Calibrated!, calibrated[i + 1], plain.Layers[i].Error, nearest[i + 1]);
        Assert.That(made.Error, Is.GreaterThan(plain.Error), "it pays with the weights");

        static void IsOf(CalibratedErrors found, double outputs, double nearest, double nearestOutputs)
        {
            Assert.That(found.Outputs, Is.EqualTo(outputs).Within(1e-4 * outputs));
            Assert.That(found.Nearest, Is.EqualTo(nearest).Within(1e-6));
            Assert.That(found.NearestOutputs, Is.EqualTo(nearestOutputs).Within(1e-4 * nearestOutputs));
        }
    }

    [Test]
    public void MethodsThatLookAtWeightsAloneRefuseData() =>
        Assert.That(
            () =>
                Compressor.Compress(
                    CompressionMethods.Find("flex-switch"),
                    Base,
                    Packed,
                    new CompressionOptions { Data = Records(1) },
                    Device
                ),
            Refuses("flex-switch looks at weights alone, expected no data")
        );

    [TestCase(0.5)]
    [TestCase(2)]
    [TestCase(3.3)]
    public void TheBudgetOfEveryLayerIsKept(double bits)
    {
        CompressionResult made = Compress(WiderModels().Tuned, Setting("bits", bits));
        // Codes are rounded up to whole bytes.
        Assert.That(made.Layers.Select(layer => layer.Bits), Is.All.InRange(bits / 3, bits + 0.001));
    }

    [Test]
    public void ARankThatTheBudgetPaysForIsNotExceededByNoise()
    {
        string adapter = AdapterOf("lora", 2, 7, Folder.File("adapter"));
        CompressionResult made = Compress(adapter, Setting("bits", 16));
        Assert.That(made.Layers.Select(layer => layer.Rank), Is.All.InRange(2, 13));
        Assert.That(made.Error, Is.LessThan(0.02));
    }

    [Test]
    public void ExportingGivesAPlainLoraOfTheSameChange()
    {
        Compress(Tuned(1).Directory);
        string lora = Folder.File("lora");
        Directory.CreateDirectory(lora);
        using (var model = ModelFolder.Open(Base))
            LoraExporter.Export(Packed, lora, Device, model);
        Assert.That(File.Exists(Path.Combine(lora, "adapter_model.safetensors")));
        Dictionary<string, double[]> exported = Merge("linear", null, new MergeInput(lora));
        Dictionary<string, double[]> packed = Merge("linear", null, new MergeInput(Packed));
        foreach ((string name, double[] values) in packed)
            Compare(exported[name], values, 1e-6, name);
    }

    [TestCase(
        0.5,
        "setting bits=0.5: one singular triplet of model.layers.0.self_attn.q_proj [18, 13] takes 1.47 bits"
    )]
    [TestCase(17, "setting bits=17: expected a number from 0.01 to 16")]
    [TestCase(double.NaN, "setting bits=NaN: expected a number from 0.01 to 16")]
    public void ABudgetThatDoesNotSuitIsRefused(double bits, string message)
    {
        string tuned = Tuned(1).Directory;
        Assert.That(() => Compress(tuned, Setting("bits", bits)), Refuses(message));
    }

    [Test]
    public void OptionsOfOtherMethodsAreRefused()
    {
        Assert.That(
            () => Compress(Base, new CompressionOptions { Rank = 2 }),
            Refuses("rank 2: delta-come keeps no rank")
        );
        Assert.That(
            () => Compress(Base, Setting("density", 1)),
            Refuses("setting density: expected one of the settings of delta-come: bits, damping")
        );
    }

    /// <summary>
    /// Compresses, and computes what is lost of the change's outputs on the inputs that the tuned model has, relative
    /// to them: of all layers, then of each.
    /// </summary>
    private (CompressionResult Made, double[] Errors) OutputErrors(
        string tuned,
        CompressionOptions options,
        EncodedRecord[] records
    )
    {
        CompressionResult made = Compress(tuned, options);
        Dictionary<string, double[]> wanted = Values(tuned);
        Dictionary<string, double[]> origin = Values(Base);
        Dictionary<string, double[]> result = Merge("linear", null, new MergeInput(Packed));
        var lost = made.Layers.ToDictionary(layer => layer.Name, _ => 0.0);
        var all = made.Layers.ToDictionary(layer => layer.Name, _ => 0.0);
        ReferenceModel model = new(ModelConfig.Load(tuned), wanted)
        {
            Observe = (name, x) =>
            {
                string weight = $"{name}.weight";
                for (int row = 0; row < wanted[weight].Length; row += x.Length)
                {
                    (double off, double change) = (0, 0);
                    for (int j = 0; j < x.Length; j++)
                    {
                        off += x[j] * (wanted[weight][row + j] - result[weight][row + j]);
                        change += x[j] * (wanted[weight][row + j] - origin[weight][row + j]);
                    }
                    lost[name] += off * off;
                    all[name] += change * change;
                }
            },
        };
        foreach (EncodedRecord record in records)
            model.Logits(record.Tokens);
        double whole = Math.Sqrt(lost.Values.Sum() / all.Values.Sum());
        return (made, [whole, .. made.Layers.Select(layer => Math.Sqrt(lost[layer.Name] / all[layer.Name]))]);
    }

    /// <summary>Writes a base of one layer, wide enough for all bands, and a tuned copy of it.</summary>
    private (string Tuned, ModelSizes Sizes) WiderModels()
    {
        JsonObject json = Config();
        json["vocab_size"] = 3;
        json["hidden_size"] = 150;
        json["intermediate_size"] = 131;
        json["num_hidden_layers"] = 1;
        json["num_attention_heads"] = 5;
        json["head_dim"] = 30;
        Directory.Delete(Base, recursive: true);
        Write("base", 0, 0, json);
        return (Write("tuned", 1, 0.1, json), new ModelSizes(150, 131));
    }

    private sealed record ModelSizes(int Outputs, int Inputs)
    {
        public int CostOf(int bits) => (bits * (Outputs + Inputs)) + (16 * (2 + 2)) + (2 * 32);
    }
}
