using Spectral.Kernels;
using Spectral.Kernels.Linalg;

namespace Spectral.Training.Numerics;

/// <summary>
/// The leading singular triplets of a matrix in double: A ≈ Σ σ_i u_i v_iᵀ, one vector per row, by descending value.
/// </summary>
/// <param name="Left">The left vectors, [k, rows].</param>
/// <param name="Values">The singular values, [k].</param>
/// <param name="Right">The right vectors, [k, columns].</param>
internal sealed record Triplets(HostMatrix Left, double[] Values, HostMatrix Right)
{
    private const double DoubleRounding = 2.2e-16;

    // Beyond the wanted rank, so that the last of the wanted triplets are as exact as the first.
    private const int Oversampled = 16;
    private const int PowerIterations = 8;

    /// <summary>The Frobenius norm of the whole matrix.</summary>
    public required double FrobeniusNorm { get; init; }

    /// <summary>
    /// A bound on the spectral norm of the part that the triplets leave out; the size of rounding errors if they leave
    /// out nothing.
    /// </summary>
    public required double ResidualBound { get; init; }

    /// <summary>A bound on the distance of each value to a singular value of the matrix, [k].</summary>
    public required double[] ValueErrors { get; init; }

    public int Count => Values.Length;

    /// <summary>The size up to which values are only rounding errors.</summary>
    public double NumericalZero => Values[0] * DoubleRounding * Math.Max(Left.Columns, Right.Columns);

    /// <summary>
    /// Computes at least the leading triplets of a matrix: all of them if it is small, else those of a randomized SVD
    /// that is refined.
    /// </summary>
    /// <param name="device">The device to compute on.</param>
    /// <param name="values">The values of the matrix, row by row.</param>
    /// <param name="matrix">The same values on the device, [rows, columns].</param>
    /// <param name="rank">The number of triplets, if the matrix has that many.</param>
    public static Triplets Leading(Device device, float[] values, Tensor matrix, int rank)
    {
        var host = HostMatrix.From(values, matrix.Dim(0), matrix.Dim(1));
        int least = Math.Min(host.Rows, host.Columns);
        if (least <= Svd.LargestExact || rank + Oversampled >= least)
            return Exact(device, host);
        using SvdResult found = RandomizedSvd.Compute(
            matrix,
            rank + Oversampled,
            new RandomizedSvdOptions { PowerIterations = PowerIterations }
        );
        return Refined(device, host, found);
    }

    /// <summary>Computes all triplets, up to F64 rounding.</summary>
    public static Triplets Exact(Device device, HostMatrix a)
    {
        var svd = DoubleSvd.Compute(device, a.Values, a.Rows, a.Columns);
        int n = svd.Values.Length;
        double rounding = svd.Values[0] * DoubleRounding * Math.Sqrt((double)a.Rows * a.Columns);
        return new Triplets(new HostMatrix(n, a.Rows, svd.Left), svd.Values, new HostMatrix(n, a.Columns, svd.Right))
        {
            FrobeniusNorm = Math.Sqrt(a.SquaredNorm()),
            ResidualBound = rounding,
            ValueErrors = [.. Enumerable.Repeat(rounding, n)],
        };
    }

    /// <summary>
    /// Refines the triplets that a randomized SVD found in F32: makes them orthonormal in double and computes the best
    /// values and vectors within the spaces they span (Rayleigh-Ritz). The residual √((‖A v − σ u‖² + ‖Aᵀu − σ v‖²) /
    /// 2) of each triplet bounds the distance of its value to a singular value of A.
    /// </summary>
    public static Triplets Refined(Device device, HostMatrix a, SvdResult found)
    {
        int k = found.S.Dim(0);
        HostMatrix left = Orthonormal(HostMatrix.From(found.U.ToArray(), a.Rows, k).Transposed());
        HostMatrix right = Orthonormal(HostMatrix.From(found.Vt.ToArray(), k, a.Columns));
        var core = DoubleSvd.Compute(device, left.TimesTransposed(right.TimesTransposed(a)).Values, k, k);
        left = new HostMatrix(k, k, core.Left).Times(left);
        right = new HostMatrix(k, k, core.Right).Times(right);
        HostMatrix images = right.TimesTransposed(a);
        HostMatrix back = left.Times(a);
        double[] errors = new double[k];
        for (int i = 0; i < k; i++)
        {
            errors[i] = Math.Sqrt(
                (
                    Distance(images.Row(i), left.Row(i), core.Values[i])
                    + Distance(back.Row(i), right.Row(i), core.Values[i])
                ) / 2
            );
        }
        // The diagonal core contains everything of A within the spans. The rest has this Frobenius norm, and its
        // spectral norm is no larger.
        double all = a.SquaredNorm();
        double rest = Math.Sqrt(Math.Max(0, all - core.Values.Sum(value => value * value)));
        return new Triplets(left, core.Values, right)
        {
            FrobeniusNorm = Math.Sqrt(all),
            ResidualBound = Math.Min(found.ResidualBound, rest),
            ValueErrors = errors,
        };
    }

    // Two Newton-Schulz steps X ← (3 X − X XᵀX) / 2 reduce F32's deviation of 5·10⁻⁶ below double rounding.
    private static HostMatrix Orthonormal(HostMatrix rows)
    {
        for (int step = 0; step < 2; step++)
        {
            HostMatrix factor = rows.TimesTransposed(rows);
            for (int i = 0; i < factor.Values.Length; i++)
                factor.Values[i] *= -0.5;
            for (int i = 0; i < factor.Rows; i++)
                factor.Values[(i * factor.Columns) + i] += 1.5;
            rows = factor.Times(rows);
        }
        return rows;
    }

    private static double Distance(ReadOnlySpan<double> x, ReadOnlySpan<double> y, double factor)
    {
        double sum = 0;
        for (int i = 0; i < x.Length; i++)
        {
            double difference = x[i] - (factor * y[i]);
            sum += difference * difference;
        }
        return sum;
    }
}
