using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class DropoutTests(DeviceKind kind) : DeviceTest(kind)
{
    /// <summary>
    /// The mask's definition: 16 of the 128 bits that Philox makes of the number of the element's group of 8.
    /// </summary>
    internal static bool Keeps(ulong seed, ulong offset, uint stream, double probability, long element)
    {
        ulong high = stream + (offset << 32);
        ulong group = (ulong)element / 8;
        uint[] words = Philox(
            (uint)seed,
            (uint)(seed >> 32),
            (uint)group,
            (uint)(group >> 32),
            (uint)high,
            (uint)(high >> 32)
        );
        int at = (int)(element % 8);
        return (words[at / 2] >> (16 * (at % 2)) & 0xffff) >= Math.Round(probability * 65536);
    }

    [Test]
    public void MatchesTheReference(
        [ValueSource(nameof(Sizes))] int count,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values(0, 0.1, 0.5, 0.99)] double probability
    )
    {
        using var state = new StepState(Device);
        state.SeedDropout(0x123456789abcdef, 7);
        var mask = new DropoutMask(state, 42, probability);
        Tensor x = Input(count, type, out double[] xs);
        Tensor y = Output(count, type);
        Tensor sum = Input(count, type, out double[] sums);
        double[] expected = xs.Select(
                (value, i) => Keeps(0x123456789abcdef, 7, 42, probability, i) ? value * mask.Factor : 0
            )
            .ToArray();
        Dropout.Run(x, y, mask);
        Verify(y, expected);
        Dropout.Run(x, sum, mask, accumulate: true);
        Verify(
            sum,
            expected.Zip(sums, (a, b) => a + b).ToArray(),
            expected.Zip(sums, (a, b) => Math.Abs(a) + Math.Abs(b)).ToArray()
        );
        Dropout.Run(x, x, mask, factor: 1);
        Verify(x, expected.Select(value => value / mask.Factor).ToArray());
    }

    [Test]
    public void EachBatchAndStreamHasItsMaskAndTheExpectedValueStays()
    {
        const int count = 100_000;
        using var state = new StepState(Device);
        state.SeedDropout(1);
        Tensor ones = Input(Enumerable.Repeat(1f, count).ToArray(), count, DType.F32, out _);
        Tensor y = Output(count);
        float[] Run(uint stream)
        {
            Dropout.Run(ones, y, new DropoutMask(state, stream, 0.3));
            return y.ToArray();
        }
        float[] first = Run(0);
        Assert.That(Run(0), Is.EqualTo(first), "the same again, as backward needs it");
        double deviation = Math.Sqrt(0.3 / 0.7 / count);
        Assert.That(first.Average(), Is.EqualTo(1).Within(5 * deviation));
        foreach (float[] other in new[] { Run(1), Next() })
        {
            double both = first.Zip(other, (a, b) => (double)a * b).Average();
            Assert.That(both, Is.EqualTo(1).Within(5 * Math.Sqrt((1 / 0.49 - 1) / count)), "independent of the first");
        }
        float[] Next()
        {
            state.NextBatch();
            return Run(0);
        }
    }

    [Test]
    public void WrongArgumentsAreNamed()
    {
        using var state = new StepState(Device);
        var mask = new DropoutMask(state, 0, 0.5);
        Tensor x = Input(4, DType.F32, out _);
        Tensor y = Output(5);
        Tensor half = Output(4, DType.BF16);
        void Names(string argument, Action call) =>
            Assert.That(
                call,
                Throws
                    .InstanceOf<ArgumentException>()
                    .With.Property(nameof(ArgumentException.ParamName))
                    .EqualTo(argument)
            );
        Names("y", () => Dropout.Run(x, y, mask));
        Names("y", () => Dropout.Run(x, half, mask));
        foreach (double probability in new[] { -0.1, 1, double.NaN })
            Names("Probability", () => _ = new DropoutMask(state, 0, probability));
    }

    // Salmon, Moraes, Dror, Shaw 2011.
    internal static uint[] Philox(uint key0, uint key1, params uint[] counter)
    {
        uint[] c = [.. counter];
        for (int round = 0; round < 10; round++)
        {
            ulong a = 0xD2511F53UL * c[0];
            ulong b = 0xCD9E8D57UL * c[2];
            c = [(uint)(b >> 32) ^ c[1] ^ key0, (uint)b, (uint)(a >> 32) ^ c[3] ^ key1, (uint)a];
            (key0, key1) = (key0 + 0x9E3779B9, key1 + 0xBB67AE85);
        }
        return c;
    }
}
