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
    [TestCase(40, 64, 0.5f)]
    [TestCase(70, 33, 1f)]
    [TestCase(33000, 8, 1f)] // more than 16384 tiles of 8 rows
    public void FiveStepsFollowTheFormula(int rows, int columns, float threshold)
    {
        Tensor parameter = Input((rows, columns), DType.F32, out double[] p);
        Tensor ofRows = Input(new float[rows], rows, DType.F32, out double[] r);
        Tensor ofColumns = Input(new float[columns], columns, DType.F32, out double[] c);
        Tensor shareOfStep = Output(1);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(LearningRate, WeightDecay: Decay));
        for (int t = 1; t <= 5; t++)
        {
            Tensor gradient = Input((rows, columns), DType.F32, out double[] g);
            state.Advance(null);
            Adafactor.Advance(shareOfStep, Power, state);
            Adafactor.Step(parameter, gradient, ofRows, ofColumns, shareOfStep, threshold, state, Rate);
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
    public void AVectorHasMomentsOfItsOwn([Values(1, 7, 16, 17, 1000, 3001)] int count)
    {
        Tensor parameter = Input(count, DType.F32, out double[] p);
        Tensor v = Input(new float[count], count, DType.F32, out double[] vv);
        Tensor shareOfStep = Output(1);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(LearningRate, WeightDecay: Decay));
        for (int t = 1; t <= 5; t++)
        {
            Tensor gradient = Input(count, DType.F32, out double[] g);
            state.Advance(null);
            Adafactor.Advance(shareOfStep, Power, state);
            Adafactor.Step(parameter, gradient, v, shareOfStep, 1, state, Rate);
            double share = Math.Pow(t, -(double)Power);
            for (int i = 0; i < count; i++)
                vv[i] += share * (Square(g[i]) - vv[i]);
            Move(p, [.. g.Select((x, i) => x / Math.Sqrt(vv[i]))], 1);
        }

        Verify(parameter, p, p.Select(x => Math.Abs(x) + 0.1).ToArray(), 20, "parameter");
        Verify(v, vv, null, 20, "v");
    }

    /// <summary>One launch for all of a batch gives what a step of each gives, and leaves what lies between.</summary>
    [TestCase(3, 9, 20)]
    [TestCase(2, 16, 16)]
    public void MatricesOfABatchStepAsAlone(int count, int rows, int columns)
    {
        const int Apart = 5;
        const int Offset = 3;
        int stride = rows * columns + Apart;
        Tensor all = Input(Offset + count * stride, DType.F32, out double[] before);
        Tensor gradients = Input(all.Shape, DType.F32, out double[] g);
        Tensor ofRows = Input(new float[count * rows], (count, rows), DType.F32, out _);
        Tensor ofColumns = Input(new float[count * columns], (count, columns), DType.F32, out _);
        Tensor share = Output(1);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(LearningRate, WeightDecay: Decay));
        state.Advance(null);
        Adafactor.Advance(share, Power, state);
        MatrixBatch batch = new(all, Offset, rows, columns, count, stride);
        Adafactor.Step(batch, batch with { Tensor = gradients }, ofRows, ofColumns, share, 1, state, Rate);
        double[] expected = [.. before];
        for (int i = 0; i < count; i++)
        {
            int begin = Offset + i * stride;
            Tensor parameter = Input(Part(before), (rows, columns), DType.F32, out _);
            Tensor r = Input(new float[rows], rows, DType.F32, out _);
            Tensor c = Input(new float[columns], columns, DType.F32, out _);
            Adafactor.Step(parameter, Input(Part(g), (rows, columns), DType.F32, out _), r, c, share, 1, state, Rate);
            parameter.ToArray().Select(value => (double)value).ToArray().CopyTo(expected, begin);
            Assert.That(ofRows.ToArray()[(i * rows)..((i + 1) * rows)], Is.EqualTo(r.ToArray()));
            Assert.That(ofColumns.ToArray()[(i * columns)..((i + 1) * columns)], Is.EqualTo(c.ToArray()));

            float[] Part(double[] values) => [.. values[begin..(begin + rows * columns)].Select(value => (float)value)];
        }

        Assert.That(all.ToArray(), Is.EqualTo(expected).Within(0));
    }

    [Test]
    public void AGradientOfZerosMovesNothing()
    {
        Tensor parameter = Input((3, 4), DType.F32, out double[] p);
        Tensor zeros = Input(new float[12], (3, 4), DType.F32, out _);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.1, WeightDecay: 0));
        state.Advance(null);
        Tensor share = Output(1);
        Adafactor.Advance(share, Power, state);
        Adafactor.Step(
            parameter,
            zeros,
            Input(new float[3], 3, DType.F32, out _),
            Input(new float[4], 4, DType.F32, out _),
            share,
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
        Tensor share = Input([0.5f], 1, DType.F32, out double[] before);
        Adafactor.Advance(share, Power, state);
        Adafactor.Step(parameter, gradient, rows, columns, share, 1, state);
        Adafactor.Step(parameter, gradient, v, share, 1, state);
        Verify(share, before);
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
        Tensor share = Input([1f], 1, DType.F32, out _);
        Adafactor.Step(none, none, Output(0), Input(new float[3], 3, DType.F32, out _), share, 1, state);
        Adafactor.Step(none, none, none, share, 1, state);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        using StepState state = new(Device);
        Tensor p = Output((2, 3));
        Tensor share = Output(1);
        Assert.That(
            () => Adafactor.Step(p, p, Output(3), Output(3), share, 1, state),
            Throws.ArgumentException.With.Message.Contains("rows is [3], expected [2]")
        );
        Assert.That(
            () => Adafactor.Step(p, p, Output(6), share, 1, state),
            Throws.ArgumentException.With.Message.Contains("v is [6], expected [2, 3]")
        );
        Assert.That(
            () => Adafactor.Step(p, p, p, share, 1, state, 0),
            Throws.ArgumentException.With.Message.Contains("rate is 0")
        );
        Assert.That(
            () => Adafactor.Step(p, p, p, Output(2), 1, state),
            Throws.ArgumentException.With.Message.Contains("share is [2], expected [1]")
        );
        var three = new MatrixBatch(p, 0, 2, 2, 2, 3);
        Assert.That(
            () => Adafactor.Step(three, three, Output((2, 2)), Output((2, 2)), share, 1, state),
            Throws.ArgumentException.With.Message.Contains(
                "parameter: 2 × [2, 2] at offset 0, 3 apart, expected matrices within [2, 3]"
            )
        );
        var one = new MatrixBatch(p, 0, 1, 2, 2, 3);
        Assert.That(
            () => Adafactor.Step(one, one with { Offset = 1 }, Output((2, 1)), Output((2, 2)), share, 1, state),
            Throws.ArgumentException.With.Message.Contains(
                "gradient is 2 × [1, 2] at offset 1, 3 apart, expected 2 × [1, 2] at offset 0, 3 apart"
            )
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
