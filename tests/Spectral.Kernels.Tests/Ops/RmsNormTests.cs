using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class RmsNormTests(DeviceKind kind) : DeviceTest(kind)
{
    private const float Epsilon = 1e-5f;

    [Test]
    public void ForwardMatchesTheReference(
        [ValueSource(nameof(RowSizes))] int columns,
        [Values(1, 8, 33)] int rows,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values(0, 1)] int offset,
        [Values] Placed placed
    )
    {
        Tensor x = Input((rows, columns), type, out double[] xv);
        Tensor weight = Input(columns, type, out double[] wv);
        Tensor inverse = Output(rows);
        ColumnRange y = OutputColumns(rows, columns, type, placed);
        RmsNorm.Forward(x, weight, Epsilon, y, inverse, offset);
        double[] r = Inverse(xv, rows, columns);
        Verify(inverse, r, reductionLength: columns, what: "inverse rms");
        Verify(
            y,
            xv.Select((v, i) => v * r[i / columns] * (wv[i % columns] + offset)).ToArray(),
            xv.Select((v, i) => Math.Abs(v) * r[i / columns] * (Math.Abs(wv[i % columns]) + offset)).ToArray(),
            columns,
            "y"
        );
    }

    [Test]
    public void BackwardMatchesTheReference(
        [ValueSource(nameof(RowSizes))] int columns,
        [Values(1, 33, 130)] int rows,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool residual,
        [Values] bool accumulate,
        [Values(0, 1)] int offset,
        [Values] Placed placed
    )
    {
        Tensor x = Input((rows, columns), type, out double[] xv);
        Tensor weight = Input(columns, type, out double[] wv);
        Tensor dy = Input((rows, columns), type, out double[] dyv);
        ColumnRange dResidual = InputColumns(rows, columns, type, placed, out double[] dr);
        ColumnRange dx = OutputColumns(rows, columns, type, placed);
        Tensor dWeight = Input(columns, DType.F32, out double[] before);
        double[] r = Inverse(xv, rows, columns);
        Tensor inverse = Input(Array.ConvertAll(r, v => (float)v), rows, DType.F32, out _);
        RmsNorm.Backward(
            x,
            weight,
            inverse,
            dy,
            dx,
            residual ? new ColumnRange?(dResidual) : null,
            dWeight,
            accumulate,
            offset
        );

        wv = Array.ConvertAll(wv, value => value + offset);
        double[] expected = new double[xv.Length];
        double[] magnitude = new double[xv.Length];
        double[] dw = accumulate ? (double[])before.Clone() : new double[columns];
        double[] dwMagnitude = dw.Select(Math.Abs).ToArray();
        for (int i = 0; i < rows; i++)
        {
            double dot = 0;
            double terms = 0;
            for (int c = 0; c < columns; c++)
            {
                double term = wv[c] * dyv[i * columns + c] * xv[i * columns + c];
                dot += term / columns;
                terms += Math.Abs(term) / columns;
                dw[c] += dyv[i * columns + c] * xv[i * columns + c] * r[i];
                dwMagnitude[c] += Math.Abs(dyv[i * columns + c] * xv[i * columns + c] * r[i]);
            }
            for (int c = 0, at = i * columns; c < columns; c++, at++)
            {
                expected[at] = r[i] * (wv[c] * dyv[at] - xv[at] * r[i] * r[i] * dot) + (residual ? dr[at] : 0);
                magnitude[at] =
                    r[i] * (Math.Abs(wv[c] * dyv[at]) + Math.Abs(xv[at]) * r[i] * r[i] * terms) + Math.Abs(dr[at]);
            }
        }
        Verify(dx, expected, magnitude, columns, "dx");
        Verify(dWeight, dw, dwMagnitude, rows, "dWeight");
    }

    [Test]
    public void BackwardIsTheGradientOfForward([ValueSource(nameof(RowSizes))] int columns)
    {
        // <dy, f(x + h d) - f(x - h d)> / 2h by central differences along a random direction d, f in double
        Tensor x = Input((3, columns), DType.F32, out double[] xv);
        Tensor weight = Input(columns, DType.F32, out double[] wv);
        Tensor dy = Input((3, columns), DType.F32, out double[] dyv);
        Tensor y = Output((3, columns));
        Tensor inverse = Output(3);
        Tensor dx = Output((3, columns));
        RmsNorm.Forward(x, weight, Epsilon, y, inverse);
        RmsNorm.Backward(x, weight, inverse, dy, dx);
        double[] direction = Enumerable.Range(0, xv.Length).Select(_ => Rng.NextDouble() - 0.5).ToArray();
        double Value(double h)
        {
            double[] moved = xv.Select((v, i) => v + h * direction[i]).ToArray();
            double[] r = Inverse(moved, 3, columns);
            return moved.Select((v, i) => dyv[i] * v * r[i / columns] * wv[i % columns]).Sum();
        }
        double numeric = (Value(1e-6) - Value(-1e-6)) / 2e-6;
        float[] gradient = dx.ToArray();
        double[] terms = direction.Select((d, i) => d * gradient[i]).ToArray();
        // 1e-6: truncation of the differences, for which F32 rounding of dx leaves no more room
        Assert.That(
            terms.Sum(),
            Is.EqualTo(numeric).Within(1e-6 * (1 + terms.Sum(Math.Abs)) + 1e-4 * Math.Abs(numeric))
        );
    }

    [Test]
    public void OutputMayBeTheInput([ValueSource(nameof(FloatTypes))] DType type)
    {
        Tensor x = Input((9, 256), type, out _);
        Tensor weight = Input(256, type, out _);
        Tensor apart = Output((9, 256), type);
        Tensor inverse = Output(9);
        Tensor dy = Input((9, 256), type, out _);
        RmsNorm.Forward(x, weight, Epsilon, apart, inverse);
        Tensor dx = Output((9, 256), type);
        Tensor dWeight = Output(256);
        Tensor dWeightAgain = Output(256);
        RmsNorm.Backward(x, weight, inverse, dy, dx, dy, dWeight);
        RmsNorm.Backward(x, weight, inverse, dy, dy, dy, dWeightAgain);
        RmsNorm.Forward(x, weight, Epsilon, x, inverse);
        Assert.That(x.ToArray(), Is.EqualTo(apart.ToArray()));
        Assert.That(dy.ToArray(), Is.EqualTo(dx.ToArray()));
        Assert.That(dWeightAgain.ToArray(), Is.EqualTo(dWeight.ToArray()));
    }

    [Test]
    public void RowsAtOddAddresses([ValueSource(nameof(FloatTypes))] DType type)
    {
        Tensor all = Input((4, 15), type, out double[] values);
        Tensor weight = Input(15, type, out double[] wv);
        Tensor inverse = Output(3);
        Tensor y = Output((3, 15), type);
        using Tensor x = all.Rows(1, 3);
        RmsNorm.Forward(x, weight, Epsilon, y, inverse);
        double[] r = Inverse(values[15..], 3, 15);
        Verify(y, values[15..].Select((v, i) => v * r[i / 15] * wv[i % 15]).ToArray(), reductionLength: 15);
    }

    [Test]
    public void EmptyWork()
    {
        Tensor weight = Output(4);
        Tensor dWeight = Output(4);
        Tensor none = Output((0, 4));
        Tensor statistics = Output(0);
        RmsNorm.Forward(none, weight, Epsilon, none, statistics);
        RmsNorm.Backward(none, weight, statistics, none, none, null, dWeight);
        Assert.That(dWeight.ToArray(), Is.All.Zero);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor x = Output((2, 4));
        Tensor weight = Output(4);
        Tensor y = Output((2, 4));
        Tensor inverse = Output(2);
        Assert.That(
            () => RmsNorm.Forward(x, Output(5), Epsilon, y, inverse),
            Throws.ArgumentException.With.Message.Contains("weight is [5], expected [4]")
        );
        Assert.That(
            () => RmsNorm.Forward(x, Output(4, DType.BF16), Epsilon, y, inverse),
            Throws.ArgumentException.With.Message.Contains("weight is BF16, expected F32")
        );
        Assert.That(
            () => RmsNorm.Forward(x, weight, Epsilon, y, Output(3)),
            Throws.ArgumentException.With.Message.Contains("inverseRms is [3], expected [2]")
        );
        Assert.That(
            () => RmsNorm.Forward(x, weight, float.NaN, y, inverse),
            Throws.ArgumentException.With.Message.Contains("epsilon is NaN")
        );
        Assert.That(
            () => RmsNorm.Backward(x, weight, inverse, y, y, Output((4, 2))),
            Throws.ArgumentException.With.Message.Contains("dResidual is [4, 2], expected [2, any]")
        );
        Assert.That(
            () => RmsNorm.Backward(x, weight, inverse, y, y, null, Output(4, DType.BF16)),
            Throws.ArgumentException.With.Message.Contains("dWeight is BF16, expected F32")
        );
    }

    private static double[] Inverse(double[] x, int rows, int columns) =>
        Enumerable
            .Range(0, rows)
            .Select(i => 1 / Math.Sqrt(x.Skip(i * columns).Take(columns).Sum(v => v * v) / columns + Epsilon))
            .ToArray();
}
