using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class StepStateTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void ALossThatIsNotFiniteSkipsTheStep(
        [Values(float.NaN, float.NegativeInfinity)] float bad,
        [Values(1, 7, 33)] int count
    )
    {
        using StepState state = new(Device);
        Tensor norm = Input([1f], 1, DType.F32, out _);
        Tensor losses = Input(count, DType.F32, out double[] values);
        state.Advance(norm, losses);
        Assert.That(state.Read(), Is.EqualTo((1L, 1.0, false)));
        losses.CopyFrom([.. values.Select((value, i) => i == count - 1 ? bad : (float)value)]);
        state.Advance(norm, losses);
        Assert.That(state.Read(), Is.EqualTo((1L, 1.0, true)));
    }

    [Test]
    public void DropoutMovesByOneBatch()
    {
        using StepState state = new(Device);
        state.SeedDropout(0x1234_5678_9ABC_DEF0, 6);
        state.NextBatch();
        state.NextBatch();
        state.Configure(new AdamWSettings(0.5), 0.25f);
        state.Advance(null);
        Assert.That(state.ReadDropout(), Is.EqualTo((0x1234_5678_9ABC_DEF0UL, 8UL)));
        using var dropout = Tensor.FromPointer(Device, state.DropoutPointer, 2, DType.F64);
        Assert.That(
            dropout.ToDoubleArray().Select(BitConverter.DoubleToUInt64Bits),
            Is.EqualTo(new ulong[] { 0x1234_5678_9ABC_DEF0, 8 })
        );
    }

    [Test]
    public void TheLossScaleIsWhereKernelsReadIt()
    {
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.5), 0.125f);
        Assert.That(state.LossScale.ToArray(), Is.EqualTo(new[] { 0.125f }));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        using StepState state = new(Device);
        Assert.That(
            () => state.Advance(Output(2)),
            Throws.ArgumentException.With.Message.Contains("norm is [2], expected [1]")
        );
        Assert.That(
            () => state.Advance(null, Output(2, DType.BF16)),
            Throws.ArgumentException.With.Message.Contains("losses is BF16, expected F32")
        );
        Assert.That(
            () => state.Configure(new AdamWSettings(double.NaN)),
            Throws.ArgumentException.With.Message.Contains("finite learning rate")
        );
        Assert.That(
            () => state.Configure(new AdamWSettings(1, Beta1: 1)),
            Throws.ArgumentException.With.Message.Contains("beta1 is 1")
        );
        Assert.That(() => state.SetSteps(-1), Throws.ArgumentException.With.Message.Contains("steps is -1"));
    }
}
