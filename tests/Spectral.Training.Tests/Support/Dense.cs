namespace Spectral.Training.Tests.Support;

/// <summary>A matrix in double, by plain loops: what formulas in tests are written with.</summary>
internal readonly struct Dense(int rows, int columns)
{
    private readonly double[] _values = new double[rows * columns];

    private Dense(int rows, int columns, double[] values)
        : this(0, 0) => (Rows, Columns, _values) = (rows, columns, values);

    public int Rows { get; } = rows;

    public int Columns { get; } = columns;

    public double[] Values => _values;

    public double this[int row, int column]
    {
        get => _values[row * Columns + column];
        set => _values[row * Columns + column] = value;
    }

    public static Dense Of(int rows, int columns, ReadOnlySpan<double> values) =>
        new(rows, columns, values[..(rows * columns)].ToArray());

    public static Dense Of(int rows, int columns, Func<int, int, double> value)
    {
        var matrix = new Dense(rows, columns);
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
                matrix[i, j] = value(i, j);
        }

        return matrix;
    }

    public static Dense Identity(int n) => Of(n, n, (i, j) => i == j ? 1 : 0);

    public static Dense Diagonal(IReadOnlyList<double> values) =>
        Of(values.Count, values.Count, (i, j) => i == j ? values[i] : 0);

    public Dense Transposed
    {
        get
        {
            Dense matrix = this;
            return Of(Columns, Rows, (i, j) => matrix[j, i]);
        }
    }

    public static Dense operator +(Dense a, Dense b) => Of(a.Rows, a.Columns, (i, j) => a[i, j] + b[i, j]);

    public static Dense operator -(Dense a, Dense b) => Of(a.Rows, a.Columns, (i, j) => a[i, j] - b[i, j]);

    public static Dense operator *(double s, Dense a) => Of(a.Rows, a.Columns, (i, j) => s * a[i, j]);

    public static Dense operator *(Dense a, Dense b)
    {
        var product = new Dense(a.Rows, b.Columns);
        for (int i = 0; i < a.Rows; i++)
        {
            for (int k = 0; k < a.Columns; k++)
            {
                for (int j = 0; j < b.Columns; j++)
                    product[i, j] += a[i, k] * b[k, j];
            }
        }

        return product;
    }

    /// <summary>By Gauss-Jordan without pivoting: for matrices near the identity.</summary>
    public Dense Inverse()
    {
        (Dense a, Dense inverse) = (Of(Rows, Rows, _values), Identity(Rows));
        for (int k = 0; k < Rows; k++)
        {
            double pivot = a[k, k];
            for (int j = 0; j < Rows; j++)
                (a[k, j], inverse[k, j]) = (a[k, j] / pivot, inverse[k, j] / pivot);
            for (int i = 0; i < Rows; i++)
            {
                double factor = a[i, k];
                for (int j = 0; i != k && j < Rows; j++)
                    (a[i, j], inverse[i, j]) = (a[i, j] - factor * a[k, j], inverse[i, j] - factor * inverse[k, j]);
            }
        }
        return inverse;
    }
}
