using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ArgMaxTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void FindsTheLargest([ValueSource(nameof(Sizes))] int columns, [Values(1, 9)] int rows)
    {
        Tensor logits = Input((rows, columns), DType.F32, out double[] values);
        Tensor indices = Output(rows, DType.I32);
        ArgMax.Run(logits, indices);
        int[] expected = Enumerable
            .Range(0, rows)
            .Select(n =>
                Array.IndexOf(values[(n * columns)..((n + 1) * columns)], values.Skip(n * columns).Take(columns).Max())
            )
            .ToArray();
        Assert.That(indices.ToInt32Array(), Is.EqualTo(expected));
    }

    [Test]
    public void TheLowestOfEqualsWins()
    {
        float[] host = new float[3 * 100];
        host[37] = host[5] = host[99] = 2; // row 0: 5
        host[100 + 64] = host[100 + 33] = 1; // row 1: 33; row 2 all equal: 0
        Tensor indices = Output(3, DType.I32);
        ArgMax.Run(Input(host, (3, 100), DType.F32, out _), indices);
        Assert.That(indices.ToInt32Array(), Is.EqualTo(new[] { 5, 33, 0 }));
    }

    [Test]
    public void NaNAndInfinity()
    {
        const float I = float.PositiveInfinity;
        Tensor logits = Input(
            [float.NaN, -I, 1, float.NaN, -I, -I, float.NaN, -I, 3, I, float.NaN, 7],
            (3, 4),
            DType.F32,
            out _
        );
        Tensor indices = Output(3, DType.I32);
        ArgMax.Run(logits, indices);
        Assert.That(indices.ToInt32Array(), Is.EqualTo(new[] { 2, 0, 1 }));
    }

    [Test]
    public void EmptyWork() => ArgMax.Run(Output((0, 5)), Output(0, DType.I32));

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Assert.That(
            () => ArgMax.Run(Output((2, 0)), Output(2, DType.I32)),
            Throws.ArgumentException.With.Message.Contains("logits is [2, 0]")
        );
        Assert.That(
            () => ArgMax.Run(Output((2, 3)), Output(3, DType.I32)),
            Throws.ArgumentException.With.Message.Contains("indices is [3], expected [2]")
        );
        Assert.That(
            () => ArgMax.Run(Output((2, 3)), Output(2)),
            Throws.ArgumentException.With.Message.Contains("indices is F32, expected I32")
        );
    }
}
