using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class MatrixInverseTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void Inverts([Values(1, 2, 7, 16, 32, 33, 64, 127, 200, 256)] int n, [Values(1, 3)] int batch)
    {
        Tensor x = Input((batch, n, n), DType.F32, out double[] values);
        Tensor y = Output((batch, n, n));
        double[] expected = Inverses(values, batch, n);
        double largest = expected.Max(Math.Abs);

        MatrixInverse.Forward(x, y);

        // F64 inside: of an element only its last rounding is left, beside 1e-9 of the largest for the condition
        // number.
        Verify(y, expected, Array.ConvertAll(expected, _ => 2e-3 * largest));
        MatrixInverse.Forward(x, x);
        Assert.That(x.ToArray(), Is.EqualTo(y.ToArray()), "in place");
    }

    [Test]
    public void PivotsWhereTheDiagonalIsZero()
    {
        Tensor x = Input([0, 2, 0, 0, 0, 4, 8, 0, 0], (1, 3, 3), DType.F32, out _);
        Tensor y = Output((1, 3, 3));
        MatrixInverse.Forward(x, y);
        Assert.That(y.ToArray(), Is.EqualTo(new[] { 0, 0, 0.125f, 0.5f, 0, 0, 0, 0.25f, 0 }));
    }

    /// <summary>
    /// One number in each row and column: every pivot but the right one is 0. Powers of two, so that the inverse is
    /// exact.
    /// </summary>
    [Test]
    public void FindsTheOnlyPivot([Values(7, 33, 127)] int n)
    {
        float[] values = new float[n * n];
        float[] expected = new float[n * n];
        int[] columns = Enumerable.Range(0, n).ToArray();
        Rng.Shuffle(columns);
        for (int i = 0; i < n; i++)
        {
            float value = MathF.ScaleB(1, Rng.Next(-20, 21));
            (values[i * n + columns[i]], expected[columns[i] * n + i]) = (value, 1 / value);
        }
        Tensor x = Input(values, (1, n, n), DType.F32, out _);
        Tensor y = Output((1, n, n));
        MatrixInverse.Forward(x, y);
        Assert.That(y.ToArray(), Is.EqualTo(expected));
    }

    [Test]
    public void SingularMatricesShowAndTheOthersDoNotSuffer()
    {
        float[] values = [1, 2, 2, 4, 2, 0, 0, 4, float.NaN, 1, 1, 0];
        Tensor x = Input(values, (3, 2, 2), DType.F32, out _);
        Tensor y = Output((3, 2, 2));
        MatrixInverse.Forward(x, y);
        float[] result = y.ToArray();
        Assert.That(result[..4].Any(value => !float.IsFinite(value)), Is.True, "singular");
        Assert.That(result[4..8], Is.EqualTo(new[] { 0.5f, 0, 0, 0.25f }));
        Assert.That(result[8..].Any(float.IsNaN), Is.True, "NaN");
    }

    [Test]
    public void PassesGradientsBack([Values(1, 7, 33)] int n, [Values(1, 3)] int batch)
    {
        Tensor y = Input((batch, n, n), DType.F32, out double[] yv);
        Tensor dy = Input((batch, n, n), DType.F32, out double[] gradient);
        Tensor dx = Output((batch, n, n));
        Tensor sum = Input((batch, n, n), DType.F32, out double[] before);
        double[] expected = new double[yv.Length];
        double[] magnitude = new double[yv.Length];
        for (int b = 0; b < batch; b++)
        {
            for (int i = 0; i < n; i++)
            {
                for (int j = 0; j < n; j++)
                {
                    for (int k = 0; k < n; k++)
                    {
                        for (int l = 0; l < n; l++)
                        {
                            double term =
                                yv[(b * n + k) * n + i] * gradient[(b * n + k) * n + l] * yv[(b * n + j) * n + l];
                            expected[(b * n + i) * n + j] -= term;
                            magnitude[(b * n + i) * n + j] += Math.Abs(term);
                        }
                    }
                }
            }
        }

        MatrixInverse.Backward(y, dy, dx);
        MatrixInverse.Backward(y, dy, sum, accumulate: true);

        Verify(dx, expected, magnitude);
        Verify(
            sum,
            expected.Zip(before, (e, b) => e + b).ToArray(),
            magnitude.Zip(before, (m, b) => m + Math.Abs(b)).ToArray()
        );
    }

    /// <summary>The formula of backward against differences of the inverse itself, in double.</summary>
    [Test]
    public void TheAdjointIsThatOfTheInverse()
    {
        const int n = 4;
        Tensor x = Input((1, n, n), DType.F32, out double[] values, deviation: 0.3);
        Tensor y = Output((1, n, n));
        Tensor dy = Input((1, n, n), DType.F32, out double[] gradient);
        Tensor dx = Output((1, n, n));
        for (int i = 0; i < n; i++)
            values[i * n + i] += 2;
        x.CopyFrom(Array.ConvertAll(values, value => (float)value));
        MatrixInverse.Forward(x, y);
        MatrixInverse.Backward(y, dy, dx);
        double Loss() => Inverses(values, 1, n).Zip(gradient, (a, b) => a * b).Sum();
        double[] expected = new double[n * n];
        for (int at = 0; at < values.Length; at++)
        {
            double kept = values[at];
            values[at] = kept + 1e-5;
            double above = Loss();
            values[at] = kept - 1e-5;
            expected[at] = (above - Loss()) / 2e-5;
            values[at] = kept;
        }
        Verify(dx, expected, Array.ConvertAll(expected, _ => 10.0)); // differences of x rounded to F32
    }

    [Test]
    public void SameInputSameBits()
    {
        Tensor x = Input((5, 48, 48), DType.F32, out _);
        Tensor first = Output((5, 48, 48));
        Tensor second = Output((5, 48, 48));
        MatrixInverse.Forward(x, first);
        MatrixInverse.Forward(x, second);
        Assert.That(second.ToArray(), Is.EqualTo(first.ToArray()));
    }

    [Test]
    public void NothingToDo() => MatrixInverse.Forward(Output((0, 3, 3)), Output((0, 3, 3)));

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor x = Output((1, 3, 3));
        Assert.That(
            () => MatrixInverse.Forward(Output((1, 3, 4)), x),
            Throws.ArgumentException.With.Message.Contains(
                "x is [1, 3, 4], expected square matrices of order up to 256"
            )
        );
        Assert.That(
            () => MatrixInverse.Forward(Output((1, 257, 257)), x),
            Throws.ArgumentException.With.Message.Contains("order up to 256")
        );
        Assert.That(
            () => MatrixInverse.Forward(Output((3, 3)), x),
            Throws.ArgumentException.With.Message.Contains("x is [3, 3]")
        );
        Assert.That(
            () => MatrixInverse.Backward(x, x, Output((2, 3, 3))),
            Throws.ArgumentException.With.Message.Contains("dx is [2, 3, 3], expected [1, 3, 3]")
        );
    }

    // Elimination of [X | I] with partial pivoting, in double.
    private static double[] Inverses(double[] values, int batch, int n)
    {
        double[] result = new double[values.Length];
        for (int b = 0; b < batch; b++)
        {
            double[,] a = new double[n, 2 * n];
            for (int i = 0; i < n; i++)
            {
                for (int j = 0; j < n; j++)
                    a[i, j] = values[(b * n + i) * n + j];
                a[i, n + i] = 1;
            }
            for (int k = 0; k < n; k++)
            {
                int p = Enumerable.Range(k, n - k).MaxBy(i => Math.Abs(a[i, k]));
                for (int j = 0; j < 2 * n; j++)
                    (a[k, j], a[p, j]) = (a[p, j], a[k, j]);
                double pivot = a[k, k];
                for (int j = 0; j < 2 * n; j++)
                    a[k, j] /= pivot;
                for (int i = 0; i < n; i++)
                {
                    double factor = a[i, k];
                    for (int j = 0; i != k && j < 2 * n; j++)
                        a[i, j] -= factor * a[k, j];
                }
            }
            for (int i = 0; i < n; i++)
            {
                for (int j = 0; j < n; j++)
                    result[(b * n + i) * n + j] = a[i, n + j];
            }
        }
        return result;
    }
}
