using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SoftCapTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void ForwardMatchesTheReference(
        [ValueSource(nameof(Sizes))] int count,
        [Values(0.5f, 30)] float cap,
        [Values(1e-3, 1, 20)] double deviation
    )
    {
        Tensor x = Input(count, DType.F32, out double[] values, deviation);
        Tensor y = Output(count);
        SoftCap.Forward(x, y, cap);
        // tanh within 2 ulp, and the roundings of a quotient and a product
        Verify(y, Array.ConvertAll(values, value => cap * Math.Tanh(value / cap)), factor: 2);
        SoftCap.Forward(x, x, cap);
        Assert.That(x.ToArray(), Is.EqualTo(y.ToArray()), "in place");
    }

    [Test]
    public void BackwardMatchesTheReference(
        [ValueSource(nameof(Sizes))] int count,
        [ValueSource(nameof(FloatTypes))] DType type
    )
    {
        const float Cap = 1.5f;
        float[] capped = Array.ConvertAll(
            Input(count, DType.F32, out _).ToArray(),
            value => (float)(Cap * Math.Tanh(value / Cap))
        );
        Tensor y = Input(capped, count, DType.F32, out double[] values);
        Tensor dy = Input(count, type, out double[] upstream);
        Tensor dx = Output(count, type);
        SoftCap.Backward(y, dy, dx, Cap);
        Verify(
            dx,
            values.Zip(upstream, (value, gradient) => gradient * (1 - value / Cap * value / Cap)).ToArray(),
            Array.ConvertAll(upstream, Math.Abs)
        );
        SoftCap.Backward(y, dy, dy, Cap);
        Assert.That(dy.ToArray(), Is.EqualTo(dx.ToArray()), "in place");
    }

    [Test]
    public void BackwardIsTheGradientOfForward()
    {
        const double Cap = 1.5;
        Tensor x = Input(1000, DType.F32, out double[] values);
        Tensor dx = Input(Enumerable.Repeat(1f, 1000).ToArray(), 1000, DType.F32, out _);
        SoftCap.Forward(x, x, (float)Cap);
        SoftCap.Backward(x, dx, dx, (float)Cap);
        double Value(double at) => Cap * Math.Tanh(at / Cap);
        double[] numeric = Array.ConvertAll(values, at => (Value(at + 1e-5) - Value(at - 1e-5)) / 2e-5);
        Assert.That(dx.ToArray(), Is.EqualTo(numeric).Within(1e-6));
    }

    [Test]
    public void EdgesAreAsStated()
    {
        float[] edges = [0, 1e-20f, float.NaN, 1e30f, float.NegativeInfinity];
        Tensor x = Input(edges, edges.Length, DType.F32, out _);
        SoftCap.Forward(x, x, 30);
        Assert.That(x.ToArray(), Is.EqualTo(new[] { 0, 1e-20f, float.NaN, 30, -30 }).Within(1).Ulps);
    }

    [Test]
    public void EmptyWork()
    {
        SoftCap.Forward(Output(0), Output(0), 1);
        SoftCap.Backward(Output(0), Output(0), Output(0), 1);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor x = Output(4);
        Assert.That(
            () => SoftCap.Forward(Output(4, DType.BF16), x, 1),
            Throws.ArgumentException.With.Message.Contains("x is BF16, expected F32")
        );
        Assert.That(
            () => SoftCap.Forward(x, Output(5), 1),
            Throws.ArgumentException.With.Message.Contains("y is [5], expected [4]")
        );
        Assert.That(
            () => SoftCap.Forward(x, x, 0),
            Throws.ArgumentException.With.Message.Contains("cap is 0, expected a finite number above 0")
        );
        Assert.That(
            () => SoftCap.Backward(x, Output(5, DType.BF16), x, 1),
            Throws.ArgumentException.With.Message.Contains("dy is [5], expected [4]")
        );
        Assert.That(
            () => SoftCap.Backward(x, Output(4, DType.BF16), x, 1),
            Throws.ArgumentException.With.Message.Contains("dx is F32, expected BF16")
        );
    }
}
