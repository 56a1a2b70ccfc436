using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ClipQuantileTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly int[] Counts = [1, 2, 7, 257, 1000, 70001];

    /// <summary>The reference sorts, and interpolates as numpy.quantile does.</summary>
    [Test]
    public void ItClipsAtTheQuantileOfASortedCopy(
        [ValueSource(nameof(Counts))] int size,
        [Values(0.0, 0.31, 0.9, 1.0)] double quantile
    )
    {
        Tensor x = Input(size, DType.F32, out double[] values);
        Verify(x, values, quantile);
    }

    [Test]
    public void EqualMagnitudesAndZerosAreCounted([Values(0.0, 0.2, 0.5, 0.9)] double quantile)
    {
        float[] few = [.. Enumerable.Range(0, 3000).Select(_ => Rng.Next(-3, 4) * 0.25f)];
        Verify(Input(few, few.Length, DType.F32, out double[] values), values, quantile);
    }

    [Test]
    public void ValuesOfAllSizesAreCounted()
    {
        float[] x = [.. Enumerable.Range(0, 501).Select(i => MathF.ScaleB(i % 2 == 0 ? 1 : -1, i % 250 - 125))];
        Verify(Input(x, x.Length, DType.F32, out double[] values), values, 0.7);
    }

    [Test]
    public void NaNStaysAndInfinityIsCut()
    {
        Tensor x = Input([float.NaN, 1, float.NegativeInfinity, -2, 4], 5, DType.F32, out _);
        ClipQuantile.Run(x, 0.5); // of 0, 1, 2, 4, ∞
        Assert.That(x.ToArray(), Is.EqualTo(new[] { float.NaN, 1, -2, -2, 2 }));
    }

    /// <summary>Each of some stacked matrices has a quantile of its own, over several blocks of counting.</summary>
    [TestCase(3, 7, 5)]
    [TestCase(2, 300, 300)]
    public void MatricesThatAreStackedAreClippedAsAlone(int count, int rows, int columns)
    {
        int size = rows * columns;
        _ = Input(count * size, DType.F32, out double[] values);
        float[] scaled = [.. values.Select((value, i) => (float)value * (1 + i / size))];
        Tensor stacked = Input(scaled, (count, rows, columns), DType.F32, out _);
        ClipQuantile.RunEach(stacked, 0.7);
        for (int i = 0; i < count; i++)
        {
            Tensor one = Input(scaled[(i * size)..((i + 1) * size)], size, DType.F32, out _);
            ClipQuantile.Run(one, 0.7);
            Assert.That(stacked.ToArray()[(i * size)..((i + 1) * size)], Is.EqualTo(one.ToArray()));
        }
    }

    [Test]
    public void EmptyWork() => ClipQuantile.Run(Output((0, 3)), 0.9);

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Assert.That(
            () => ClipQuantile.Run(Output(3), 1.5),
            Throws.ArgumentException.With.Message.Contains("quantile is 1.5, expected 0 to 1")
        );
        Assert.That(() => ClipQuantile.Run(Output(3, DType.BF16), 0.5), Throws.ArgumentException);
    }

    private static void Verify(Tensor x, double[] values, double quantile)
    {
        ClipQuantile.Run(x, quantile);
        double[] sorted = [.. values.Select(Math.Abs).Order()];
        double place = quantile * (sorted.Length - 1);
        int below = (int)place;
        double above = sorted[Math.Min(below + 1, sorted.Length - 1)];
        double most = sorted[below] + (place - below) * (above - sorted[below]);
        double[] expected = [.. values.Select(value => Math.Clamp(value, -most, most))];
        Assert.That(x.ToArray(), Is.EqualTo(expected).Within(4e-7 * most));
    }
}
