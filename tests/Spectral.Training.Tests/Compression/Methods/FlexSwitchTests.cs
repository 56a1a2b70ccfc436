using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Compression;
using Spectral.Training.Merging;

namespace Spectral.Training.Tests.Compression.Methods;

/// <summary>T-Switch's codec keeps the largest entries of each change, all with the mean of their sizes.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class FlexSwitchTests(DeviceKind kind) : ChangeOfBaseTest(kind)
{
    private protected override (string Method, CompressionOptions Options) Case =>
        ("flex-switch", Setting("density", 0.3));

    [TestCase(0.1)]
    [TestCase(0.37)]
    [TestCase(1)]
    [TestCase(1e-6)]
    public void TheChangeIsTheFormulas(double density)
    {
        MergeInput tuned = Tuned(1);
        CompressionResult made = Compress(tuned.Directory, Setting("density", density));
        Dictionary<string, double[]> origin = Values(Base);
        Dictionary<string, double[]> result = Merge("linear", null, new MergeInput(Packed));
        foreach (CompressedLayer layer in made.Layers)
        {
            string name = $"{layer.Name}.weight";
            double[] change = Changes(name, tuned)[0];
            int count = Math.Max(1, (int)(density * change.Length));
            double[] sizes = [.. change.Select(Math.Abs).OrderDescending().Take(count)];
            double mean = sizes.Average();
            double[] expected =
            [
                .. change.Select((x, i) => origin[name][i] + (Math.Abs(x) >= sizes[^1] ? Math.Sign(x) * mean : 0)),
            ];
            Compare(result[name], expected, 1e-6, name);
            int bytes = ((change.Length + 7) / 8) + ((count + 7) / 8) + 4;
            Assert.That(layer.Bits, Is.EqualTo(8.0 * bytes / change.Length).Within(1e-9), name);
            Assert.That(layer.Rank, Is.Null);
        }
    }

    [Test]
    public void OneInTenTakesAboutElevenTenthsOfABit()
    {
        CompressionResult made = Compress(Tuned(1).Directory, Setting("density", 0.1));
        Assert.That(made.BitsPerParameter, Is.EqualTo(1.1).Within(0.25), "small tensors are rounded up to whole bytes");
    }

    [Test]
    public void OfEqualEntriesTheFirstAreKept()
    {
        MergeInput tuned = Tuned(1, distance: 0);
        Edit(Base, Query, (_, _) => 0.5f); // so that sums are exact
        Edit(tuned.Directory, Query, (i, _) => i % 2 == 0 ? 0.75f : 0.25f);
        CompressionResult made = Compress(tuned.Directory, Setting("density", 0.5));
        Assert.That(made.Layers, Has.Count.EqualTo(1));
        double[] changed =
        [
            .. Merge("linear", null, new MergeInput(Packed))[Query].Zip(Values(Base)[Query], (a, b) => a - b),
        ];
        int half = changed.Length / 2;
        Assert.That(changed.Take(half).Select(Math.Abs), Is.All.EqualTo(0.25).Within(1e-6));
        Assert.That(changed.Skip(half), Is.All.Zero);
    }

    [TestCase(0)]
    [TestCase(1.1)]
    public void ADensityOutOfRangeIsRefused(double density)
    {
        string tuned = Tuned(1).Directory;
        Assert.That(
            () => Compress(tuned, Setting("density", density)),
            Refuses($"setting density={density}: expected a number from 1E-06 to 1")
        );
    }
}
