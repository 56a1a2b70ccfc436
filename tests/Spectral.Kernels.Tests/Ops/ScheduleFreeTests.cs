using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ScheduleFreeTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void TenStepsFollowTheFormula([Values(1, 7, 1000, 3001)] int count, [Values(1f, 2.5f)] float rate)
    {
        const double Decay = 0.1;
        const double Beta = 0.75;
        Tensor parameter = Input(count, DType.F32, out double[] y);
        Tensor fast = Input(new float[count], count, DType.F32, out _);
        Tensor v = Input(new float[count], count, DType.F32, out double[] vv);
        using var weights = Tensor.Zeros(Device, ScheduleFree.Weights, DType.F64);
        Tensor factors = Output(ScheduleFree.Factors);
        using StepState state = new(Device);
        double[] z = [.. y];
        (double top, double sum) = (0, 0);
        for (int t = 1; t <= 10; t++)
        {
            double learningRate = 0.002 * Math.Min(t, 5);
            state.Configure(new AdamWSettings(learningRate, Beta, 0.999, 1e-8, Decay));
            Tensor gradient = Input(count, DType.F32, out double[] g, deviation: 3);
            state.Advance(null);
            ScheduleFree.Advance(weights, factors, state);
            ScheduleFree.Step(parameter, gradient, fast, v, factors, state, rate);

            top = Math.Max(top, learningRate);
            sum += top * top;
            double share = top * top / sum;
            for (int i = 0; i < count; i++)
            {
                vv[i] = 0.999 * vv[i] + (1 - 0.999) * g[i] * g[i];
                double step = g[i] / (Math.Sqrt(vv[i] / (1 - Math.Pow(0.999, t))) + 1e-8) + Decay * y[i];
                y[i] += share * (z[i] - y[i]) + rate * learningRate * (Beta * (1 - share) - 1) * step;
                z[i] -= rate * learningRate * step;
            }
        }

        // ten steps, each of a few roundings of numbers not above |p| + 0.1
        Verify(parameter, y, y.Select(x => Math.Abs(x) + 0.1).ToArray(), 20, "y");
        Verify(fast, z, z.Select(x => Math.Abs(x) + 0.1).ToArray(), 20, "z");
        Verify(v, vv, null, 10, "v", factor: 2); // 2: g² doubles the relative error
    }

    [Test]
    public void ASkippedStepChangesNothing()
    {
        Tensor parameter = Input(9, DType.F32, out double[] y);
        Tensor fast = Input(9, DType.F32, out double[] z);
        Tensor v = Input(new float[9], 9, DType.F32, out _);
        using var weights = Tensor.Zeros(Device, ScheduleFree.Weights, DType.F64);
        Tensor factors = Output(ScheduleFree.Factors);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.1));
        state.Advance(Input([float.NaN], 1, DType.F32, out _));
        ScheduleFree.Advance(weights, factors, state);
        ScheduleFree.Step(parameter, Input(9, DType.F32, out _), fast, v, factors, state);
        Verify(parameter, y);
        Verify(fast, z);
        Assert.That(weights.ToDoubleArray(), Is.All.Zero);
    }

    [Test]
    public void EmptyWork()
    {
        Tensor factors = Output(ScheduleFree.Factors);
        using StepState state = new(Device);
        Tensor none = Output(0);
        ScheduleFree.Step(none, none, none, none, factors, state);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor factors = Output(ScheduleFree.Factors);
        using StepState state = new(Device);
        Tensor p = Output(4);
        Assert.That(
            () => ScheduleFree.Step(p, p, Output(5), p, factors, state),
            Throws.ArgumentException.With.Message.Contains("z is [5], expected [4]")
        );
        Assert.That(
            () => ScheduleFree.Step(p, p, p, p, Output(3), state),
            Throws.ArgumentException.With.Message.Contains("factors is [3], expected [4]")
        );
        Assert.That(
            () => ScheduleFree.Step(p, p, p, p, factors, state, -1),
            Throws.ArgumentException.With.Message.Contains("rate is -1")
        );
    }
}
