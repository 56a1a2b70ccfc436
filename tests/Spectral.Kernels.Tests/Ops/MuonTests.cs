using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class MuonTests(DeviceKind kind) : DeviceTest(kind)
{
    [TestCase(1, 1)]
    [TestCase(1, 7)]
    [TestCase(33, 2)]
    [TestCase(16, 16)]
    [TestCase(8, 127)]
    public void ThreeStepsFollowTheFormula(int rows, int columns)
    {
        const float Momentum = 0.75f;
        const float Scale = 1.5f;
        const float Rate = 2;
        const double Decay = 0.1;
        const double LearningRate = 0.01;
        int count = rows * columns;
        Tensor parameter = Input((rows, columns), DType.F32, out double[] p);
        Tensor m = Input(new float[count], (rows, columns), DType.F32, out double[] mv);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(LearningRate, WeightDecay: Decay));
        for (int t = 1; t <= 3; t++)
        {
            Tensor gradient = Input((rows, columns), DType.F32, out double[] g);
            state.Advance(null);
            Muon.Step(parameter, gradient, m, Momentum, Scale, state, Rate);
            double[] x = new double[count];
            for (int i = 0; i < count; i++)
            {
                mv[i] = Momentum * mv[i] + g[i];
                x[i] = Momentum * mv[i] + g[i];
            }

            x = Orthogonalized(x, rows, columns);
            for (int i = 0; i < count; i++)
                p[i] = p[i] * (1 - Rate * LearningRate * Decay) - Rate * LearningRate * Scale * x[i];
        }

        // A singular value near 0 is multiplied by up to 485, and with it its rounding error; steps are 0.03 long.
        Assert.That(parameter.ToArray(), Is.EqualTo(p).Within(1e-5));
        Verify(m, mv, mv.Select(x => Math.Abs(x) + 1).ToArray(), 3, "m");
    }

    /// <summary>One launch for all of a batch gives what a step of each gives, and leaves what lies between.</summary>
    [TestCase(3, 9, 20)]
    [TestCase(2, 40, 33)]
    public void MatricesOfABatchStepAsAlone(int count, int rows, int columns)
    {
        const int Apart = 5;
        const int Offset = 3;
        int size = rows * columns;
        Tensor all = Input(Offset + count * (size + Apart), DType.F32, out double[] before);
        Tensor gradients = Input(all.Shape, DType.F32, out double[] g);
        Tensor m = Input(new float[count * size], (count, rows, columns), DType.F32, out _);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.01, WeightDecay: 0.1));
        state.Advance(null);
        MatrixBatch batch = new(all, Offset, rows, columns, count, size + Apart);
        Muon.Step(batch, batch with { Tensor = gradients }, m, 0.75f, 1.5f, state, 2);
        double[] expected = [.. before];
        for (int i = 0; i < count; i++)
        {
            int begin = Offset + i * (size + Apart);
            Tensor parameter = Input(Part(before), (rows, columns), DType.F32, out _);
            Tensor sum = Input(new float[size], (rows, columns), DType.F32, out _);
            Muon.Step(parameter, Input(Part(g), (rows, columns), DType.F32, out _), sum, 0.75f, 1.5f, state, 2);
            parameter.ToArray().Select(value => (double)value).ToArray().CopyTo(expected, begin);
            Assert.That(m.ToArray()[(i * size)..((i + 1) * size)], Is.EqualTo(sum.ToArray()));

            float[] Part(double[] values) => [.. values[begin..(begin + size)].Select(value => (float)value)];
        }

        // Products of a batch may be cut otherwise than those of one matrix; steps are 0.03 long.
        Assert.That(all.ToArray(), Is.EqualTo(expected).Within(1e-5));
        for (int i = 0; i < expected.Length; i++)
        {
            if ((i - Offset + size + Apart) % (size + Apart) >= size)
                Assert.That(all.ToArray()[i], Is.EqualTo(before[i]), $"element {i} lies between");
        }
    }

    [Test]
    public void ASkippedStepChangesNothing()
    {
        Tensor parameter = Input((3, 4), DType.F32, out double[] p);
        Tensor m = Input((3, 4), DType.F32, out double[] mv);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.1));
        state.Advance(Input([float.NaN], 1, DType.F32, out _));
        Muon.Step(parameter, Input((3, 4), DType.F32, out _), m, 0.9f, 1, state);
        Verify(parameter, p);
        Verify(m, mv);
    }

    [Test]
    public void AZeroMatrixStaysZero()
    {
        Tensor x = Input(new float[12], (3, 4), DType.F32, out _);
        Muon.Orthogonalize(x);
        Assert.That(x.ToArray(), Is.All.Zero);
    }

    [Test]
    public void EmptyWork()
    {
        using StepState state = new(Device);
        Tensor none = Output((0, 3));
        Muon.Step(none, none, none, 0.9f, 1, state);
        Muon.Orthogonalize(none);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        using StepState state = new(Device);
        Tensor p = Output((2, 2));
        Assert.That(
            () => Muon.Step(p, Output((2, 3)), p, 0.9f, 1, state),
            Throws.ArgumentException.With.Message.Contains("gradient is [2, 3], expected [2, 2]")
        );
        Assert.That(
            () => Muon.Orthogonalize(Output(4)),
            Throws.ArgumentException.With.Message.Contains("x is [4], expected [any, any]")
        );
        Assert.That(
            () => Muon.Step(p, p, p, 0.9f, 1, state, 0),
            Throws.ArgumentException.With.Message.Contains("rate is 0")
        );
        var two = new MatrixBatch(p, 0, 1, 2, 2, 2);
        Assert.That(
            () => Muon.Step(two, two, p, 0.9f, 1, state),
            Throws.ArgumentException.With.Message.Contains("m is [2, 2], expected [2, 1, 2]")
        );
    }

    /// <summary>Five steps X ← a X + (b A + c A²) X, A = X Xᵀ, after division by the norm; never transposed.</summary>
    private static double[] Orthogonalized(double[] matrix, int rows, int columns)
    {
        double norm = Math.Sqrt(matrix.Sum(value => value * value)) + 1e-7;
        double[] x = [.. matrix.Select(value => value / norm)];
        for (int step = 0; step < 5; step++)
        {
            double[] gram = new double[rows * rows];
            for (int i = 0; i < rows; i++)
            {
                for (int j = 0; j < rows; j++)
                    gram[i * rows + j] = Enumerable.Range(0, columns).Sum(k => x[i * columns + k] * x[j * columns + k]);
            }

            double[] once = Product(gram, x, rows, rows, columns);
            double[] twice = Product(gram, once, rows, rows, columns);
            for (int i = 0; i < x.Length; i++)
                x[i] = 3.4445 * x[i] - 4.7750 * once[i] + 2.0315 * twice[i];
        }

        return x;
    }

    private static double[] Product(double[] left, double[] right, int rows, int inner, int columns)
    {
        double[] product = new double[rows * columns];
        for (int i = 0; i < product.Length; i++)
        {
            product[i] = Enumerable
                .Range(0, inner)
                .Sum(k => left[i / columns * inner + k] * right[k * columns + i % columns]);
        }

        return product;
    }
}
