using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AdamWTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void TenStepsFollowTheFormula(
        [Values(1, 7, 1000, 3001)] int count,
        [Values(0, 0.1)] double decay,
        [Values(0, 0.5)] double maxNorm,
        [Values(1f, 2.5f)] float rate
    )
    {
        Tensor parameter = Input(count, DType.F32, out double[] p);
        Tensor m = Input(new float[count], count, DType.F32, out double[] mv);
        Tensor v = Input(new float[count], count, DType.F32, out double[] vv);
        Tensor norm = Output(1);
        using StepState state = new(Device);
        for (int t = 1; t <= 10; t++)
        {
            var settings = new AdamWSettings(0.01 / t, 0.9, 0.999, 1e-8, decay, maxNorm);
            state.Configure(settings);
            Tensor gradient = Input(count, DType.F32, out double[] g, deviation: 3);
            GlobalNorm.Run([gradient], norm);
            state.Advance(norm);
            AdamW.Step(parameter, gradient, m, v, state, rate);

            double clip = maxNorm > 0 ? Math.Min(1, maxNorm / (Math.Sqrt(g.Sum(x => x * x)) + 1e-6)) : 1;
            for (int i = 0; i < count; i++)
            {
                double gradientI = g[i] * clip;
                p[i] *= 1 - rate * settings.LearningRate * decay;
                mv[i] = 0.9 * mv[i] + (1 - 0.9) * gradientI;
                vv[i] = 0.999 * vv[i] + (1 - 0.999) * gradientI * gradientI;
                p[i] -=
                    rate
                    * settings.LearningRate
                    / (1 - Math.Pow(0.9, t))
                    * mv[i]
                    / (Math.Sqrt(vv[i]) / Math.Sqrt(1 - Math.Pow(0.999, t)) + 1e-8);
            }
        }
        // ten steps, each of a few roundings of numbers not above |p| + 0.1 and |m| + 1
        Verify(parameter, p, p.Select(x => Math.Abs(x) + 0.1).ToArray(), 10, "parameter");
        Verify(m, mv, mv.Select(x => Math.Abs(x) + 1).ToArray(), 10, "m");
        Verify(v, vv, null, 10, "v", factor: 2); // 2: g² doubles the relative error of the clipped gradient
        Assert.That(state.Read().Steps, Is.EqualTo(10));
    }

    [Test]
    public void ANormThatIsNotFiniteSkipsTheStep([Values(float.NaN, float.PositiveInfinity)] float norm)
    {
        Tensor parameter = Input(9, DType.F32, out double[] p);
        Tensor gradient = Input(9, DType.F32, out _);
        Tensor m = Input(new float[9], 9, DType.F32, out _);
        Tensor v = Input(new float[9], 9, DType.F32, out _);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.1));
        state.Advance(Input([norm], 1, DType.F32, out _));
        AdamW.Step(parameter, gradient, m, v, state);
        Verify(parameter, p);
        Assert.That(m.ToArray(), Is.All.Zero);
        Assert.That(state.Read(), Is.EqualTo((0L, (double)norm, true)));

        state.Advance(Input([1f], 1, DType.F32, out _));
        AdamW.Step(parameter, gradient, m, v, state);
        Assert.That(
            parameter.ToArray(),
            Is.Not.EqualTo(Array.ConvertAll(p, x => (float)x)),
            "the next finite step is made"
        );
        Assert.That(state.Read(), Is.EqualTo((1L, 1.0, false)));
    }

    [Test]
    public void ASmallDecayIsNotRoundedAwayByTheRate()
    {
        Tensor parameter = Input([1f], 1, DType.F32, out _);
        Tensor gradient = Input(new float[1], 1, DType.F32, out _);
        Tensor m = Input(new float[1], 1, DType.F32, out _);
        Tensor v = Input(new float[1], 1, DType.F32, out _);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(1e-5, WeightDecay: 1e-3)); // 1e-8 a step, below half an ulp of 1
        state.Advance(null);
        AdamW.Step(parameter, gradient, m, v, state, 1000);
        Verify(parameter, [1 - 1e-5]);
    }

    [Test]
    public void TheFirstStepIsTheLearningRate()
    {
        // m / (1 - β1) = g and v / (1 - β2) = g²: the step is η sign(g) whatever the size of g
        Tensor parameter = Input(new float[4], 4, DType.F32, out _);
        Tensor gradient = Input([1e-3f, -5, 100, -1e4f], 4, DType.F32, out _);
        Tensor m = Input(new float[4], 4, DType.F32, out _);
        Tensor v = Input(new float[4], 4, DType.F32, out _);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.25, Epsilon: 0, WeightDecay: 0));
        state.Advance(null);
        AdamW.Step(parameter, gradient, m, v, state);
        Verify(parameter, [-0.25, 0.25, -0.25, 0.25], factor: 2); // 2: six roundings where the comparator counts one
    }

    [Test]
    public void AResumedStateGoesOnAlike()
    {
        Tensor gradient = Input(50, DType.F32, out _);
        Tensor m = Input(50, DType.F32, out _);
        Tensor v = Input(Enumerable.Repeat(2f, 50).ToArray(), 50, DType.F32, out _);
        Tensor first = Input(50, DType.F32, out double[] values);
        Tensor second = Input(Array.ConvertAll(values, x => (float)x), 50, DType.F32, out _);
        Tensor mAgain = Input(m.ToArray(), 50, DType.F32, out _);
        Tensor vAgain = Input(v.ToArray(), 50, DType.F32, out _);
        using StepState walked = new(Device);
        using StepState resumed = new(Device);
        walked.Configure(new AdamWSettings(0.1));
        resumed.Configure(new AdamWSettings(0.1));
        for (int i = 0; i < 4; i++)
            walked.Advance(null);
        resumed.SetSteps(3);
        resumed.Advance(null);
        AdamW.Step(first, gradient, m, v, walked);
        AdamW.Step(second, gradient, mAgain, vAgain, resumed);
        Assert.That(second.ToArray(), Is.EqualTo(first.ToArray()));
    }

    [Test]
    public void EmptyWork()
    {
        using StepState state = new(Device);
        Tensor none = Output(0);
        AdamW.Step(none, none, none, none, state);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        using StepState state = new(Device);
        Tensor p = Output(4);
        Assert.That(
            () => AdamW.Step(p, Output(5), p, p, state),
            Throws.ArgumentException.With.Message.Contains("gradient is [5], expected [4]")
        );
        Assert.That(
            () => AdamW.Step(Output(4, DType.BF16), p, p, p, state),
            Throws.ArgumentException.With.Message.Contains("parameter is BF16, expected F32")
        );
        Assert.That(
            () => AdamW.Step(p, p, p, p, state, 0),
            Throws.ArgumentException.With.Message.Contains("rate is 0, expected a finite number above 0")
        );
        Assert.That(
            () => AdamW.Step(p, p, p, p, state, float.NaN),
            Throws.ArgumentException.With.Message.Contains("rate is NaN")
        );
        Assert.That(
            () => AdamW.Step(p, p, p, Output(4, DType.BF16), state),
            Throws.ArgumentException.With.Message.Contains("v is BF16, expected F32")
        );
    }
}
