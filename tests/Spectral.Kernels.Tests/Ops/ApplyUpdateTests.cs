using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ApplyUpdateTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void DecaysAndAdds([ValueSource(nameof(Sizes))] int count, [Values(1f, 2.5f)] float rate)
    {
        Tensor parameter = Input(count, DType.F32, out double[] p);
        Tensor update = Input(count, DType.F32, out double[] u);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.5, WeightDecay: 0.1));
        state.Advance(null);
        ApplyUpdate.Step(parameter, update, state, rate);
        double[] expected = [.. p.Select((value, i) => value * (1 - rate * 0.5 * 0.1) + u[i])];
        Verify(parameter, expected, [.. p.Select((value, i) => Math.Abs(value) + Math.Abs(u[i]))]);
    }

    [Test]
    public void ASkippedStepChangesNothing()
    {
        Tensor parameter = Input(9, DType.F32, out double[] p);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.1));
        state.Advance(Input([float.NaN], 1, DType.F32, out _));
        ApplyUpdate.Step(parameter, Input(9, DType.F32, out _), state);
        Verify(parameter, p);
    }

    [Test]
    public void EmptyWork()
    {
        using StepState state = new(Device);
        Tensor none = Output(0);
        ApplyUpdate.Step(none, none, state);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        using StepState state = new(Device);
        Assert.That(
            () => ApplyUpdate.Step(Output(4), Output(5), state),
            Throws.ArgumentException.With.Message.Contains("update is [5], expected [4]")
        );
        Assert.That(
            () => ApplyUpdate.Step(Output(4), Output(4), state, float.NaN),
            Throws.ArgumentException.With.Message.Contains("rate is NaN, expected a finite number above 0")
        );
    }
}
