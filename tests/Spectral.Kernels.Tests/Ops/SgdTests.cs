using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SgdTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void TenStepsFollowTheFormula(
        [Values(1, 7, 1000, 3001)] int count,
        [Values(0f, 0.75f)] float momentum,
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
            var settings = new AdamWSettings(0.01 / t, WeightDecay: Decay, MaxNorm: maxNorm);
            state.Configure(settings);
            Tensor gradient = Input(count, DType.F32, out double[] g, deviation: 3);
            GlobalNorm.Run([gradient], norm);
            state.Advance(norm);
            Sgd.Step(parameter, gradient, momentum > 0 ? m : null, momentum, state, rate);

            double clip = maxNorm > 0 ? Math.Min(1, maxNorm / (Math.Sqrt(g.Sum(x => x * x)) + 1e-6)) : 1;
            for (int i = 0; i < count; i++)
            {
                mv[i] = momentum * mv[i] + g[i] * clip;
                p[i] = p[i] * (1 - rate * settings.LearningRate * Decay) - rate * settings.LearningRate * mv[i];
            }
        }

        // ten steps, each of a few roundings of numbers not above |p| + 0.1 and the sum of ten |g|
        Verify(parameter, p, p.Select(x => Math.Abs(x) + 0.1).ToArray(), 10, "parameter");
        if (momentum > 0)
            Verify(m, mv, mv.Select(x => Math.Abs(x) + 10).ToArray(), 10, "m");
        else
            Assert.That(m.ToArray(), Is.All.Zero, "without momentum there is nothing to remember");
    }

    [Test]
    public void ASkippedStepChangesNothing()
    {
        Tensor parameter = Input(9, DType.F32, out double[] p);
        Tensor m = Input(9, DType.F32, out double[] mv);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.1));
        state.Advance(Input([float.NaN], 1, DType.F32, out _));
        Sgd.Step(parameter, Input(9, DType.F32, out _), m, 0.9f, state);
        Verify(parameter, p);
        Verify(m, mv);
    }

    [Test]
    public void EmptyWork()
    {
        using StepState state = new(Device);
        Tensor none = Output(0);
        Sgd.Step(none, none, none, 0.9f, state);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        using StepState state = new(Device);
        Tensor p = Output(4);
        Assert.That(
            () => Sgd.Step(p, Output(5), p, 0.9f, state),
            Throws.ArgumentException.With.Message.Contains("gradient is [5], expected [4]")
        );
        Assert.That(
            () => Sgd.Step(p, p, Output(4, DType.BF16), 0.9f, state),
            Throws.ArgumentException.With.Message.Contains("m is BF16, expected F32")
        );
        Assert.That(
            () => Sgd.Step(p, p, p, 0.9f, state, 0),
            Throws.ArgumentException.With.Message.Contains("rate is 0, expected a finite number above 0")
        );
    }
}
