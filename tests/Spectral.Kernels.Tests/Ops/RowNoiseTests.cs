using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class RowNoiseTests(DeviceKind kind) : DeviceTest(kind)
{
    private const ulong NoiseSeed = 0x123456789abcdef;

    [TestCase(1, 1, DType.F32)]
    [TestCase(3, 7, DType.F32)]
    [TestCase(5, 33, DType.BF16)]
    [TestCase(2, 1000, DType.F32)]
    [TestCase(127, 8, DType.BF16)]
    public void EachElementHasItsOwnNoise(int rows, int width, DType type)
    {
        using var state = new StepState(Device);
        state.SeedDropout(NoiseSeed, 7);
        Tensor x = Input((rows, width), type, out double[] xs);
        Tensor scales = Input(rows, DType.F32, out double[] strengths);
        RowNoise.Add(state, 3, scales, x);
        double[] noise =
        [
            .. Enumerable
                .Range(0, rows * width)
                .Select(i => strengths[i / width] * (2 * Uniform(NoiseSeed, 7, 3, i) - 1)),
        ];
        Verify(
            x,
            xs.Zip(noise, (value, added) => value + added).ToArray(),
            xs.Zip(noise, (value, added) => Math.Abs(value) + Math.Abs(added)).ToArray()
        );
    }

    [Test]
    public void EachBatchAndStreamHasItsOwnNoiseOfTheRightWidth()
    {
        const int count = 100_000;
        using var state = new StepState(Device);
        state.SeedDropout(1);
        Tensor scale = Input(new float[] { 2 }, 1, DType.F32, out _);
        float[] Run(uint stream)
        {
            Tensor x = Input(new float[count], (1, count), DType.F32, out _);
            RowNoise.Add(state, stream, scale, x);
            return x.ToArray();
        }
        float[] first = Run(0);
        float[] other = Run(1);
        Assert.Multiple(() =>
        {
            Assert.That(Run(0), Is.EqualTo(first), "the same again, as a resumed run needs it");
            Assert.That(first, Is.All.InRange(-2f, 2f));
            // Uniform on [-2, 2): variance 4/3, variance of the square 64/45.
            Assert.That(first.Average(), Is.EqualTo(0).Within(5 * Math.Sqrt(4.0 / 3 / count)));
            Assert.That(first.Average(v => v * v), Is.EqualTo(4.0 / 3).Within(5 * Math.Sqrt(64.0 / 45 / count)));
            double both = first.Zip(other, (a, b) => (double)a * b).Average();
            Assert.That(both, Is.EqualTo(0).Within(5 * 4.0 / 3 / Math.Sqrt(count)), "independent of the first");
        });
        state.NextBatch();
        Assert.That(Run(0), Is.Not.EqualTo(first));
    }

    [Test]
    public void AScaleOfZeroLeavesARowAsItIs()
    {
        using var state = new StepState(Device);
        Tensor x = Input((2, 5), DType.F32, out double[] xs);
        RowNoise.Add(state, 0, Input(new float[] { 0, 1 }, 2, DType.F32, out _), x);
        float[] result = x.ToArray();
        Assert.That(result[..5].Select(value => (double)value), Is.EqualTo(xs[..5]));
        Assert.That(result[5..].Select(value => (double)value), Is.Not.EqualTo(xs[5..]));
    }

    [Test]
    public void WrongArgumentsAreNamed()
    {
        using var state = new StepState(Device);
        Tensor x = Input((2, 5), DType.F32, out _);
        Assert.That(() => RowNoise.Add(state, 0, Output(3), x), Throws.ArgumentException);
        Assert.That(() => RowNoise.Add(state, 0, Output(2, DType.BF16), x), Throws.ArgumentException);
        Assert.That(() => RowNoise.Add(state, 0, Output(10), Output(10)), Throws.ArgumentException);
        RowNoise.Add(state, 0, Output(0), Output((0, 4)));
    }

    // The generator's definition: word i % 4 of the block i / 4, of which the top 24 bits count.
    private static double Uniform(ulong seed, ulong offset, uint stream, long element)
    {
        uint[] words = DropoutTests.Philox(
            (uint)seed,
            (uint)(seed >> 32),
            (uint)(element / 4),
            0x40000000,
            stream,
            (uint)offset
        );
        return (words[element % 4] >> 8) / 16777216.0;
    }
}
