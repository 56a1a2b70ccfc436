using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LionTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void TenStepsFollowTheFormula(
        [Values(1, 7, 1000, 3001)] int count,
        [Values(0, 0.5)] double maxNorm,
        [Values(1f, 2.5f)] float rate
    )
    {
        const double Decay = 0.1;
        Tensor parameter = Input(count, DType.F32, out double[] p);
        Tensor m = Input(new float[count], count, DType.F32, out double[] mv);
        Tensor norm = Output(1);
        using StepState state = new(Device);
        for (int t = 1; t <= 10; t++)
        {
            var settings = new AdamWSettings(0.01 / t, 0.9, 0.99, WeightDecay: Decay, MaxNorm: maxNorm);
            state.Configure(settings);
            Tensor gradient = Input(count, DType.F32, out double[] g, deviation: 3);
            GlobalNorm.Run([gradient], norm);
            state.Advance(norm);
            Lion.Step(parameter, gradient, m, state, rate);

            double clip = maxNorm > 0 ? Math.Min(1, maxNorm / (Math.Sqrt(g.Sum(x => x * x)) + 1e-6)) : 1;
            for (int i = 0; i < count; i++)
            {
                double clipped = g[i] * clip;
                double sign = Math.Sign(0.9 * mv[i] + (1 - 0.9) * clipped);
                p[i] = p[i] * (1 - rate * settings.LearningRate * Decay) - rate * settings.LearningRate * sign;
                mv[i] = 0.99 * mv[i] + (1 - 0.99) * clipped;
            }
        }

        // ten steps, each of a few roundings of numbers not above |p| + 0.1 and |m| + 1
        Verify(parameter, p, p.Select(x => Math.Abs(x) + 0.1).ToArray(), 10, "parameter");
        Verify(m, mv, mv.Select(x => Math.Abs(x) + 1).ToArray(), 10, "m");
    }

    [Test]
    public void TheSignOfZeroIsZero()
    {
        Tensor parameter = Input([1f, 1f], 2, DType.F32, out _);
        Tensor m = Input(new float[2], 2, DType.F32, out _);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.25, WeightDecay: 0));
        state.Advance(null);
        Lion.Step(parameter, Input([0f, 2f], 2, DType.F32, out _), m, state);
        Verify(parameter, [1, 0.75]);
    }

    [Test]
    public void ASkippedStepChangesNothing()
    {
        Tensor parameter = Input(9, DType.F32, out double[] p);
        Tensor m = Input(9, DType.F32, out double[] mv);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.1));
        state.Advance(Input([float.NaN], 1, DType.F32, out _));
        Lion.Step(parameter, Input(9, DType.F32, out _), m, state);
        Verify(parameter, p);
        Verify(m, mv);
    }

    [Test]
    public void EmptyWork()
    {
        using StepState state = new(Device);
        Tensor none = Output(0);
        Lion.Step(none, none, none, state);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        using StepState state = new(Device);
        Tensor p = Output(4);
        Assert.That(
            () => Lion.Step(p, Output(5), p, state),
            Throws.ArgumentException.With.Message.Contains("gradient is [5], expected [4]")
        );
        Assert.That(
            () => Lion.Step(p, p, Output(4, DType.BF16), state),
            Throws.ArgumentException.With.Message.Contains("m is BF16, expected F32")
        );
        Assert.That(
            () => Lion.Step(p, p, p, state, float.NaN),
            Throws.ArgumentException.With.Message.Contains("rate is NaN")
        );
    }
}
