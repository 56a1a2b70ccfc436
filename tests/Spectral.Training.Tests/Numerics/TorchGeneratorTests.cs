using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Numerics;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Numerics;

/// <summary>
/// The generator against the value its authors' C++ standard demands, the distributions against what PyTorch prints
/// for a seed of 0.
/// </summary>
public sealed class TorchGeneratorTests
{
    private const double Printed = 5.1e-5; // four decimals

    [Test]
    public void TheGeneratorIsMt19937()
    {
        TorchGenerator generator = new(5489);
        for (int i = 0; i < 9999; i++)
            generator.Next();
        Assert.That(generator.Next(), Is.EqualTo(4123659995));
    }

    /// <summary>torch.manual_seed(0); torch.rand(5)</summary>
    [Test]
    public void UniformNumbersArePyTorchs() =>
        Assert.That(
            new TorchGenerator(0).Uniform(5, 0, 1),
            Is.EqualTo([0.4963, 0.7682, 0.0885, 0.1320, 0.3074]).Within(Printed)
        );

    /// <summary>
    /// The lower 8 bits of the first numbers of seed 0, which are 2357136044, 2546248239 and 3071714933: 172, 47 and
    /// 117.
    /// </summary>
    [Test]
    public void UniformNumbersInBf16HaveEightBits() =>
        Assert.That(
            new TorchGenerator(0).UniformBFloat16(3, -1, 1),
            Is.EqualTo([2 * 172 / 256f - 1, 2 * 47 / 256f - 1, 2 * 117 / 256f - 1])
        );

    /// <summary>torch.manual_seed(0); torch.randn(5), one after another in F64.</summary>
    [Test]
    public void FewNormalNumbersArePyTorchs() =>
        Assert.That(
            new TorchGenerator(0).Normal(5, 1),
            Is.EqualTo([1.5410, -0.2934, -2.1788, 0.5684, -1.0845]).Within(Printed)
        );

    /// <summary>torch.manual_seed(0); torch.randn(4, 4), a vector at a time.</summary>
    [Test]
    public void ManyNormalNumbersArePyTorchs()
    {
        double[] expected =
        [
            -1.1258,
            -1.1524,
            -0.2506,
            -0.4339,
            0.8487,
            0.6920,
            -0.3160,
            -2.1152,
            0.3223,
            -1.2633,
            0.3500,
            0.3081,
            0.1198,
            1.2377,
            1.1168,
            -0.2473,
        ];
        Assert.That(new TorchGenerator(0).Normal(16, 1), Is.EqualTo(expected).Within(Printed));
        Assert.That(
            new TorchGenerator(0).Normal(16, 0.5),
            Is.EqualTo(expected.Select(value => value / 2)).Within(Printed)
        );
    }

    [Test]
    public void TheLastBlockOfAnOddNumberIsDrawnAnew()
    {
        (float[] even, float[] odd) = (new TorchGenerator(3).Normal(48, 1), new TorchGenerator(3).Normal(20, 1));
        Assert.That(odd[..4], Is.EqualTo(even[..4]));
        // After 20 numbers of which the first 16 made a block, 16 others make the last.
        TorchGenerator generator = new(3);
        generator.Uniform(20, 0, 1);
        Assert.That(odd[4..], Is.EqualTo(generator.Normal(16, 1)));
    }

    /// <summary>
    /// RandLoRA's sparse projections: a third of the numbers are signs, of very sparse ones one in the root of the
    /// smaller size, and all are divided by their deviation (PEFT's randlora/model.py).
    /// </summary>
    [TestCase("sparse", 3)]
    [TestCase("very-sparse", 8)]
    public void SparseProjectionsAreSignsAndZeros(string setting, double sparsity)
    {
        const int Rank = 16;
        const int Size = 64;
        const int Bases = 4;
        var settings = new Dictionary<string, double> { [setting] = 1, ["projection-seed"] = 5 };
        var options = new AdapterOptions { Rank = Rank, Settings = settings };
        Device device = Devices.Get(DeviceKind.Cpu);
        using var layer = new SingleLayer(device, AdapterMethods.Find("randlora"), options, Size, Size);
        TorchGenerator generator = new(5);
        foreach ((string name, int count) in new[] { ("randlora_A", Rank * Size), ("randlora_B", Size * Bases * Rank) })
        {
            double[] signs = Array.ConvertAll(generator.Uniform(count, 0, 1), Sign);
            double mean = signs.Average();
            double deviation = Math.Sqrt(signs.Sum(sign => (sign - mean) * (sign - mean)) / (count - 1));
            Assert.That(layer.Values()[name], Is.EqualTo(signs.Select(sign => sign / deviation)).Within(1e-6), name);
        }

        double Sign(float value)
        {
            if (value < 0.5 / sparsity)
                return -1;
            return value > 1 - 0.5 / sparsity ? 1 : 0;
        }
    }

    /// <summary>manual_seed takes the lower 32 bits.</summary>
    [Test]
    public void SeedsAreTakenModulo32Bits() =>
        Assert.That(new TorchGenerator(-1).Next(), Is.EqualTo(new TorchGenerator(uint.MaxValue).Next()));
}
