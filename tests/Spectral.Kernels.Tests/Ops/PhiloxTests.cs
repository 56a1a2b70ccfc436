using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class PhiloxTests(DeviceKind kind) : DeviceTest(kind)
{
    private const ulong Key = 0x0123456789abcdef;
    private const ulong Stream = 0xfedcba9876543210;

    // The published known answers of philox4x32-10, for the reference used below.
    [TestCase(0u, 0u, 0u, 0u, 0u, 0u, 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u)]
    [TestCase(~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu)]
    [TestCase(
        0x243f6a88u,
        0x85a308d3u,
        0x13198a2eu,
        0x03707344u,
        0xa4093822u,
        0x299f31d0u,
        0xd16cfe09u,
        0x94fdccebu,
        0x5001e420u,
        0x24126ea1u
    )]
    public void KnownAnswers(
        uint c0,
        uint c1,
        uint c2,
        uint c3,
        uint k0,
        uint k1,
        uint w0,
        uint w1,
        uint w2,
        uint w3
    ) =>
        Assert.That(
            Words(k0 | (ulong)k1 << 32, c2 | (ulong)c3 << 32, c0 | (ulong)c1 << 32),
            Is.EqualTo(new[] { w0, w1, w2, w3 })
        );

    [TestCase(0ul, 0ul)]
    [TestCase(Key, Stream)]
    public void UniformNumbersAreTheGeneratorsTopBits(ulong seed, ulong stream)
    {
        Tensor x = Output(4099);
        Philox.Uniform(x, seed, stream);
        float[] expected = Enumerable
            .Range(0, 4099)
            .Select(i => (Words(seed, stream, (ulong)i / 4)[i % 4] >> 8) / (float)(1 << 24))
            .ToArray();
        Assert.That(x.ToArray(), Is.EqualTo(expected));
    }

    [Test]
    public void UniformNumbersFillTheirRange()
    {
        Tensor x = Output(100_000);
        Philox.Uniform(x, Key, 1, -3, 5);
        float[] values = x.ToArray();
        Assert.That((values.Min(), values.Max()), Is.EqualTo((-3f, 5f)).Within(0.01));
        Assert.That(values.Average(), Is.EqualTo(1).Within(0.04)); // five deviations of the mean of 100,000
    }

    [Test]
    public void NormalNumbersAreBoxMuller([ValueSource(nameof(Sizes))] int count)
    {
        Tensor x = Output(count);
        Philox.Normal(x, Key, Stream);
        double[] expected = Enumerable
            .Range(0, count)
            .Select(i =>
            {
                uint[] words = Words(Key, Stream, (ulong)i / 4);
                (uint radiusBits, uint angleBits) = i % 4 < 2 ? (words[0], words[1]) : (words[2], words[3]);
                double radius = Math.Sqrt(-2 * Math.Log((radiusBits + 0.5) / 4294967296.0));
                double angle = 2 * Math.PI * (angleBits / 4294967296.0);
                return radius * (i % 2 == 0 ? Math.Cos(angle) : Math.Sin(angle));
            })
            .ToArray();
        Verify(x, expected);
    }

    [Test]
    public void NormalMoments()
    {
        const int N = 200_000;
        Tensor x = Output(N);
        Philox.Normal(x, Key, 7, mean: 3, deviation: 2);
        double[] z = Array.ConvertAll(x.ToArray(), v => (v - 3.0) / 2);
        // five deviations of each estimate
        Assert.That(z.Average(), Is.EqualTo(0).Within(5 / Math.Sqrt(N)));
        Assert.That(z.Average(v => v * v), Is.EqualTo(1).Within(5 * Math.Sqrt(2.0 / N)));
        Assert.That(z.Average(v => v * v * v * v), Is.EqualTo(3).Within(5 * Math.Sqrt(96.0 / N)));
        Assert.That(z.Zip(z.Skip(1), (a, b) => a * b).Average(), Is.EqualTo(0).Within(5 / Math.Sqrt(N)), "neighbours");
    }

    [Test]
    public void AValueDependsOnItsIndexAlone()
    {
        Tensor small = Output(101);
        Tensor large = Output((50, 101));
        Tensor other = Output(101);
        Philox.Normal(small, 5, 6);
        Philox.Normal(large, 5, 6);
        Philox.Normal(other, 5, 7);
        Assert.That(large.ToArray()[..101], Is.EqualTo(small.ToArray()));
        Assert.That(
            other.ToArray().Zip(small.ToArray()).Count(pair => pair.First == pair.Second),
            Is.Zero,
            "equal numbers in another stream"
        );
    }

    [Test]
    public void EmptyWork() => Philox.Normal(Output(0), 1, 2);

    [Test]
    public void WhatDoesNotFitIsNamed() =>
        Assert.That(
            () => Philox.Uniform(Output(4, DType.BF16), 1, 2),
            Throws.ArgumentException.With.Message.Contains("destination is BF16, expected F32")
        );

    internal static uint[] Words(ulong seed, ulong stream, ulong counter)
    {
        uint[] c = [(uint)counter, (uint)(counter >> 32), (uint)stream, (uint)(stream >> 32)];
        uint k0 = (uint)seed;
        uint k1 = (uint)(seed >> 32);
        for (int round = 0; round < 10; round++)
        {
            ulong a = 0xD2511F53ul * c[0];
            ulong b = 0xCD9E8D57ul * c[2];
            c = [(uint)(b >> 32) ^ c[1] ^ k0, (uint)b, (uint)(a >> 32) ^ c[3] ^ k1, (uint)a];
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }
        return c;
    }
}
