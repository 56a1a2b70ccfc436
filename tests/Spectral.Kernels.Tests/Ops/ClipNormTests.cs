using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ClipNormTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void ItScalesDownToTheLargestNorm([Values(1, 3, 4, 1025)] int size, [Values(0.5f, 2, 8)] float norm)
    {
        const float Most = 2;
        Tensor x = Input(size, DType.F32, out double[] values);
        ClipNorm.Run(x, Input([norm], 1, DType.F32, out _), Most);
        double factor = Math.Min(1, Most / (norm + 1e-6));
        double[] expected = [.. values.Select(value => factor * value)];
        Verify(x, expected, [.. expected.Select(Math.Abs)], 2);
    }

    [Test]
    public void ANormThatIsNotFiniteChangesAtMostWhatASkippedStepDrops()
    {
        Tensor x = Input([1, 2], 2, DType.F32, out _);
        ClipNorm.Run(x, Input([float.NaN], 1, DType.F32, out _), 1);
        Assert.That(x.ToArray(), Is.EqualTo(new float[] { 1, 2 }));
    }

    [Test]
    public void EmptyWork() => ClipNorm.Run(Output(0), Output(1), 1);

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Assert.That(
            () => ClipNorm.Run(Output(3), Output(2), 1),
            Throws.ArgumentException.With.Message.Contains("norm is [2], expected [1]")
        );
        Assert.That(
            () => ClipNorm.Run(Output(3), Output(1), 0),
            Throws.ArgumentException.With.Message.Contains("maxNorm is 0, expected a number above 0")
        );
    }
}
