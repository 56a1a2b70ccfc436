namespace Spectral.Training.Tests.Adapters.Expressions;

/// <summary>Products and inverses of square or small matrices in double, row by row.</summary>
internal static class MatrixFormulas
{
    public static double[] Product(double[] a, bool transposeA, double[] b, bool transposeB, int m, int k, int n)
    {
        double[] c = new double[m * n];
        for (int at = 0; at < c.Length; at++)
        {
            for (int l = 0; l < k; l++)
            {
                c[at] +=
                    a[transposeA ? l * m + at / n : at / n * k + l] * b[transposeB ? at % n * k + l : l * n + at % n];
            }
        }

        return c;
    }

    public static double[] Diagonal(double[] square, double plus, double scale)
    {
        int n = (int)Math.Sqrt(square.Length);
        return [.. square.Select((value, at) => scale * value + (at / n == at % n ? plus : 0))];
    }

    public static double[] Skew(double[] upper, int n)
    {
        double[] s = new double[n * n];
        for (int i = 0, at = 0; i < n; i++)
        {
            for (int j = i + 1; j < n; j++)
                (s[i * n + j], s[j * n + i]) = (upper[at], -upper[at++]);
        }

        return s;
    }

    // Gauss-Jordan without pivoting: the cases are diagonally heavy.
    public static double[] Inverse(double[] x, int n)
    {
        double[] a = [.. x];
        double[] y = Diagonal(new double[n * n], 1, 1);
        for (int k = 0; k < n; k++)
        {
            double pivot = a[k * n + k];
            for (int j = 0; j < n; j++)
                (a[k * n + j], y[k * n + j]) = (a[k * n + j] / pivot, y[k * n + j] / pivot);
            for (int i = 0; i < n; i++)
            {
                double factor = a[i * n + k];
                for (int j = 0; i != k && j < n; j++)
                {
                    (a[i * n + j], y[i * n + j]) = (
                        a[i * n + j] - factor * a[k * n + j],
                        y[i * n + j] - factor * y[k * n + j]
                    );
                }
            }
        }
        return y;
    }
}
