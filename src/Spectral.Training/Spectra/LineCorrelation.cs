using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// Compares the lines of a matrix, which are its rows or its columns, with lines of independent entries of one
/// distribution. Values are NaN if fewer than two lines vary or lines are shorter than three entries.
/// </summary>
/// <param name="Lines">The number of evenly spaced lines whose correlations were computed.</param>
/// <param name="MeanSquare">
/// The mean squared correlation of two lines times (length − 1); its expectation for independent entries is 1.
/// </param>
/// <param name="MeanSquareZ">
/// The deviation of <paramref name="MeanSquare"/> from 1 in standard deviations for Gaussian entries (Schott 2005).
/// </param>
/// <param name="Largest">The largest absolute correlation of two lines.</param>
/// <param name="LargestLimit">
/// The value that <paramref name="Largest"/> exceeds in 1 % of matrices with independent entries, by its limit
/// distribution (Jiang 2004).
/// </param>
/// <param name="MeanSpread">
/// The variance of the lines' means, times length and divided by the variance of the entries; its expectation for
/// independent entries is 1.
/// </param>
/// <param name="MeanSpreadZ">The deviation of <paramref name="MeanSpread"/> from 1 in standard deviations.</param>
/// <param name="Neighbours">The correlation of neighbouring entries of a line, over all lines.</param>
/// <param name="NeighboursZ">The value of <paramref name="Neighbours"/> in standard deviations from 0.</param>
public sealed record LineCorrelation(
    int Lines,
    double MeanSquare,
    double MeanSquareZ,
    double Largest,
    double LargestLimit,
    double MeanSpread,
    double MeanSpreadZ,
    double Neighbours,
    double NeighboursZ
)
{
    // Bounds the cost: a product of this many lines with one another takes about a second at a length of 4096.
    private const int MostLines = 1024;
    private const double Confidence = 0.99;

    /// <summary>Compares the rows of a matrix.</summary>
    internal static LineCorrelation OfRows(HostMatrix matrix, double mean, double deviation)
    {
        HostMatrix lines = Standardised(matrix);
        (double meanSquare, double largest) = Pairs(lines);
        double length = matrix.Columns;
        double pairs = lines.Rows * (lines.Rows - 1.0) / 2;
        // r² of two Gaussian lines follows Beta(1/2, (length − 2) / 2).
        double spread =
            (length - 1) * Math.Sqrt(2 * (length - 2) / ((length - 1) * (length - 1) * (length + 1)) / pairs);
        double ratio = meanSquare * (length - 1);
        double means = MeanSpreadOf(matrix, mean, deviation);
        double neighbours = NeighboursOf(matrix, mean, deviation);
        return new LineCorrelation(
            lines.Rows,
            ratio,
            (ratio - 1) / spread,
            largest,
            LimitOfLargest(lines.Rows, matrix.Columns),
            means,
            (means - 1) / Math.Sqrt(2.0 / (matrix.Rows - 1)),
            neighbours,
            neighbours * Math.Sqrt(matrix.Rows * (length - 1))
        );
    }

    /// <summary>Returns evenly spaced rows with mean 0 and norm 1, without those that do not vary.</summary>
    private static HostMatrix Standardised(HostMatrix matrix)
    {
        int count = matrix.Columns < 3 ? 0 : Math.Min(matrix.Rows, MostLines);
        var kept = new List<double>(count * matrix.Columns);
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<double> row = matrix.Row((int)((long)i * matrix.Rows / count));
            double mean = 0;
            foreach (double value in row)
                mean += value;
            mean /= row.Length;
            double[] centred = new double[row.Length];
            for (int j = 0; j < row.Length; j++)
                centred[j] = row[j] - mean;
            double norm = Math.Sqrt(HostMatrix.Dot(centred, centred));
            // Equal entries differ from their computed mean by rounding.
            if (!(norm > 1e-14 * Math.Abs(mean) * row.Length))
                continue;
            foreach (double value in centred)
                kept.Add(value / norm);
        }
        return new HostMatrix(kept.Count / matrix.Columns, matrix.Columns, [.. kept]);
    }

    private static (double MeanSquare, double Largest) Pairs(HostMatrix lines)
    {
        if (lines.Rows < 2)
            return (double.NaN, double.NaN);
        HostMatrix correlations = lines.TimesTransposed(lines);
        double sum = 0;
        double largest = 0;
        for (int i = 0; i < lines.Rows; i++)
        {
            ReadOnlySpan<double> before = correlations.Row(i)[..i];
            sum += HostMatrix.Dot(before, before);
            foreach (double correlation in before)
                largest = Math.Max(largest, Math.Abs(correlation));
        }
        return (sum / (lines.Rows * (lines.Rows - 1.0) / 2), Math.Min(1, largest));
    }

    // P(n L² − 4 ln p + ln ln p ≤ y) → exp(−exp(−y/2) / √(8π)) for the largest correlation L of p lines of length n.
    private static double LimitOfLargest(int lines, int length)
    {
        if (lines < 2)
            return double.NaN;
        double y = -Math.Log(8 * Math.PI) - (2 * Math.Log(-Math.Log(Confidence)));
        double logarithm = Math.Log(lines);
        return Math.Min(1, Math.Sqrt(((4 * logarithm) - Math.Log(logarithm) + y) / length));
    }

    private static double MeanSpreadOf(HostMatrix matrix, double mean, double deviation)
    {
        double sum = 0;
        for (int i = 0; i < matrix.Rows; i++)
        {
            double total = 0;
            foreach (double value in matrix.Row(i))
                total += value - mean;
            sum += total * total / matrix.Columns;
        }
        return sum / ((matrix.Rows - 1) * deviation * deviation);
    }

    private static double NeighboursOf(HostMatrix matrix, double mean, double deviation)
    {
        double sum = 0;
        for (int i = 0; i < matrix.Rows; i++)
        {
            ReadOnlySpan<double> row = matrix.Row(i);
            for (int j = 1; j < row.Length; j++)
                sum += (row[j - 1] - mean) * (row[j] - mean);
        }
        return sum / (matrix.Rows * (matrix.Columns - 1.0) * deviation * deviation);
    }
}
