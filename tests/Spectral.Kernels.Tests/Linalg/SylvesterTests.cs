using Spectral.Kernels.Linalg;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Linalg;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SylvesterTests(DeviceKind kind) : DeviceTest(kind)
{
    /// <summary>
    /// A chosen X gives F in double; A has rank 2, so that only B keeps the sums of eigenvalues above 0.
    /// </summary>
    [Test]
    public void FindsTheSolution([Values(1, 2, 3, 8, 17, 32)] int n)
    {
        double[,] a = Gram(n, 2, 0);
        double[,] b = Gram(n, 2 * n, 1);
        double[,] x = Draw(n, n);
        double[,] f = Sum(Multiply(a, x), Multiply(x, b));
        Tensor solution = Output((n, n));
        Sylvester.Solve(Upload(a), Upload(b), Upload(f), solution);
        double largest = a.Cast<double>().Concat(b.Cast<double>()).Max(Math.Abs);
        // The inputs are rounded to F32 and so are the eigenvectors; the smallest sum of eigenvalues is above 1.
        double bound = 2e-5 * n * (1 + largest);
        Assert.That(solution.ToArray(), Is.EqualTo(Flat(x)).Within(bound));
    }

    [Test]
    public void WhereBothAreZeroTheSolutionIsZero()
    {
        Tensor zero = Input(new float[9], (3, 3), DType.F32, out _);
        Tensor solution = Output((3, 3));
        Sylvester.Solve(zero, zero, Input((3, 3), DType.F32, out _), solution);
        Assert.That(solution.ToArray(), Is.All.Zero);
    }

    [Test]
    public void EmptyWork()
    {
        Tensor none = Output((0, 0));
        Sylvester.Solve(none, none, none, none);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor square = Output((2, 2));
        Assert.That(
            () => Sylvester.Solve(square, Output((3, 3)), square, square),
            Throws.ArgumentException.With.Message.Contains("b is [3, 3], expected [2, 2]")
        );
        Tensor wide = Output((200, 200));
        Assert.That(
            () => Sylvester.Solve(wide, wide, wide, wide),
            Throws.ArgumentException.With.Message.Contains("a is [200, 200], expected an order of at most 128")
        );
    }

    private double[,] Gram(int n, int columns, double shift)
    {
        double[,] x = Draw(n, columns);
        double[,] gram = new double[n, n];
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++)
            {
                gram[i, j] = i == j ? shift : 0;
                for (int k = 0; k < columns; k++)
                    gram[i, j] += x[i, k] * x[j, k];
            }
        }

        return gram;
    }

    private double[,] Draw(int rows, int columns)
    {
        double[,] values = new double[rows, columns];
        for (int i = 0; i < values.Length; i++)
            values[i / columns, i % columns] = 2 * Rng.NextDouble() - 1;
        return values;
    }

    private static double[,] Multiply(double[,] a, double[,] b)
    {
        int n = a.GetLength(0);
        double[,] product = new double[n, n];
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++)
            {
                for (int k = 0; k < n; k++)
                    product[i, j] += a[i, k] * b[k, j];
            }
        }

        return product;
    }

    private static double[,] Sum(double[,] a, double[,] b)
    {
        int n = a.GetLength(0);
        double[,] sum = new double[n, n];
        for (int i = 0; i < a.Length; i++)
            sum[i / n, i % n] = a[i / n, i % n] + b[i / n, i % n];
        return sum;
    }

    private static double[] Flat(double[,] matrix) => [.. matrix.Cast<double>()];

    private Tensor Upload(double[,] matrix) =>
        Input(
            [.. matrix.Cast<double>().Select(value => (float)value)],
            (matrix.GetLength(0), matrix.GetLength(1)),
            DType.F32,
            out _
        );
}
