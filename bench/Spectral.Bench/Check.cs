using System.Runtime.InteropServices;
using Spectral.Kernels;

namespace Spectral.Bench;

/// <summary>A matrix on the host as its device stores it, read as double.</summary>
internal sealed class HostMatrix
{
    private readonly ushort[] _bf16 = [];
    private readonly float[] _f32 = [];

    public HostMatrix(Tensor tensor)
    {
        Columns = tensor.Dim(tensor.Shape.Rank - 1);
        Rows = checked((int)(tensor.Count / Columns));
        if (tensor.DType == DType.BF16)
            tensor.CopyTo(MemoryMarshal.AsBytes((_bf16 = new ushort[tensor.Count]).AsSpan()));
        else
            tensor.CopyTo((_f32 = new float[tensor.Count]).AsSpan());
    }

    public int Rows { get; }

    public int Columns { get; }

    public double this[int row, int column] =>
        _bf16.Length > 0
            ? BitConverter.Int32BitsToSingle(_bf16[(long)row * Columns + column] << 16)
            : _f32[(long)row * Columns + column];

    /// <summary>Σₖ this[row, k] · other[otherRow, k].</summary>
    public double DotRows(int row, HostMatrix other, int otherRow)
    {
        double sum = 0;
        for (int k = 0; k < Columns; k++)
            sum += this[row, k] * other[otherRow, k];
        return sum;
    }

    /// <summary>Σₖ this[row, k] · other[k, column].</summary>
    public double DotColumn(int row, HostMatrix other, int column)
    {
        double sum = 0;
        for (int k = 0; k < Columns; k++)
            sum += this[row, k] * other[k, column];
        return sum;
    }

    /// <summary>The index of the first NaN or infinity, -1 for none.</summary>
    public long FirstNonFinite() =>
        _bf16.Length > 0
            ? Array.FindIndex(_bf16, bits => (bits & 0x7f80) == 0x7f80)
            : Array.FindIndex(_f32, value => !float.IsFinite(value));
}

/// <summary>
/// Correctness before time: every element was written and is finite, and a sample of elements, corners included, agrees
/// with sums in double over the inputs as stored.
/// </summary>
internal static class Check
{
    private const int Sampled = 96;

    // Storage rounding of intermediates and results, relative to the root mean square: BF16 rounds by 2⁻⁹ at most, in
    // up to three places.
    private const double NormBF16 = 1.0 / 128;
    private const double LargestBF16 = 1.0 / 16;
    private const double NormF32 = 1.0 / 16384;
    private const double LargestF32 = 1.0 / 1024;

    /// <summary>What is wrong with a result, or null.</summary>
    /// <param name="actual">The result.</param>
    /// <param name="what">Its name.</param>
    /// <param name="expected">The value at a row and column, in double.</param>
    /// <param name="operands">The type that operands were rounded to.</param>
    /// <param name="rows">Rows to sample from; null for all.</param>
    public static string? Compare(
        Tensor actual,
        string what,
        Func<int, int, double> expected,
        DType operands = DType.BF16,
        int[]? rows = null
    )
    {
        var host = new HostMatrix(actual);
        if (host.FirstNonFinite() is >= 0 and var at)
            return $"{what}[{at / host.Columns}, {at % host.Columns}] is not finite or was not written";
        var random = new Random(7);
        (int Row, int Column)[] places =
        [
            (0, 0),
            (0, host.Columns - 1),
            (host.Rows - 1, 0),
            (host.Rows - 1, host.Columns - 1),
            .. Enumerable.Range(0, Sampled).Select(_ => (random.Next(host.Rows), random.Next(host.Columns))),
        ];
        if (rows is not null)
            places = Array.ConvertAll(places, place => (rows[place.Row % rows.Length], place.Column));
        double[] wanted = new double[places.Length];
        Parallel.For(0, places.Length, i => wanted[i] = expected(places[i].Row, places[i].Column));
        double error = 0;
        double norm = 0;
        double largest = 0;
        int worst = 0;
        for (int i = 0; i < places.Length; i++)
        {
            double difference = Math.Abs(host[places[i].Row, places[i].Column] - wanted[i]);
            error += difference * difference;
            norm += wanted[i] * wanted[i];
            if (difference > largest)
                (largest, worst) = (difference, i);
        }
        double rms = Math.Sqrt(norm / places.Length);
        double relative = Math.Sqrt(error / norm);
        (double normBound, double largestBound) =
            operands == DType.BF16 ? (NormBF16, LargestBF16) : (NormF32, LargestF32);
        if (relative <= normBound && largest <= largestBound * rms)
            return null;
        (int row, int column) = places[worst];
        return $"{what}: relative error {relative:G3} (bound {normBound:G3}), worst at [{row}, {column}]: "
            + $"{host[row, column]:G6}, expected {wanted[worst]:G6}";
    }

    /// <summary>The first complaint, or null.</summary>
    public static string? All(params ReadOnlySpan<string?> complaints)
    {
        foreach (string? complaint in complaints)
        {
            if (complaint is not null)
                return complaint;
        }

        return null;
    }
}
