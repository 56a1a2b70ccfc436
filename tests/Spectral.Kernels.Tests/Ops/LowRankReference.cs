namespace Spectral.Kernels.Tests.Ops;

/// <summary>A matrix of doubles with, per element, the sum of the absolute values of the terms that made it.</summary>
internal sealed record Reference(double[] Value, double[] Magnitude, int Rows, int Columns)
{
    public static Reference Of(double[] values, int rows, int columns) =>
        new(values, Array.ConvertAll(values, Math.Abs), rows, columns);

    /// <summary>The plain triple loop.</summary>
    public static Reference operator *(Reference a, Reference b)
    {
        Assert.That(b.Rows, Is.EqualTo(a.Columns));
        int m = a.Rows;
        int n = b.Columns;
        int depth = a.Columns;
        (double[] value, double[] magnitude) = (new double[m * n], new double[m * n]);
        for (int i = 0; i < m; i++)
        {
            for (int k = 0; k < depth; k++)
            {
                for (int j = 0; j < n; j++)
                {
                    value[i * n + j] += a.Value[i * depth + k] * b.Value[k * n + j];
                    magnitude[i * n + j] += a.Magnitude[i * depth + k] * b.Magnitude[k * n + j];
                }
            }
        }

        return new(value, magnitude, m, n);
    }

    public static Reference operator +(Reference a, Reference b) =>
        new(
            a.Value.Zip(b.Value, (x, y) => x + y).ToArray(),
            a.Magnitude.Zip(b.Magnitude, (x, y) => x + y).ToArray(),
            a.Rows,
            a.Columns
        );

    public Reference Transposed()
    {
        double[] Turn(double[] from) =>
            Enumerable.Range(0, Columns * Rows).Select(i => from[i % Rows * Columns + i / Rows]).ToArray();
        return new(Turn(Value), Turn(Magnitude), Columns, Rows);
    }

    /// <summary>Column j times scale · middle[j].</summary>
    public Reference Scaled(double[]? middle, double scale)
    {
        double Factor(int i) => scale * (middle?[i % Columns] ?? 1);
        return new(
            Value.Select((v, i) => v * Factor(i)).ToArray(),
            Magnitude.Select((v, i) => v * Math.Abs(Factor(i))).ToArray(),
            Rows,
            Columns
        );
    }

    public Reference RowsFrom(int from) =>
        new(Value[(from * Columns)..], Magnitude[(from * Columns)..], Rows - from, Columns);

    public Reference ColumnsFrom(int from) => Transposed().RowsFrom(from).Transposed();

    /// <summary>
    /// The same value with the magnitude enlarged by intermediate roundings to <paramref name="type"/>, each of a
    /// quantity of size
    /// <paramref name="rounded"/>, in the comparator's unit 4 ε(F32) √n. For F32 they are part of the bound already.
    /// </summary>
    public Reference Roundings(DType type, int n, params double[][] rounded)
    {
        if (type == DType.F32)
            return this;
        double unit = 1.0 / (1 << 8) / (4.0 / (1 << 23) * Math.Sqrt(n));
        return this with
        {
            Magnitude = Magnitude.Select((m, i) => m + rounded.Sum(r => Math.Abs(r[i])) * unit).ToArray(),
        };
    }
}
