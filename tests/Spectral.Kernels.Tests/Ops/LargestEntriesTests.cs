using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LargestEntriesTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly int[] Counts = [1, 7, 255, 256, 257, 1000, 70001];

    [Test]
    public void TheyAreThoseOfAStableSort([ValueSource(nameof(Counts))] int size, [Values(0.01, 0.4, 1.0)] double share)
    {
        Tensor x = Input(size, DType.F32, out double[] values);
        VerifyChoice(x, values, (int)Math.Ceiling(share * size));
    }

    [Test]
    public void OfEqualMagnitudesTheLowestPlacesAreTaken([Values(1, 300, 1500, 2999, 3000)] int count)
    {
        float[] few = [.. Enumerable.Range(0, 3000).Select(_ => Rng.Next(-3, 4) * 0.25f)];
        VerifyChoice(Input(few, few.Length, DType.F32, out double[] values), values, count);
    }

    [Test]
    public void InfinitiesComeFirstAndNaNCountsAsZero()
    {
        float[] x = [float.NaN, 1, float.NegativeInfinity, float.Epsilon, 0, -2, float.MaxValue];
        Tensor index = Output(5, DType.I32);
        LargestEntries.Find(Input(x, x.Length, DType.F32, out _), index);
        Assert.That(index.ToInt32Array(), Is.EqualTo(new[] { 1, 2, 3, 5, 6 }));
        Tensor all = Output(6, DType.I32);
        LargestEntries.Find(Input(x, x.Length, DType.F32, out _), all);
        Assert.That(all.ToInt32Array(), Is.EqualTo(new[] { 0, 1, 2, 3, 5, 6 }));
    }

    [Test]
    public void DrawnPlacesAreDistinctSpreadAndSeeded()
    {
        const int Count = 400;
        int[] Draw(ulong seed, ulong stream)
        {
            Tensor index = Output(Count, DType.I32);
            LargestEntries.Draw((50, 40), index, seed, stream);
            return index.ToInt32Array();
        }
        int[] drawn = Draw(1, 2);
        Assert.Multiple(() =>
        {
            Assert.That(drawn, Is.Ordered.Ascending.And.Unique.And.All.InRange(0, 1999));
            Assert.That(Draw(1, 2), Is.EqualTo(drawn));
            Assert.That(Draw(2, 2), Is.Not.EqualTo(drawn));
            Assert.That(Draw(1, 3), Is.Not.EqualTo(drawn));
            // 100 of each quarter on average; the deviation is below 9.
            Assert.That(drawn.CountBy(at => at / 500).Select(quarter => quarter.Value), Is.All.InRange(50, 150));
        });
    }

    [Test]
    public void EmptyWork() => LargestEntries.Find(Output((3, 4)), Output(0, DType.I32));

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Assert.That(
            () => LargestEntries.Find(Output((3, 4)), Output(13, DType.I32)),
            Throws.ArgumentException.With.Message.Contains("13 entries of [3, 4], expected at most 12")
        );
        Assert.That(
            () => LargestEntries.Find(Output((3, 4), DType.BF16), Output(3, DType.I32)),
            Throws.ArgumentException.With.Message.Contains("x is BF16, expected F32")
        );
        Assert.That(
            () => LargestEntries.Find(Output((3, 4)), Output(3)),
            Throws.ArgumentException.With.Message.Contains("index is F32, expected I32")
        );
    }

    private void VerifyChoice(Tensor x, double[] values, int count)
    {
        Tensor index = Output(count, DType.I32);
        LargestEntries.Find(x, index);
        int[] expected =
        [
            .. Enumerable.Range(0, values.Length).OrderByDescending(i => Math.Abs(values[i])).Take(count).Order(),
        ];
        Assert.That(index.ToInt32Array(), Is.EqualTo(expected));
    }
}
