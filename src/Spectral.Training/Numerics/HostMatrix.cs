using System.Numerics;
using System.Numerics.Tensors;

namespace Spectral.Training.Numerics;

/// <summary>
/// A row-major matrix of doubles on the host. Products have the same bits with any number of threads.
/// </summary>
internal sealed class HostMatrix
{
    private const long ParallelFlops = 1 << 24; // below this, starting threads costs more than it saves

    public HostMatrix(int rows, int columns, double[]? values = null)
    {
        (Rows, Columns, Values) = (rows, columns, values ?? new double[(long)rows * columns]);
        if (Values.LongLength != (long)rows * columns)
            throw new ArgumentException($"{Values.LongLength} values for a matrix [{rows}, {columns}]", nameof(values));
    }

    public int Rows { get; }

    public int Columns { get; }

    public double[] Values { get; }

    public double this[int row, int column] => Values[(row * Columns) + column];

    public static HostMatrix From(ReadOnlySpan<float> values, int rows, int columns)
    {
        var matrix = new HostMatrix(rows, columns);
        for (int i = 0; i < values.Length; i++)
            matrix.Values[i] = values[i];
        return matrix;
    }

    public float[] ToFloats() => Array.ConvertAll(Values, value => (float)value);

    public ReadOnlySpan<double> Row(int row) => Values.AsSpan(row * Columns, Columns);

    /// <summary>Returns the first rows, or with a negative count the last ones.</summary>
    public HostMatrix TakeRows(int count) =>
        new(Math.Abs(count), Columns, count < 0 ? Values[((Rows + count) * Columns)..] : Values[..(count * Columns)]);

    public double SquaredNorm()
    {
        double sum = 0;
        for (int i = 0; i < Rows; i++)
            sum += Dot(Row(i), Row(i)); // row by row: partial sums keep rounding small
        return sum;
    }

    public HostMatrix Transposed() => new(Columns, Rows, Transposed(Values, Rows, Columns));

    /// <summary>Transposes a row-major matrix [rows, columns].</summary>
    public static T[] Transposed<T>(T[] values, int rows, int columns)
    {
        const int Tile = 32;
        var transposed = new T[values.Length];
        for (int top = 0; top < rows; top += Tile)
        {
            for (int left = 0; left < columns; left += Tile)
            {
                for (int i = top; i < Math.Min(top + Tile, rows); i++)
                {
                    for (int j = left; j < Math.Min(left + Tile, columns); j++)
                        transposed[((long)j * rows) + i] = values[((long)i * columns) + j];
                }
            }
        }

        return transposed;
    }

    /// <summary>Returns this + factor · other.</summary>
    public HostMatrix Plus(HostMatrix other, double factor = 1)
    {
        var sum = new HostMatrix(Rows, Columns);
        for (int i = 0; i < Values.Length; i++)
            sum.Values[i] = Values[i] + (factor * other.Values[i]);
        return sum;
    }

    /// <summary>
    /// Returns this · otherᵀ, [Rows, other.Rows]: entry (i, j) is the product of row i with row j of the other.
    /// </summary>
    public HostMatrix TimesTransposed(HostMatrix other)
    {
        var product = new HostMatrix(Rows, other.Rows);
        if (2L * Rows * other.Rows * Columns < ParallelFlops)
        {
            for (int i = 0; i < Rows; i++)
                Fill(i);
        }
        else
        {
            Parallel.For(0, Rows, Fill);
        }

        return product;

        void Fill(int i)
        {
            ReadOnlySpan<double> row = Row(i);
            Span<double> results = product.Values.AsSpan(i * other.Rows, other.Rows);
            int j = 0;
            for (; j + 4 <= other.Rows; j += 4)
                FourDots(row, other, j, results[j..]);
            for (; j < other.Rows; j++)
                results[j] = Dot(row, other.Row(j));
        }
    }

    /// <summary>Returns the matrix product this · other.</summary>
    public HostMatrix Times(HostMatrix other) => TimesTransposed(other.Transposed());

    /// <summary>Returns the upper triangular M with M Mᵀ this matrix, which is symmetric and positive.</summary>
    public HostMatrix UpperRoot()
    {
        var root = new HostMatrix(Rows, Columns);
        for (int j = Rows - 1; j >= 0; j--)
        {
            int column = j;
            int tail = Columns - j - 1;
            double pivot = Math.Sqrt(this[j, j] - Dot(Tail(j), Tail(j)));
            root.Values[(j * Columns) + j] = pivot;
            if ((long)j * tail < ParallelFlops / 64)
            {
                for (int i = 0; i < j; i++)
                    Fill(i);
            }
            else
            {
                Parallel.For(0, j, Fill);
            }

            void Fill(int i) =>
                root.Values[(i * Columns) + column] = (this[i, column] - Dot(Tail(i), Tail(column))) / pivot;

            ReadOnlySpan<double> Tail(int row) => root.Values.AsSpan((row * Columns) + column + 1, tail);
        }

        return root;
    }

    /// <summary>
    /// Solves this · X = b for a square matrix by Gaussian elimination with partial pivoting; null if the matrix is
    /// singular to rounding.
    /// </summary>
    public HostMatrix? Solve(HostMatrix b)
    {
        const double Singular = 1e-12; // of the largest entry
        double[] a = [.. Values];
        HostMatrix x = new(b.Rows, b.Columns, [.. b.Values]);
        double least = a.Max(Math.Abs) * Singular;
        for (int k = 0; k < Rows; k++)
        {
            int pivot = k;
            for (int row = k + 1; row < Rows; row++)
            {
                if (Math.Abs(a[(row * Columns) + k]) > Math.Abs(a[(pivot * Columns) + k]))
                    pivot = row;
            }

            if (!(Math.Abs(a[(pivot * Columns) + k]) > least))
                return null;
            Swap(a, Columns, k, pivot);
            Swap(x.Values, x.Columns, k, pivot);
            Eliminate(k);
        }
        return x;

        // Gauss-Jordan: every other row loses its entry in column k, so that no back substitution is needed.
        void Eliminate(int k)
        {
            double inverse = 1 / a[(k * Columns) + k];
            Scale(a.AsSpan((k * Columns) + k, Columns - k), inverse);
            Scale(x.Values.AsSpan(k * x.Columns, x.Columns), inverse);
            if ((long)Rows * (Columns + x.Columns) < ParallelFlops / 64)
            {
                for (int row = 0; row < Rows; row++)
                    Reduce(row);
            }
            else
            {
                Parallel.For(0, Rows, Reduce);
            }

            void Reduce(int row)
            {
                double factor = a[(row * Columns) + k];
                if (row == k || factor == 0)
                    return;
                Subtract(a.AsSpan((row * Columns) + k, Columns - k), a.AsSpan((k * Columns) + k, Columns - k), factor);
                Subtract(
                    x.Values.AsSpan(row * x.Columns, x.Columns),
                    x.Values.AsSpan(k * x.Columns, x.Columns),
                    factor
                );
            }
        }
    }

    private static void Swap(double[] values, int columns, int one, int other)
    {
        for (int i = 0; one != other && i < columns; i++)
        {
            (values[(one * columns) + i], values[(other * columns) + i]) = (
                values[(other * columns) + i],
                values[(one * columns) + i]
            );
        }
    }

    private static void Scale(Span<double> row, double factor) => TensorPrimitives.Multiply(row, factor, row);

    private static void Subtract(Span<double> row, ReadOnlySpan<double> other, double factor) =>
        TensorPrimitives.MultiplyAdd(other, -factor, row, row);

    public static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        Vector<double> sums = default;
        int i = 0;
        for (; i + Vector<double>.Count <= a.Length; i += Vector<double>.Count)
            sums += new Vector<double>(a[i..]) * new Vector<double>(b[i..]);
        double sum = Vector.Sum(sums);
        for (; i < a.Length; i++)
            sum += a[i] * b[i];
        return sum;
    }

    // Four products at a time share each load of the left row.
    private static void FourDots(ReadOnlySpan<double> row, HostMatrix other, int first, Span<double> results)
    {
        ReadOnlySpan<double> b0 = other.Row(first);
        ReadOnlySpan<double> b1 = other.Row(first + 1);
        ReadOnlySpan<double> b2 = other.Row(first + 2);
        ReadOnlySpan<double> b3 = other.Row(first + 3);
        Vector<double> s0 = default;
        Vector<double> s1 = default;
        Vector<double> s2 = default;
        Vector<double> s3 = default;
        int i = 0;
        for (; i + Vector<double>.Count <= row.Length; i += Vector<double>.Count)
        {
            var a = new Vector<double>(row[i..]);
            s0 += a * new Vector<double>(b0[i..]);
            s1 += a * new Vector<double>(b1[i..]);
            s2 += a * new Vector<double>(b2[i..]);
            s3 += a * new Vector<double>(b3[i..]);
        }
        (results[0], results[1], results[2], results[3]) = (
            Vector.Sum(s0),
            Vector.Sum(s1),
            Vector.Sum(s2),
            Vector.Sum(s3)
        );
        for (; i < row.Length; i++)
        {
            results[0] += row[i] * b0[i];
            results[1] += row[i] * b1[i];
            results[2] += row[i] * b2[i];
            results[3] += row[i] * b3[i];
        }
    }
}
