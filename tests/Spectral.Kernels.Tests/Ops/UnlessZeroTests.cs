using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class UnlessZeroTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void OneEntryOfTheDiagonalDecides([Values(1, 7, 33)] int n, [Values] bool isZero)
    {
        float[] gram = new float[n * n];
        gram[^1] = isZero ? 0 : 1e-30f;
        Tensor x = Input((n, n), DType.F32, out double[] values);
        Tensor y = Output((n, n));
        UnlessZero.Run(Input(gram, (n, n), DType.F32, out _), x, 0.5f, y);
        Verify(y, [.. values.Select((value, i) => isZero ? Convert.ToDouble(i / n == i % n) : 0.5 * value)]);
        UnlessZero.Run(Input(gram, (n, n), DType.F32, out _), x, 0.5f, x);
        Assert.That(x.ToArray(), Is.EqualTo(y.ToArray()), "in place");
    }

    [Test]
    public void EmptyWork()
    {
        Tensor none = Output((0, 0));
        UnlessZero.Run(none, none, 1, none);
    }

    [Test]
    public void WhatDoesNotFitIsNamed() =>
        Assert.That(
            () => UnlessZero.Run(Output((2, 2)), Output((2, 3)), 1, Output((2, 2))),
            Throws.ArgumentException.With.Message.Contains("x is [2, 3], expected [2, 2]")
        );
}
