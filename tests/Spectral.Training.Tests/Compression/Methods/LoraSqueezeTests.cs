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

/// <summary>LoRA-Squeeze loses what the best approximation of a rank loses, and no more.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LoraSqueezeTests(DeviceKind kind) : MergeTest(kind)
{
    private const double Rounding = 1.2e-7; // 2⁻²³: the left factor takes the scale and is rounded to F32

    private string Adapter => Folder.File("adapter");

    [Test]
    public void ARankLosesTheTailOfTheSingularValues()
    {
        AdapterOf("lora", 13, 1, Adapter);
        CompressionResult made = Compress(new CompressionOptions { Rank = 4 });
        Dictionary<string, Dense> before = Changes(Adapter);
        Dictionary<string, Dense> after = Changes(Out);
        Assert.That(made.Layers.Select(layer => layer.Name), Is.EquivalentTo(before.Keys));
        (double dropped, double all) = (0, 0);
        foreach (CompressedLayer layer in made.Layers)
        {
            (_, double[] values, _) = JacobiSvd.Of(before[layer.Name]);
            (double tail, double norm) = (Squares(values.Skip(4)), Squares(values));
            Assert.That((layer.RankBefore, layer.Rank), Is.EqualTo((13, 4)));
            Assert.That(layer.Error, Is.EqualTo(Math.Sqrt(tail / norm)).Within(Rounding), layer.Name);
            double own = Squares((before[layer.Name] - after[layer.Name]).Values);
            Assert.That(Math.Sqrt(own), Is.EqualTo(Math.Sqrt(tail)).Within(0.001).Percent, layer.Name);
            dropped += tail;
            all += norm;
        }
        Assert.That(made.Error, Is.EqualTo(Math.Sqrt(dropped / all)).Within(Rounding));
    }

    [TestCase(0.3)]
    [TestCase(0.9)]
    [TestCase(0.99)]
    [TestCase(1)]
    public void AnEnergyKeepsTheSmallestRankThatSuffices(double energy)
    {
        AdapterOf("lora", 13, 2, Adapter);
        CompressionResult made = Compress(new CompressionOptions { Energy = energy });
        Dictionary<string, Dense> before = Changes(Adapter);
        foreach (CompressedLayer layer in made.Layers)
        {
            (_, double[] values, _) = JacobiSvd.Of(before[layer.Name]);
            int expected = Enumerable
                .Range(1, 13)
                .First(rank => rank == 13 || Squares(values.Take(rank)) >= energy * Squares(values));
            Assert.That(layer.Rank, Is.EqualTo(expected), layer.Name);
            Assert.That(layer.Error, Is.LessThanOrEqualTo(Math.Sqrt(1 - energy)), layer.Name);
        }
    }

    [Test]
    public void TheResultIsAPlainLoraWithARankForEachLayer()
    {
        AdapterOf("lora", 13, 2, Adapter);
        CompressionResult made = Compress(new CompressionOptions { Energy = 0.7, Type = StoredType.BF16 });
        Assert.That(made.Layers.Select(layer => layer.Rank).Distinct().Count(), Is.GreaterThan(1));
        using AdapterReader read = new(Out);
        Assert.That(read.Warnings, Is.Empty);
        Assert.That(read.Method.Name, Is.EqualTo("lora"));
        var ranks = made.Layers.ToDictionary(layer => layer.Name, layer => layer.Rank);
        foreach (AdaptedModule module in read.Modules)
            Assert.That((module.Form.Rank, module.Options.Scale), Is.EqualTo((ranks[module.Shape.Name], 1.0)));
        double bits = made.Layers.Sum(layer => 16.0 * layer.Rank!.Value * (layer.Outputs + layer.Inputs));
        Assert.That(
            made.BitsPerParameter,
            Is.EqualTo(bits / made.Layers.Sum(layer => layer.Outputs * layer.Inputs)).Within(1e-12)
        );
        Assert.That(made.BytesBefore, Is.EqualTo(SizeOf(Adapter)));
        Assert.That(made.BytesAfter, Is.EqualTo(SizeOf(Out)).And.LessThan(made.BytesBefore));
        Assert.That(made.Tensors, Is.EqualTo(2 * made.Layers.Count));
    }

    [Test]
    public void BothFactorsCarryTheSameShare()
    {
        AdapterOf("lora", 5, 3, Adapter);
        Compress(new CompressionOptions { Rank = 3 });
        using var file = SafetensorsFile.Open(Path.Combine(Out, "adapter_model.safetensors"));
        using AdapterReader read = new(Out);
        foreach (AdaptedModule module in read.Modules)
        {
            (Dense left, Dense right) = Factors(file, module);
            for (int i = 0; i < 3; i++)
            {
                double column = Squares(Enumerable.Range(0, left.Rows).Select(row => left[row, i]));
                double line = Squares(Enumerable.Range(0, right.Columns).Select(j => right[i, j]));
                Assert.That(column, Is.EqualTo(line).Within(1e-4).Percent, $"{module.Shape.Name} direction {i}");
            }
        }
    }

    [TestCase("lora")]
    [TestCase("speclora")]
    public void ARankOfAtLeastTheAdaptersChangesNothing(string method)
    {
        AdapterOf(method, 3, 4, Adapter);
        Dictionary<string, double[]> whole = Merge("linear", null, new MergeInput(Adapter));
        CompressionResult made = Compress(new CompressionOptions { Rank = 64 });
        Assert.That(made.Error, Is.Zero);
        string squeezed = Folder.File("squeezed");
        Directory.Move(Out, squeezed);
        Dictionary<string, double[]> merged = Merge("linear", null, new MergeInput(squeezed));
        foreach ((string name, double[] values) in whole)
            Compare(merged[name], values, 1e-6, name);
    }

    [Test]
    public void AnAdapterWithoutAChangeKeepsRankOne()
    {
        AdapterOf("lora", 3, 5, Adapter);
        SetLeft(0);
        CompressionResult made = Compress(new CompressionOptions());
        Assert.That(made.Layers.Select(layer => (layer.Rank, layer.Error)), Is.All.EqualTo((1, 0.0)));
        Assert.That(made.Error, Is.Zero);
    }

    [Test]
    public void AProductThatOverflowsIsRefusedByName()
    {
        AdapterOf("lora", 3, 5, Adapter);
        SetLeft(3e38f);
        Assert.That(
            () => Compress(new CompressionOptions()),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("a factor of model.layers.0.self_attn.q_proj has Infinity at [0, 0]")
        );
    }

    [Test]
    public void AnAdapterThatIsNoSumOfLowRankTermsIsRefused()
    {
        AdapterOf("dora", 3, 6, Adapter);
        Assert.That(
            () => Compress(new CompressionOptions { Rank = 2 }),
            Throws.TypeOf<InputException>().With.Message.Contains("is no plain LoRA's equal")
        );
    }

    [TestCase(0, null, "rank 0: expected at least 1")]
    [TestCase(null, 0.0, "energy 0: expected above 0, at most 1")]
    [TestCase(null, 1.5, "energy 1.5: expected above 0, at most 1")]
    [TestCase(null, double.NaN, "energy NaN: expected above 0, at most 1")]
    [TestCase(2, 0.5, "expected one of the two")]
    public void OptionsOutOfRangeAreRefused(int? rank, double? energy, string message) =>
        Assert.That(
            () => Compress(new CompressionOptions { Rank = rank, Energy = energy }),
            Throws.TypeOf<InputException>().With.Message.Contains(message)
        );

    private CompressionResult Compress(CompressionOptions options)
    {
        if (Directory.Exists(Out))
            Directory.Delete(Out, recursive: true);
        Directory.CreateDirectory(Out);
        using var model = ModelFolder.Open(Base);
        return Compressor.Compress(CompressionMethods.Find("lora-squeeze"), Adapter, Out, options, Device, model);
    }

    /// <summary>Gives every entry of the adapter's left factors a value.</summary>
    private void SetLeft(float value)
    {
        string path = Path.Combine(Adapter, "adapter_model.safetensors");
        List<TensorToWrite> tensors = [];
        using (var file = SafetensorsFile.Open(path))
        {
            foreach (SafetensorsTensor stored in file.Tensors.Values)
            {
                float[] values = stored.ToFloats();
                if (stored.Name.Contains("lora_B"))
                    Array.Fill(values, value);
                tensors.Add(TensorToWrite.Floats(stored.Name, stored.Type, stored.Shape, () => values));
            }
        }
        SafetensorsWriter.Write(path, tensors);
    }

    private static Dictionary<string, Dense> Changes(string directory)
    {
        using var file = SafetensorsFile.Open(Path.Combine(directory, "adapter_model.safetensors"));
        using AdapterReader read = new(directory);
        return read.Modules.ToDictionary(module => module.Shape.Name, module => Change(file, module));
    }

    private static Dense Change(SafetensorsFile file, AdaptedModule module)
    {
        (Dense left, Dense right) = Factors(file, module);
        return module.Options.Scale * (left * right);
    }

    private static (Dense Left, Dense Right) Factors(SafetensorsFile file, AdaptedModule module)
    {
        int rank = module.Form.Rank;
        return (Read("lora_B.weight", module.Shape.Out, rank), Read("lora_A.weight", rank, module.Shape.In));

        Dense Read(string leaf, int rows, int columns)
        {
            float[] values = file[AdapterFolder.KeyOf(module.Shape.Name, leaf)].ToFloats();
            return Dense.Of(rows, columns, Array.ConvertAll(values, value => (double)value));
        }
    }

    private static double Squares(IEnumerable<double> values) => values.Sum(value => value * value);

    private static long SizeOf(string directory) =>
        new FileInfo(Path.Combine(directory, "adapter_model.safetensors")).Length;
}
