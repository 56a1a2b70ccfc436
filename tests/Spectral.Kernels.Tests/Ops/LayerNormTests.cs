using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LayerNormTests(DeviceKind kind) : DeviceTest(kind)
{
    private const float Epsilon = 1e-5f;

    [Test]
    public void ForwardMatchesTheReference(
        [ValueSource(nameof(RowSizes))] int columns,
        [Values(1, 8, 33)] int rows,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool biased,
        [Values] Placed placed
    )
    {
        Tensor x = Input((rows, columns), type, out double[] xv);
        Tensor weight = Input(columns, type, out double[] wv);
        Tensor bias = Input(columns, type, out double[] bv);
        Tensor statistics = Output((rows, 2));
        ColumnRange y = OutputColumns(rows, columns, type, placed);
        LayerNorm.Forward(x, weight, biased ? bias : null, Epsilon, y, statistics);
        (double[] normal, double[] both) = Normal(xv, rows, columns);
        Verify(statistics, both, Spread(xv, both, rows, columns), columns, "statistics");
        double[] largest = Largest(xv, rows, columns);
        double[] magnitude = normal
            .Select(
                (n, i) => (Math.Abs(n) + largest[i / columns] * both[i / columns * 2 + 1]) * Math.Abs(wv[i % columns])
            )
            .ToArray();
        Verify(
            y,
            normal.Select((n, i) => n * wv[i % columns] + (biased ? bv[i % columns] : 0)).ToArray(),
            magnitude.Select((m, i) => m + Math.Abs(bv[i % columns])).ToArray(),
            columns,
            "y"
        );
    }

    [Test]
    public void HeadsMayHaveWeightsOfTheirOwn(
        [Values(1, 3, 7, 8, 64)] int columns,
        [Values(1, 2, 5)] int heads,
        [Values(0, 1, 40)] int tokens,
        [ValueSource(nameof(FloatTypes))] DType type
    )
    {
        int rows = tokens * heads;
        Tensor x = Input((rows, columns), type, out double[] xv);
        Tensor weight = Input((heads, columns), type, out double[] wv);
        Tensor dy = Input((rows, columns), type, out double[] dyv);
        Tensor y = Output((rows, columns), type);
        Tensor dx = Output((rows, columns), type);
        Tensor statistics = Output((rows, 2));
        Tensor dWeight = Input((heads, columns), DType.F32, out double[] before);
        LayerNorm.Forward(x, weight, null, 0.01f, y, statistics);
        LayerNorm.Backward(x, weight, statistics, dy, dx, null, dWeight, accumulate: true);

        (double[] normal, double[] both) = Normal(xv, rows, columns, 0.01f);
        double[] largest = Largest(xv, rows, columns);
        double[] own = [.. xv.Select((_, i) => wv[i / columns % heads * columns + i % columns])];
        // The size of n, and that of the numbers whose difference it is: their rounding is left in it.
        double[] size = [.. normal.Select((n, i) => Math.Abs(n) + largest[i / columns] * both[i / columns * 2 + 1])];
        Verify(
            y,
            [.. normal.Select((n, i) => n * own[i])],
            [.. size.Select((n, i) => n * Math.Abs(own[i]))],
            columns,
            "y"
        );
        double[] dw = [.. before];
        double[] dwSize = [.. before.Select(Math.Abs)];
        double[] expected = new double[xv.Length];
        double[] magnitude = new double[xv.Length];
        for (int i = 0; i < xv.Length; i++)
        {
            int at = i / columns % heads * columns + i % columns;
            dw[at] += dyv[i] * normal[i];
            dwSize[at] += Math.Abs(dyv[i]) * size[i];
            IEnumerable<int> row = Enumerable.Range(i / columns * columns, columns);
            double mean = row.Sum(c => own[c] * dyv[c]) / columns;
            double dot = row.Sum(c => own[c] * dyv[c] * normal[c]) / columns;
            double spread = row.Sum(c => Math.Abs(own[c] * dyv[c]) * (1 + size[c])) / columns;
            double r = both[i / columns * 2 + 1];
            expected[i] = r * (own[i] * dyv[i] - mean - normal[i] * dot);
            magnitude[i] = r * (Math.Abs(own[i] * dyv[i]) + spread * (1 + size[i]));
        }
        Verify(dx, expected, magnitude, columns, "dx");
        Verify(dWeight, dw, dwSize, tokens + 1, "dWeight");
    }

    [Test]
    public void AMeanFarFromZeroLeavesTheDeviation()
    {
        double[] values = [1000.5, 1000.25, 999.75, 999.5];
        Tensor x = Input(Array.ConvertAll(values, value => (float)value), (1, 4), DType.F32, out _);
        Tensor y = Output((1, 4));
        Tensor statistics = Output((1, 2));
        LayerNorm.Forward(x, Input([1, 1, 1, 1], 4, DType.F32, out _), null, 0, y, statistics);
        double deviation = Math.Sqrt((0.25 + 0.0625 + 0.0625 + 0.25) / 4);
        Verify(y, values.Select(value => (value - 1000) / deviation).ToArray(), reductionLength: 4);
    }

    [Test]
    public void BackwardMatchesTheReference(
        [ValueSource(nameof(RowSizes))] int columns,
        [Values(1, 33, 130)] int rows,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool residual,
        [Values] bool accumulate,
        [Values] Placed placed
    )
    {
        Tensor x = Input((rows, columns), type, out double[] xv);
        Tensor weight = Input(columns, type, out double[] wv);
        Tensor dy = Input((rows, columns), type, out double[] dyv);
        ColumnRange dResidual = InputColumns(rows, columns, type, placed, out double[] dr);
        ColumnRange dx = OutputColumns(rows, columns, type, placed);
        Tensor dWeight = Input(columns, DType.F32, out double[] weightBefore);
        Tensor dBias = Input(columns, DType.F32, out double[] biasBefore);
        (double[] normal, double[] both) = Normal(xv, rows, columns);
        Tensor statistics = Input(Array.ConvertAll(both, v => (float)v), (rows, 2), DType.F32, out _);
        LayerNorm.Backward(
            x,
            weight,
            statistics,
            dy,
            dx,
            residual ? new ColumnRange?(dResidual) : null,
            dWeight,
            dBias,
            accumulate
        );

        double[] largest = Largest(xv, rows, columns);
        double[] expected = new double[xv.Length];
        double[] magnitude = new double[xv.Length];
        double[] dw = accumulate ? (double[])weightBefore.Clone() : new double[columns];
        double[] db = accumulate ? (double[])biasBefore.Clone() : new double[columns];
        double[] dwMagnitude = dw.Select(Math.Abs).ToArray();
        double[] dbMagnitude = db.Select(Math.Abs).ToArray();
        for (int i = 0; i < rows; i++)
        {
            double r = both[2 * i + 1];
            (double mean, double dot, double size) = (0, 0, 0);
            for (int c = 0, at = i * columns; c < columns; c++, at++)
            {
                mean += wv[c] * dyv[at] / columns;
                dot += wv[c] * dyv[at] * normal[at] / columns;
                size += Math.Abs(wv[c] * dyv[at]) * (1 + Rounded(at, r)) / columns;
                dw[c] += dyv[at] * normal[at];
                db[c] += dyv[at];
                dwMagnitude[c] += Math.Abs(dyv[at]) * Rounded(at, r);
                dbMagnitude[c] += Math.Abs(dyv[at]);
            }
            for (int c = 0, at = i * columns; c < columns; c++, at++)
            {
                expected[at] = r * (wv[c] * dyv[at] - mean - normal[at] * dot) + (residual ? dr[at] : 0);
                magnitude[at] = r * (Math.Abs(wv[c] * dyv[at]) + size * (1 + Rounded(at, r))) + Math.Abs(dr[at]);
            }
        }
        Verify(dx, expected, magnitude, columns, "dx");
        Verify(dWeight, dw, dwMagnitude, rows, "dWeight");
        Verify(dBias, db, dbMagnitude, rows, "dBias");

        // The size of n, and that of the numbers whose difference it is: their rounding is left in it.
        double Rounded(int at, double r) => Math.Abs(normal[at]) + largest[at / columns] * r;
    }

    [Test]
    public void BackwardIsTheGradientOfForward([ValueSource(nameof(RowSizes))] int columns)
    {
        // <dy, f(x + h d) - f(x - h d)> / 2h by central differences along a random direction d, f in double
        Tensor x = Input((3, columns), DType.F32, out double[] xv);
        Tensor weight = Input(columns, DType.F32, out double[] wv);
        Tensor dy = Input((3, columns), DType.F32, out double[] dyv);
        Tensor y = Output((3, columns));
        Tensor statistics = Output((3, 2));
        Tensor dx = Output((3, columns));
        const float Wide = 0.01f; // so that a row of equal values has a derivative that differences can measure
        LayerNorm.Forward(x, weight, null, Wide, y, statistics);
        LayerNorm.Backward(x, weight, statistics, dy, dx);
        double[] direction = Enumerable.Range(0, xv.Length).Select(_ => Rng.NextDouble() - 0.5).ToArray();
        double Value(double h)
        {
            double[] moved = xv.Select((v, i) => v + h * direction[i]).ToArray();
            return Normal(moved, 3, columns, Wide).Normal.Select((n, i) => dyv[i] * n * wv[i % columns]).Sum();
        }
        double numeric = (Value(1e-6) - Value(-1e-6)) / 2e-6;
        float[] gradient = dx.ToArray();
        double[] terms = direction.Select((d, i) => d * gradient[i]).ToArray();
        // 1e-5: truncation of the differences, and what F32 leaves of dx where most of it cancels
        Assert.That(
            terms.Sum(),
            Is.EqualTo(numeric).Within(1e-5 * (1 + terms.Sum(Math.Abs)) + 1e-4 * Math.Abs(numeric))
        );
    }

    [Test]
    public void OutputMayBeTheInput([ValueSource(nameof(FloatTypes))] DType type)
    {
        Tensor x = Input((9, 256), type, out _);
        Tensor weight = Input(256, type, out _);
        Tensor bias = Input(256, type, out _);
        Tensor apart = Output((9, 256), type);
        Tensor statistics = Output((9, 2));
        Tensor dy = Input((9, 256), type, out _);
        LayerNorm.Forward(x, weight, bias, Epsilon, apart, statistics);
        Tensor dx = Output((9, 256), type);
        Tensor[] gradients = [Output(256), Output(256), Output(256), Output(256)];
        LayerNorm.Backward(x, weight, statistics, dy, dx, dy, gradients[0], gradients[1]);
        LayerNorm.Backward(x, weight, statistics, dy, dy, dy, gradients[2], gradients[3]);
        LayerNorm.Forward(x, weight, bias, Epsilon, x, statistics);
        Assert.That(x.ToArray(), Is.EqualTo(apart.ToArray()));
        Assert.That(dy.ToArray(), Is.EqualTo(dx.ToArray()));
        Assert.That(gradients[2].ToArray(), Is.EqualTo(gradients[0].ToArray()));
        Assert.That(gradients[3].ToArray(), Is.EqualTo(gradients[1].ToArray()));
    }

    [Test]
    public void RowsAtOddAddresses([ValueSource(nameof(FloatTypes))] DType type)
    {
        Tensor all = Input((4, 15), type, out double[] values);
        Tensor weight = Input(15, type, out double[] wv);
        Tensor statistics = Output((3, 2));
        Tensor y = Output((3, 15), type);
        using Tensor x = all.Rows(1, 3);
        LayerNorm.Forward(x, weight, null, Epsilon, y, statistics);
        double[] normal = Normal(values[15..], 3, 15).Normal;
        Verify(
            y,
            normal.Select((n, i) => n * wv[i % 15]).ToArray(),
            normal.Select((n, i) => (1 + Math.Abs(n)) * Math.Abs(wv[i % 15])).ToArray(),
            15
        );
    }

    [Test]
    public void EmptyWork()
    {
        Tensor weight = Output(4);
        Tensor dWeight = Output(4);
        Tensor dBias = Output(4);
        Tensor none = Output((0, 4));
        Tensor statistics = Output((0, 2));
        LayerNorm.Forward(none, weight, null, Epsilon, none, statistics);
        LayerNorm.Backward(none, weight, statistics, none, none, null, dWeight, dBias);
        Assert.That(dWeight.ToArray(), Is.All.Zero);
        Assert.That(dBias.ToArray(), Is.All.Zero);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor x = Output((2, 4));
        Tensor weight = Output(4);
        Tensor y = Output((2, 4));
        Tensor statistics = Output((2, 2));
        Assert.That(
            () => LayerNorm.Forward(x, Output(5), null, Epsilon, y, statistics),
            Throws.ArgumentException.With.Message.Contains("weight is [5], expected [4]")
        );
        Assert.That(
            () => LayerNorm.Forward(x, weight, Output(3), Epsilon, y, statistics),
            Throws.ArgumentException.With.Message.Contains("bias is [3], expected [4]")
        );
        Assert.That(
            () => LayerNorm.Forward(x, weight, Output(4, DType.BF16), Epsilon, y, statistics),
            Throws.ArgumentException.With.Message.Contains("bias is BF16, expected F32")
        );
        Assert.That(
            () => LayerNorm.Forward(x, weight, null, Epsilon, y, Output((2, 1))),
            Throws.ArgumentException.With.Message.Contains("statistics is [2, 1], expected [2, 2]")
        );
        Assert.That(
            () => LayerNorm.Forward(x, weight, null, float.NaN, y, statistics),
            Throws.ArgumentException.With.Message.Contains("epsilon is NaN")
        );
        Assert.That(
            () => LayerNorm.Backward(x, weight, statistics, y, y, Output((4, 2))),
            Throws.ArgumentException.With.Message.Contains("dResidual is [4, 2], expected [2, any]")
        );
        Assert.That(
            () => LayerNorm.Backward(x, weight, statistics, y, y, null, Output(4, DType.BF16)),
            Throws.ArgumentException.With.Message.Contains("dWeight is BF16, expected F32")
        );
        Assert.That(
            () => LayerNorm.Backward(x, weight, statistics, y, y, null, null, Output(5)),
            Throws.ArgumentException.With.Message.Contains("dBias is [5], expected [4]")
        );
        Assert.That(
            () => LayerNorm.Forward(x, Output((3, 4)), null, Epsilon, y, statistics),
            Throws.ArgumentException.With.Message.Contains("weight is [3, 4] for 2 rows")
        );
        Assert.That(
            () => LayerNorm.Backward(x, Output((2, 4)), statistics, y, y, null, weight),
            Throws.ArgumentException.With.Message.Contains("dWeight is [4], expected [2, 4]")
        );
    }

    private static double[] Largest(double[] x, int rows, int columns) =>
        [.. Enumerable.Range(0, rows).Select(row => x.AsSpan(row * columns, columns).ToArray().Max(Math.Abs))];

    /// <summary>
    /// The sizes of the statistics' terms: of a mean, and of a deviation beside what its differences lost.
    /// </summary>
    private static double[] Spread(double[] x, double[] both, int rows, int columns)
    {
        double[] largest = Largest(x, rows, columns);
        double[] sizes = new double[2 * rows];
        for (int i = 0; i < rows; i++)
        {
            sizes[2 * i] = largest[i];
            sizes[2 * i + 1] = both[2 * i + 1] * (1 + largest[i] * both[2 * i + 1]);
        }
        return sizes;
    }

    private static (double[] Normal, double[] Statistics) Normal(
        double[] x,
        int rows,
        int columns,
        float epsilon = Epsilon
    )
    {
        double[] normal = new double[x.Length];
        double[] statistics = new double[2 * rows];
        for (int i = 0; i < rows; i++)
        {
            double[] row = x.AsSpan(i * columns, columns).ToArray();
            double mean = row.Sum() / columns;
            double r = 1 / Math.Sqrt(row.Sum(v => (v - mean) * (v - mean)) / columns + epsilon);
            (statistics[2 * i], statistics[2 * i + 1]) = (mean, r);
            for (int c = 0; c < columns; c++)
                normal[i * columns + c] = (row[c] - mean) * r;
        }
        return (normal, statistics);
    }
}
