using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AdafactorTests(DeviceKind kind) : DeviceTest(kind)
{
    private const double Decay = 0.1;
    private const double LearningRate = 0.01;
    private const float Power = 0.8f;
    private const float Rate = 2;

    [TestCase(1, 1, 1f)]
    [TestCase(1, 7, 1f)]
    [TestCase(33, 2, 1f)]
    [TestCase(16, 127, 0.25f)]
    [TestCase(300, 8, 1f)]
    public void FiveStepsFollowTheFormula(int rows, int columns, float threshold)
    {
        Tensor parameter = Input((rows, columns), DType.F32, out double[] p);
        Tensor ofRows = Input(new float[rows], rows, DType.F32, out double[] r);
        Tensor ofColumns = Input(new float[columns], columns, DType.F32, out double[] c);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(LearningRate, WeightDecay: Decay));
        for (int t = 1; t <= 5; t++)
        {
            Tensor gradient = Input((rows, columns), DType.F32, out double[] g);
            state.Advance(null);
            Adafactor.Step(parameter, gradient, ofRows, ofColumns, Power, threshold, state, Rate);
            double share = Math.Pow(t, -(double)Power);
            for (int i = 0; i < rows; i++)
                r[i] += share * (Enumerable.Range(0, columns).Average(j => Square(g[i * columns + j])) - r[i]);
            for (int j = 0; j < columns; j++)
                c[j] += share * (Enumerable.Range(0, rows).Average(i => Square(g[i * columns + j])) - c[j]);
            double mean = r.Average();
            Move(p, [.. g.Select((x, k) => x / Math.Sqrt(r[k / columns] * c[k % columns] / mean))], threshold);
        }

        // five steps, each of a few roundings of numbers not above |p| + 0.1
        Verify(parameter, p, p.Select(x => Math.Abs(x) + 0.1).ToArray(), 20, "parameter");
        Verify(ofRows, r, null, columns + 20, "rows");
        Verify(ofColumns, c, null, rows + 20, "columns");
    }

    [Test]
    public void AVectorHasMomentsOfItsOwn([Values(1, 7, 1000)] int count)
    {
        Tensor parameter = Input(count, DType.F32, out double[] p);
        Tensor v = Input(new float[count], count, DType.F32, out double[] vv);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(LearningRate, WeightDecay: Decay));
        for (int t = 1; t <= 5; t++)
        {
            Tensor gradient = Input(count, DType.F32, out double[] g);
            state.Advance(null);
            Adafactor.Step(parameter, gradient, v, Power, 1, state, Rate);
            double share = Math.Pow(t, -(double)Power);
            for (int i = 0; i < count; i++)
                vv[i] += share * (Square(g[i]) - vv[i]);
            Move(p, [.. g.Select((x, i) => x / Math.Sqrt(vv[i]))], 1);
        }

        Verify(parameter, p, p.Select(x => Math.Abs(x) + 0.1).ToArray(), 20, "parameter");
        Verify(v, vv, null, 20, "v");
    }

    [Test]
    public void AGradientOfZerosMovesNothing()
    {
        Tensor parameter = Input((3, 4), DType.F32, out double[] p);
        Tensor zeros = Input(new float[12], (3, 4), DType.F32, out _);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.1, WeightDecay: 0));
        state.Advance(null);
        Adafactor.Step(
            parameter,
            zeros,
            Input(new float[3], 3, DType.F32, out _),
            Input(new float[4], 4, DType.F32, out _),
            Power,
            1,
            state
        );
        Verify(parameter, p);
    }

    [Test]
    public void ASkippedStepChangesNothing()
    {
        Tensor parameter = Input((3, 4), DType.F32, out double[] p);
        Tensor rows = Input(3, DType.F32, out double[] r);
        Tensor columns = Input(4, DType.F32, out double[] c);
        Tensor v = Input((3, 4), DType.F32, out double[] vv);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.1));
        state.Advance(Input([1f], 1, DType.F32, out _));
        state.Advance(Input([float.NaN], 1, DType.F32, out _));
        Tensor gradient = Input((3, 4), DType.F32, out _);
        Adafactor.Step(parameter, gradient, rows, columns, Power, 1, state);
        Adafactor.Step(parameter, gradient, v, Power, 1, state);
        Verify(parameter, p);
        Verify(rows, r);
        Verify(columns, c);
        Verify(v, vv);
    }

    [Test]
    public void EmptyWork()
    {
        using StepState state = new(Device);
        Tensor none = Output((0, 3));
        Adafactor.Step(none, none, Output(0), Input(new float[3], 3, DType.F32, out _), Power, 1, state);
        Adafactor.Step(none, none, none, Power, 1, state);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        using StepState state = new(Device);
        Tensor p = Output((2, 3));
        Assert.That(
            () => Adafactor.Step(p, p, Output(3), Output(3), Power, 1, state),
            Throws.ArgumentException.With.Message.Contains("rows is [3], expected [2]")
        );
        Assert.That(
            () => Adafactor.Step(p, p, Output(6), Power, 1, state),
            Throws.ArgumentException.With.Message.Contains("v is [6], expected [2, 3]")
        );
        Assert.That(
            () => Adafactor.Step(p, p, p, Power, 1, state, 0),
            Throws.ArgumentException.With.Message.Contains("rate is 0")
        );
    }

    private static double Square(double x) => x * x + 1e-30;

    private static void Move(double[] values, double[] direction, double threshold)
    {
        double excess = Math.Sqrt(direction.Average(x => x * x)) / threshold;
        for (int i = 0; i < values.Length; i++)
        {
            values[i] *= 1 - Rate * LearningRate * Decay;
            values[i] -= Rate * LearningRate * direction[i] / Math.Max(1, excess);
        }
    }
}
