namespace Spectral.Training.Tests.Support;

/// <summary>
/// A plain SVD in double to compare with: one-sided Jacobi rotations until all columns are orthogonal.
/// </summary>
internal static class JacobiSvd
{
    /// <summary>
    /// a = u diag(values) vᵀ, values descending; u [rows, n], v [columns, n], n the smaller dimension.
    /// </summary>
    public static (Dense U, double[] Values, Dense V) Of(Dense a)
    {
        if (a.Rows < a.Columns)
        {
            (Dense u, double[] values, Dense v) = Of(a.Transposed);
            return (v, values, u);
        }
        int n = a.Columns;
        Dense work = 1 * a;
        var rotations = Dense.Identity(n);
        for (bool rotated = true; rotated; )
        {
            rotated = false;
            for (int i = 0; i < n; i++)
            {
                for (int j = i + 1; j < n; j++)
                    rotated |= Rotate(work, rotations, i, j);
            }
        }
        double[] norms = [.. Enumerable.Range(0, n).Select(j => Math.Sqrt(Product(work, j, j)))];
        int[] order = [.. Enumerable.Range(0, n).OrderByDescending(j => norms[j])];
        return (
            Dense.Of(a.Rows, n, (i, j) => work[i, order[j]] / norms[order[j]]),
            [.. order.Select(j => norms[j])],
            Dense.Of(n, n, (i, j) => rotations[i, order[j]])
        );
    }

    private static bool Rotate(Dense work, Dense rotations, int i, int j)
    {
        double a = Product(work, i, i);
        double b = Product(work, j, j);
        double c = Product(work, i, j);
        if (Math.Abs(c) <= 1e-15 * Math.Sqrt(a * b))
            return false;
        double zeta = (b - a) / (2 * c);
        double tangent = (zeta >= 0 ? 1 : -1) / (Math.Abs(zeta) + Math.Sqrt(1 + zeta * zeta));
        double cosine = 1 / Math.Sqrt(1 + tangent * tangent);
        foreach (Dense matrix in new[] { work, rotations })
        {
            for (int row = 0; row < matrix.Rows; row++)
            {
                (matrix[row, i], matrix[row, j]) = (
                    cosine * (matrix[row, i] - tangent * matrix[row, j]),
                    cosine * (tangent * matrix[row, i] + matrix[row, j])
                );
            }
        }

        return true;
    }

    private static double Product(Dense matrix, int i, int j) =>
        Enumerable.Range(0, matrix.Rows).Sum(row => matrix[row, i] * matrix[row, j]);
}
