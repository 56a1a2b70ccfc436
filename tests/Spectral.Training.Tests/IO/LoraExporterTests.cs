namespace Spectral.Training.Tests;

public sealed class LoraExporterTests
{
    private TemporaryFolder source = null!;
    private TemporaryFolder target = null!;

    [SetUp]
    public void SetUp() => (source, target) = (new TemporaryFolder(), new TemporaryFolder());

    [TearDown]
    public void TearDown()
    {
        source.Dispose();
        target.Dispose();
    }

    // The change of a weight as the methods define it, and the sum of its terms' magnitudes, entry by entry in double.
    private static (double[] Delta, double[] Magnitude) Delta(AdapterModule module)
    {
        int outputs = (int)module.Outputs, inputs = (int)module.Inputs;
        (double[] delta, double[] magnitude) = (new double[outputs * inputs], new double[outputs * inputs]);
        void Add(float[] left, float[] right, int rank, Func<int, double> factor)
        {
            for (int row = 0; row < outputs; row++)
                for (int column = 0; column < inputs; column++)
                    for (int i = 0; i < rank; i++)
                    {
                        double term = factor(i) * left[(row * rank) + i] * right[(i * inputs) + column];
                        delta[(row * inputs) + column] += term;
                        magnitude[(row * inputs) + column] += Math.Abs(term);
                    }
        }
        if (module.LoraA is not null)
            Add(module.LoraB!.ToFloats(), module.LoraA.ToFloats(), module.Rank, _ => module.Scale);
        if (module.SpectralU is not null)
        {
            (float[] sigma, float[] change) = (module.SpectralS!.ToFloats(), module.SpectralDelta!.ToFloats());
            Add(module.SpectralU.ToFloats(), module.SpectralV!.ToFloats(), module.TopK, i => (double)sigma[i] * change[i]);
        }
        return (delta, magnitude);
    }

    private void ExportMustPreserve(int rank)
    {
        int written = LoraExporter.Export(source.Path, target.Path);
        using AdapterFolder before = AdapterFolder.Open(source.Path);
        using AdapterFolder after = AdapterFolder.Open(target.Path);
        Assert.That(after.Warnings, Is.Empty);
        Assert.That((after.Config.PeftType, after.Config.Rank, after.Config.Alpha, after.Config.TopK), Is.EqualTo((AdapterConfig.Lora, rank, (double)rank, (int?)null)));
        Assert.That(after.Modules.Keys, Is.EqualTo(before.Modules.Keys));
        Assert.That(written, Is.EqualTo(2 * after.Modules.Count));
        foreach ((string name, AdapterModule module) in after.Modules)
        {
            Assert.That((module.Scale, module.Rank, module.TopK), Is.EqualTo((1.0, rank, 0)));
            (double[] expected, double[] magnitude) = Delta(before.Modules[name]);
            (double[] actual, _) = Delta(module);
            for (int i = 0; i < expected.Length; i++)
                Assert.That(actual[i], Is.EqualTo(expected[i]).Within(magnitude[i] * Math.Pow(2, -24)), $"{name} entry {i}: one F32 rounding per term");
        }
    }

    [Test]
    public void Speclora_becomes_a_lora_of_rank_k_plus_r()
    {
        AdapterFolder.Write(source.Path, AdapterFiles.SpecLora(rank: 2, topK: 3),
            [.. AdapterFiles.Spectral(AdapterFiles.Module, 3), .. AdapterFiles.LowRank(AdapterFiles.Module, 2), .. AdapterFiles.Spectral(AdapterFiles.Other, 3), .. AdapterFiles.LowRank(AdapterFiles.Other, 2)]);
        ExportMustPreserve(rank: 5);
    }

    [Test]
    public void Speclora_without_low_rank_part()
    {
        AdapterFolder.Write(source.Path, AdapterFiles.SpecLora(rank: 0, topK: 3), [.. AdapterFiles.Spectral(AdapterFiles.Module, 3)]);
        ExportMustPreserve(rank: 3);
    }

    [Test]
    public void Different_ranks_scales_and_types_become_one()
    {
        AdapterConfig config = new()
        {
            PeftType = AdapterConfig.Lora,
            TargetModules = ModulePattern.Of("q_proj", "down_proj"),
            Rank = 2,
            Alpha = 3,
            UseRsLora = true,
            RankPattern = [new("down_proj", 4)],
            AlphaPattern = [new("q_proj", 0.7)],
        };
        AdapterFolder.Write(source.Path, config, [.. AdapterFiles.LowRank(AdapterFiles.Module, 2, StoredType.BF16), .. AdapterFiles.LowRank(AdapterFiles.Other, 4, StoredType.F16)]);
        ExportMustPreserve(rank: 4);
    }
}
