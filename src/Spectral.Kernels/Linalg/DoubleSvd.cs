using System.Runtime.InteropServices;

namespace Spectral.Kernels.Linalg;

/// <summary>
/// Thin SVD of a matrix of doubles, A = Uᵀ diag(S) V with one vector per row, computed by the device's library in F64
/// throughout, for analyses in which differences of singular values matter. Values descend; each pair of vectors has
/// the sign that makes the entry of largest magnitude of its right vector positive. Costs about 20·min(m, n)²·max(m, n)
/// operations, one matrix after the other.
/// </summary>
public sealed class DoubleSvd
{
    private DoubleSvd(double[] left, double[] values, double[] right) => (Left, Values, Right) = (left, values, right);

    /// <summary>Left vectors [n, rows], n the smaller dimension; vector i is row i.</summary>
    public double[] Left { get; }

    /// <summary>Singular values [n], descending.</summary>
    public double[] Values { get; }

    /// <summary>Right vectors [n, columns]; vector i is row i.</summary>
    public double[] Right { get; }

    /// <summary>Computes all singular values and vectors of a matrix, to F64 rounding.</summary>
    /// <param name="device">Device that computes it.</param>
    /// <param name="a">[rows, columns], finite.</param>
    /// <param name="rows">At least 1.</param>
    /// <param name="columns">At least 1.</param>
    /// <exception cref="ArgumentException">The size does not fit, or a holds NaN or infinite values.</exception>
    /// <exception cref="ArithmeticException">It did not converge.</exception>
    public static DoubleSvd Compute(Device device, ReadOnlySpan<double> a, int rows, int columns)
    {
        using Tensor standing = Standing(device, a, rows, columns);
        int n = standing.Dim(0);
        int m = standing.Dim(1);
        using var s = Tensor.Empty(device, n, DType.F64);
        using var u = Tensor.Empty(device, (n, m), DType.F64);
        using var vt = Tensor.Empty(device, (n, n), DType.F64);
        Run(standing, s, u, vt);
        double[] longer = u.ToDoubleArray();
        double[] shorter = Transposed(vt.ToDoubleArray(), n, n);
        (double[] left, double[] right) = rows > columns ? (longer, shorter) : (shorter, longer);
        FixSigns(left, right, n);
        return new DoubleSvd(left, s.ToDoubleArray(), right);
    }

    /// <summary>Computes the singular values alone, [min(rows, columns)], descending.</summary>
    /// <inheritdoc cref="Compute"/>
    public static double[] ValuesOf(Device device, ReadOnlySpan<double> a, int rows, int columns)
    {
        using Tensor standing = Standing(device, a, rows, columns);
        using var s = Tensor.Empty(device, standing.Dim(0), DType.F64);
        Run(standing, s, null, null);
        return s.ToDoubleArray();
    }

    /// <summary>
    /// Copies the matrix as the library expects it: column-major with at least as many rows as columns, so that the
    /// vectors of the longer side are stored as rows.
    /// </summary>
    private static Tensor Standing(Device device, ReadOnlySpan<double> a, int rows, int columns)
    {
        if (rows < 1 || columns < 1 || (long)rows * columns != a.Length)
            throw new ArgumentException($"{a.Length} values for a matrix [{rows}, {columns}]", nameof(a));
        foreach (double value in a)
        {
            if (!double.IsFinite(value))
                throw new ArgumentException($"a [{rows}, {columns}] holds NaN or infinite values", nameof(a));
        }

        (int n, int m) = rows > columns ? (columns, rows) : (rows, columns);
        var standing = Tensor.Empty(device, (n, m), DType.F64);
        standing.CopyFrom(MemoryMarshal.AsBytes(rows > columns ? Transposed(a, rows, columns) : a));
        return standing;
    }

    private static void Run(Tensor a, Tensor s, Tensor? u, Tensor? vt)
    {
        using var info = Tensor.Zeros(a.Device, 1, DType.I32);
        a.Device.Solver.SingularValues(a, s, u, vt, info.Pointer);
        if (info.ToInt32Array()[0] != 0)
        {
            throw new ArithmeticException(
                $"the singular value decomposition of a matrix with {a.Shape} values did not converge"
            );
        }
    }

    private static double[] Transposed(ReadOnlySpan<double> a, int rows, int columns)
    {
        double[] transposed = new double[a.Length];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
                transposed[(long)j * rows + i] = a[i * columns + j];
        }

        return transposed;
    }

    private static void FixSigns(double[] left, double[] right, int n)
    {
        int rows = left.Length / n;
        int columns = right.Length / n;
        for (int i = 0; i < n; i++)
        {
            Span<double> u = left.AsSpan(i * rows, rows);
            Span<double> v = right.AsSpan(i * columns, columns);
            int largest = 0;
            for (int j = 1; j < columns; j++)
            {
                if (Math.Abs(v[j]) > Math.Abs(v[largest]))
                    largest = j;
            }

            if (v[largest] >= 0)
                continue;
            foreach (ref double entry in u)
                entry = -entry;
            foreach (ref double entry in v)
                entry = -entry;
        }
    }
}
