using Spectral.Kernels;

namespace Spectral.Training.Tests.Optim.Methods;

/// <summary>Formulas in double precision that references of several optimizers contain.</summary>
internal static class References
{
    /// <summary>AdamW with its default β₁, β₂ and ε.</summary>
    public static ReferenceTest.Formula AdamW(Shape shape, double decay)
    {
        double[] first = new double[shape.Count];
        double[] second = new double[shape.Count];
        return (values, gradient, step, rate) =>
        {
            for (int i = 0; i < values.Length; i++)
            {
                first[i] = 0.9 * first[i] + 0.1 * gradient[i];
                second[i] = 0.999 * second[i] + 0.001 * gradient[i] * gradient[i];
                double m = first[i] / (1 - Math.Pow(0.9, step));
                double v = second[i] / (1 - Math.Pow(0.999, step));
                values[i] = values[i] * (1 - rate * decay) - rate * m / (Math.Sqrt(v) + 1e-8);
            }
        };
    }

    /// <summary>Five Newton-Schulz steps of a matrix whose rows do not outnumber its columns, row by row.</summary>
    public static double[] NewtonSchulz(double[] matrix, int rows, int columns) =>
        NewtonSchulz(matrix, rows, columns, (3.4445, -4.7750, 2.0315));

    /// <summary>
    /// Five Newton-Schulz steps with other coefficients, of a matrix whose rows do not outnumber its columns.
    /// </summary>
    public static double[] NewtonSchulz(
        double[] matrix,
        int rows,
        int columns,
        (double A, double B, double C) coefficients
    )
    {
        double norm = Math.Sqrt(matrix.Sum(value => value * value)) + 1e-7;
        double[] x = [.. matrix.Select(value => value / norm)];
        for (int step = 0; step < 5; step++)
        {
            double[] gram = Product(x, Transpose(x, rows, columns), rows, columns, rows);
            double[] square = Product(gram, gram, rows, rows, rows);
            double[] polynomial = [.. gram.Zip(square, (a, aa) => coefficients.B * a + coefficients.C * aa)];
            double[] change = Product(polynomial, x, rows, rows, columns);
            x = [.. x.Zip(change, (old, add) => coefficients.A * old + add)];
        }

        return x;
    }

    /// <summary>Returns the transpose of a matrix [rows, columns].</summary>
    public static double[] Transpose(double[] matrix, int rows, int columns) =>
        [.. Enumerable.Range(0, rows * columns).Select(i => matrix[i % rows * columns + i / rows])];

    /// <summary>Returns the product of [rows, inner] and [inner, columns].</summary>
    public static double[] Product(double[] left, double[] right, int rows, int inner, int columns)
    {
        double[] product = new double[rows * columns];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                for (int k = 0; k < inner; k++)
                    product[i * columns + j] += left[i * inner + k] * right[k * columns + j];
            }
        }

        return product;
    }
}
