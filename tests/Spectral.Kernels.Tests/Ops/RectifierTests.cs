using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class RectifierTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void CutsAtZeroAndSoDoesTheAdjoint(
        [ValueSource(nameof(Sizes))] int columns,
        [Values(1, 33)] int rows,
        [ValueSource(nameof(FloatTypes))] DType type
    )
    {
        Tensor z = Input((rows, columns), type, out double[] zs);
        Tensor g = Input((rows, columns), type, out double[] gs);
        Rectifier.Forward(z);
        Rectifier.Backward(z, g);
        Assert.Multiple(() =>
        {
            Assert.That(z.ToArray(), Is.EqualTo(zs.Select(value => (float)Math.Max(value, 0))));
            Assert.That(g.ToArray(), Is.EqualTo(gs.Select((value, i) => zs[i] > 0 ? (float)value : 0)));
        });
    }

    [Test]
    public void NaNStays()
    {
        using var z = Tensor.From(Device, [float.NaN, -1, 2], 3);
        Rectifier.Forward(z);
        Assert.That(z.ToArray(), Is.EqualTo(new[] { float.NaN, 0, 2 }));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Assert.That(
            () => Rectifier.Backward(Output((2, 4)), Output((2, 3))),
            Throws.ArgumentException.With.Message.Contains("g is [2, 3], expected [2, 4]")
        );
        Assert.That(
            () => Rectifier.Forward(Output(2, DType.I32)),
            Throws.ArgumentException.With.Message.Contains("expected F32 or BF16")
        );
    }
}
